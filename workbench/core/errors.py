"""The one error tree of the workbench.

::

    WorkbenchError                 everything that we raise on purpose
    ├── BadInput                   what a person or a file gave cannot be used
    │   └── UnknownName            ... because no such name exists (says "did you mean")
    ├── UnknownFact                a dated fact (session, lot, charge) is not in our tables: refuse, never guess
    │   ├── UnknownSession
    │   └── UnknownContract
    ├── IllegalMove                a state change that the order or position table does not allow
    ├── CorruptData                stored bytes do not read as what they should be
    └── BrokerError
        ├── OrderRejected          the broker said no: final
        ├── OrderNotSent           no byte left this machine: safe to decide anew
        ├── OrderStateUnknown      nobody answered: reconcile, never resend
        └── BrokerUnavailable      a read failed: may be tried again

Invariant: a message says what is wrong, where, and the way out.
"""

import difflib
from collections.abc import Iterable


class WorkbenchError(Exception):
    """Base of all errors raised on purpose by the workbench."""


class BadInput(WorkbenchError):
    """Input of a person, a file or a request that cannot be used."""


class UnknownName(BadInput):
    """A name that does not exist; the message lists the nearest known names.

    Parameters
    ----------
    what : str
        What kind of thing the name was to name ("strategy", "symbol", ...).
    name : str
        The name as given.
    known : Iterable of str
        All names that exist.
    """

    def __init__(self, what: str, name: str, known: Iterable[str]) -> None:
        names = sorted(known)
        self.what, self.name, self.known = what, name, names
        super().__init__(f"unknown {what} {name!r}{did_you_mean(name, names)}")


class UnknownFact(WorkbenchError):
    """A dated fact is missing from the tables: the caller must refuse, not guess."""


class UnknownSession(UnknownFact):
    """The calendar has no rows for that segment and year."""


class UnknownContract(UnknownFact):
    """Lot, strike step, freeze or expiry of that contract are unknown on that date."""


class IllegalMove(WorkbenchError):
    """An event that the table of transitions does not allow in this state."""


class CorruptData(WorkbenchError):
    """Stored bytes that do not read as what they should be."""


class BrokerError(WorkbenchError):
    """Base of what can go wrong between us and the broker."""


class OrderRejected(BrokerError):
    """The broker refused the order; final, nothing rests at the broker."""


class OrderNotSent(BrokerError):
    """The request provably never left this machine."""


class OrderStateUnknown(BrokerError):
    """No answer that could be believed: reconcile, never resend."""


class BrokerUnavailable(BrokerError):
    """A read failed; it may be repeated."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Give the tail of an error message for an unknown name.

    Returns
    -------
    str
        ``"; did you mean 'x'? known: a, b, x"`` or, without a near name, only the known ones.
    """
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    listed = ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")
    return f"{hint} known: {listed}" if hint else f"; known: {listed or 'none'}"

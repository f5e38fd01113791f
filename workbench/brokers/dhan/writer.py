"""How a write leaves: its turn, one call of the library, and what became of it.

Invariant: one call of `send` is at most one request. An entry may end here, told why and provably not sent; an exit is
never held up for longer than the pace's bound.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable
from typing import Any

from workbench.brokers.dhan.answers import Answer
from workbench.brokers.dhan.client import DhanClient
from workbench.brokers.dhan.outcomes import Verdict, judge_write
from workbench.core.messages import Outcome

log = logging.getLogger(__name__)

# Dhan documents 30 characters; its server refuses the 26th.
_TAG = re.compile(r"[A-Za-z0-9_-]{1,25}")

Call = Callable[[], dict[str, Any]]
Judge = Callable[[Answer], Verdict]


class Writer:
    """The door of all writes of one client.

    Parameters
    ----------
    client : DhanClient
    """

    def __init__(self, client: DhanClient) -> None:
        self._transport = client.transport

    def send(self, what: str, call: Call, *, is_exit: bool, judge: Judge = judge_write) -> Verdict:
        """Wait for the turn, call the library once and judge the answer.

        Parameters
        ----------
        what : str
            For the log.
        call : callable
            One call of one method of the library.
        is_exit : bool
            True for what lessens risk: stops, exits, cancellations. It uses the reserve and passes an open circuit.
        judge : callable
            What the answer means.
        """
        pace = self._transport.pace
        if is_exit:
            pace.exit_turn()
        elif reason := pace.circuit.reason:
            return self._told(what, Verdict(outcome=Outcome.NOT_SENT, reason=reason))
        elif reason := pace.entry_turn():
            return self._told(what, Verdict(outcome=Outcome.NOT_SENT, reason=reason, too_fast=True))
        verdict = judge(call()["answer"])
        if verdict.outcome is not Outcome.NOT_SENT:
            pace.circuit.write_ended(clear=verdict.outcome is not Outcome.UNKNOWN, at=pace.clock())
        return self._told(what, verdict)

    @staticmethod
    def _told(what: str, verdict: Verdict) -> Verdict:
        if verdict.outcome is not Outcome.ACCEPTED:
            log.warning("%s: %s, %s", what, verdict.outcome.value, verdict.reason)
        return verdict


def tag_fault(correlation_id: str) -> str:
    """Say why Dhan would not take a correlation id; empty if it would."""
    if _TAG.fullmatch(correlation_id):
        return ""
    return f"correlation id {correlation_id!r} is not 1 to 25 letters, digits, '-' or '_'"


def read_back(look: Callable[[], str], *, patience_s: float, pause_s: float = 0.25) -> str:
    """Look until all is as it was wished, or the patience ends.

    Parameters
    ----------
    look : callable
        Gives what is not yet as wished; empty when it is.
    patience_s, pause_s : float
        Real seconds.

    Returns
    -------
    str
        What the last look found wanting.
    """
    until = time.monotonic() + patience_s
    while (wanting := look()) and time.monotonic() + pause_s < until:
        time.sleep(pause_s)
    return wanting

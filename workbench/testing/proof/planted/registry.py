"""The list of planted bugs and the way in which one is planted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Bug:
    """One bug: its name, the invariant or fault row that it breaks, what it does, and how it is planted."""

    name: str
    breaks: str
    text: str
    apply: Callable[[], None]


BUGS: dict[str, Bug] = {}
"""All bugs by name."""


def bug(breaks: str, *, name: str = "") -> Callable[[Callable[[], None]], Callable[[], None]]:
    """Register a function that plants a bug; its docstring says what the bug is."""

    def register(apply: Callable[[], None]) -> Callable[[], None]:
        known = name or apply.__name__
        add(Bug(known, breaks, (apply.__doc__ or "").strip(), apply))
        return apply

    return register


def add(planted: Bug) -> None:
    """Put a bug on the list.

    Raises
    ------
    ValueError
        Its name stands there already.
    """
    if planted.name in BUGS:
        raise ValueError(f"two planted bugs are called {planted.name!r}")
    BUGS[planted.name] = planted


def plant(name: str) -> Bug:
    """Plant a bug in this process, for good."""
    found = BUGS[name]
    found.apply()
    return found


def wrap(owner: Any, attribute: str, make: Callable[[Any], Any]) -> None:
    """Replace an attribute by what `make` gives for it.

    Raises
    ------
    AttributeError
        Production has no such name any more: the bug has to be written anew.
    """
    setattr(owner, attribute, make(getattr(owner, attribute)))


def replace_with(owner: Any, attribute: str, value: Any) -> None:
    """Replace an attribute that must exist."""
    wrap(owner, attribute, lambda _: value)

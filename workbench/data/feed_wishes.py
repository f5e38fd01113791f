"""What the feed's server has been asked on a connection, and what it should be asked: requests are the difference.

Invariants: the last wish of each instrument counts, so what was wished and taken back is never sent; a request names a
hundred instruments at most; on a new connection everything that is wished is asked again.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from workbench.core.instrument import Segment

BATCH = 100
Place = tuple[int, int]
"""Segment code and security id, as packets carry them."""


class FeedMode(StrEnum):
    """How much of an instrument is sent: price; price and day; price, day and five rows of depth."""

    TICKER = "ticker"
    QUOTE = "quote"
    FULL = "full"


# To unsubscribe, Dhan takes the code that subscribed plus one.
_CODES = MappingProxyType({FeedMode.TICKER: 15, FeedMode.QUOTE: 17, FeedMode.FULL: 21})


def default_mode(segment: Segment) -> FeedMode:
    """Give the mode in which a segment is watched: an index has no book, everything else is traded on its book."""
    return FeedMode.TICKER if segment is Segment.IDX_I else FeedMode.FULL


class Wishes:
    """The wanted and the asked mode of each instrument."""

    def __init__(self) -> None:
        self._wanted: dict[tuple[Segment, str], FeedMode] = {}
        self._asked: dict[tuple[Segment, str], FeedMode] = {}
        self._changed: dict[tuple[Segment, str], None] = {}

    def wish(self, segment: Segment, security_id: str, mode: FeedMode | None) -> None:
        """Want an instrument in a mode, or (None) no longer."""
        name = (segment, security_id)
        if mode is None:
            self._wanted.pop(name, None)
        else:
            self._wanted[name] = mode
        self._changed[name] = None

    def start_anew(self) -> None:
        """A new connection knows of nothing."""
        self._asked.clear()
        self._changed = dict.fromkeys(self._wanted)

    def requests(self) -> Iterator[dict[str, Any]]:
        """Give the requests that are due; each counts as sent when it is given."""
        off: dict[FeedMode, list[tuple[Segment, str]]] = {}
        on: dict[FeedMode, list[tuple[Segment, str]]] = {}
        for name in self._changed:
            asked, wanted = self._asked.get(name), self._wanted.get(name)
            if asked is wanted:
                continue
            if asked is not None:
                off.setdefault(asked, []).append(name)
                del self._asked[name]
            if wanted is not None:
                on.setdefault(wanted, []).append(name)
                self._asked[name] = wanted
        self._changed.clear()
        # A place that is left makes room for one that is taken.
        for mode, names in off.items():
            yield from _batches(_CODES[mode] + 1, names)
        for mode, names in on.items():
            yield from _batches(_CODES[mode], names)


def _batches(code: int, names: list[tuple[Segment, str]]) -> Iterator[dict[str, Any]]:
    for first in range(0, len(names), BATCH):
        listed = [
            {"ExchangeSegment": segment.value, "SecurityId": security_id}
            for segment, security_id in names[first : first + BATCH]
        ]
        yield {"RequestCode": code, "InstrumentCount": len(listed), "InstrumentList": listed}

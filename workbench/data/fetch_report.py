"""What a fetch did, as values and as JSON.

Invariant: every window that was planned is told as answered, failed or not asked.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from workbench.data.import_report import SessionGap

_SHOWN = 20


@dataclass(slots=True, kw_only=True)
class SymbolFetch:
    """One symbol's part.

    Parameters
    ----------
    symbol, interval : str
        As stored.
    first, last : str
        Days asked for, both included.
    windows, answered : int
        Planned and answered; the others stand in `failed` or were not asked.
    added, unchanged, revised : int
        Bars; a revised one has other values than the stored bar, which stays unless the fetch was to replace it.
    dropped : dict
        Candles that were not taken, by reason.
    failed : list of str
        Windows without a usable answer, and why.
    holes : list
        Sessions of which the source lacks some bars, and those of which it lacks all (`empty_sessions`).
    """

    symbol: str
    interval: str
    first: str
    last: str
    windows: int = 0
    answered: int = 0
    added: int = 0
    unchanged: int = 0
    revised: int = 0
    revised_at: list[str] = field(default_factory=list)
    replaced: bool = False
    dropped: dict[str, int] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    holes: list[SessionGap] = field(default_factory=list)
    empty_sessions: list[str] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        """All that was asked for is stored, or known to be a hole in the source."""
        return not self.failed and self.answered == self.windows

    def to_dict(self) -> dict[str, Any]:
        """Give it JSON-able; long lists are cut, their lengths stand beside them."""
        return {
            "symbol": self.symbol, "interval": self.interval, "first": self.first, "last": self.last,
            "windows": self.windows, "answered": self.answered, "added": self.added, "unchanged": self.unchanged,
            "revised": self.revised, "revised_at": self.revised_at[:_SHOWN], "replaced": self.replaced,
            "dropped": self.dropped, "failed": self.failed[:_SHOWN],
            "sessions_with_holes": len(self.holes), "missing_bars": sum(gap.missing for gap in self.holes),
            "holes": [gap.to_dict() for gap in self.holes[:_SHOWN]],
            "sessions_without_bars": len(self.empty_sessions), "empty_sessions": self.empty_sessions[:_SHOWN],
            "whole": self.whole,
        }  # fmt: skip


@dataclass(slots=True, kw_only=True)
class FetchReport:
    """A whole fetch; `stopped` says why it ended early, empty when it did not."""

    symbols: list[SymbolFetch]
    requests: int = 0
    elapsed_s: float = 0.0
    stopped: str = ""

    @property
    def whole(self) -> bool:
        """Every symbol is whole."""
        return not self.stopped and all(each.whole for each in self.symbols)

    def to_dict(self) -> dict[str, Any]:
        """Give it JSON-able."""
        body: dict[str, Any] = {"whole": self.whole, "requests": self.requests, "elapsed_s": round(self.elapsed_s, 2)}
        if self.stopped:
            body["stopped"] = self.stopped
        if not self.whole:
            body["way_out"] = "what came is stored; give the same command again, and only the rest is asked"
        return body | {"symbols": [each.to_dict() for each in self.symbols]}

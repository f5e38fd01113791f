"""The quality report of an import, as values and as JSON.

Invariant: rows_read = kept + all of `dropped` + duplicates + bad_ohlc.
"""

from dataclasses import dataclass, field
from datetime import date
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionGap:
    """A session that has fewer bars than its hours hold."""

    date: date
    missing: int
    expected: int
    first_missing: str

    def to_dict(self) -> dict[str, Any]:
        """Give it JSON-able."""
        return {
            "date": self.date.isoformat(),
            "missing": self.missing,
            "expected": self.expected,
            "first_missing": self.first_missing,
        }


@dataclass(slots=True, kw_only=True)
class ImportReport:
    """The quality report of an import.

    Parameters
    ----------
    rows_read : int
        Rows of all files but headers.
    kept : int
        Bars that are good, each once.
    added : int
        Bars that the store did not have; `unchanged` it had alike, `revised` it had with other values (and keeps).
    dropped : dict
        Rows not used, by reason: pre_open, closing_print, outside_session, trading_halt, holiday, unknown_year,
        other_symbol, unparsable, nan, not_positive, off_grid.
    duplicates : int
        Rows for a time that an earlier row has; `conflicting` of them with other values (the first row is kept).
    bad_ohlc : int
        Rows that break low <= open, close <= high: quarantined, the first of them in `bad_ohlc_rows`.
    sessions : int
        Sessions with at least one bar; `missing_sessions` are those between the first and the last without any.
    special_days : list
        Sessions that are not normal (Muhurat, outage, weekend): date, kind, bars, note.
    """

    symbol: str
    interval: str
    label: str
    segment: str
    files: list[str]
    rows_read: int = 0
    kept: int = 0
    added: int = 0
    unchanged: int = 0
    revised: int = 0
    revised_at: list[str] = field(default_factory=list)
    dropped: dict[str, int] = field(default_factory=dict)
    dropped_examples: dict[str, list[str]] = field(default_factory=dict)
    sessions: int = 0
    first: str | None = None
    last: str | None = None
    sessions_with_gaps: list[SessionGap] = field(default_factory=list)
    missing_sessions: list[str] = field(default_factory=list)
    special_days: list[dict[str, Any]] = field(default_factory=list)
    duplicates: int = 0
    conflicting: int = 0
    conflicting_rows: list[str] = field(default_factory=list)
    bad_ohlc: int = 0
    bad_ohlc_rows: list[dict[str, Any]] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Give it JSON-able."""
        plain = {name: getattr(self, name) for name in self.__slots__}
        return plain | {"sessions_with_gaps": [gap.to_dict() for gap in self.sessions_with_gaps]}

"""What the exchange listed on a date: lots, strike steps, freeze quantities, ticks and expiries of index derivatives.

NSE changes a lot by expiry series: a contract that is already listed usually keeps its lot until it expires, and only
some long-dated ones are converted on a day. So a lot depends on both the expiry and the day of the trade, and a
`LotRow` carries a first expiry and a first day.

Invariant: an answer comes from a dated row or is refused with `UnknownContract`. The rows stand in
`workbench.reference.contracts`; for a live order the broker's master of the day has the last word.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import TypeVar

from workbench.core.errors import UnknownContract, UnknownName
from workbench.core.instrument import InstrumentKind, Segment
from workbench.core.session import Calendar, SessionKind


class ExpiryKind(StrEnum):
    """The two series of expiries: the monthly one (which quarterlies join), and the weeks between."""

    WEEKLY = "weekly"
    MONTHLY = "monthly"


@dataclass(frozen=True, slots=True, kw_only=True)
class Underlying:
    """An index with derivatives: its name, the broker's id in segment IDX_I, and where its derivatives trade."""

    symbol: str
    index_id: str
    derivatives: Segment | None

    @property
    def synthetic_id(self) -> str:
        """Id under which a practice broker lists the index traded as a future; above every id of the real broker."""
        return str(4_000_000_000 + int(self.index_id))


@dataclass(frozen=True, slots=True, kw_only=True)
class LotRow:
    """Units in a lot for trades from `first_day` on in expiries from `first_expiry` on; the last fitting row wins.

    `kind` None means both series. `lot` None says that the sources contradict each other: asking is refused.
    """

    underlying: str
    first_day: date
    first_expiry: date
    kind: ExpiryKind | None
    lot: int | None
    source: str
    single_source: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpiryRule:
    """On which weekday (Monday is 0) a series expires from `first_day` on; None means that the series has ended."""

    underlying: str
    kind: ExpiryKind
    first_day: date
    weekday: int | None
    source: str
    single_source: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRow:
    """Distance of neighbouring strikes, in points, near the money in the near expiries."""

    underlying: str
    first_day: date
    step: Decimal
    source: str
    single_source: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FreezeRow:
    """Most units in one order; `lower_bound` if the exact limit of those months is unknown but surely not below."""

    underlying: str
    first_day: date
    freeze: int
    source: str
    lower_bound: bool = False
    single_source: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TickRow:
    """Price step in rupees; `underlying` None is for all underlyings without a row of their own."""

    kind: InstrumentKind
    first_day: date
    tick: Decimal
    source: str
    underlying: str | None = None
    single_source: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ListingRow:
    """How many expiries are listed at once.

    `weeks` between the monthlies, the next `months`, then `quarters` (March, June, ...), then `half_years` (June,
    December).
    """

    underlying: str
    first_day: date
    weeks: int
    months: int
    quarters: int
    half_years: int
    source: str
    single_source: bool = False


RowT = TypeVar("RowT", StepRow, FreezeRow, ListingRow, TickRow)
Dated = LotRow | ExpiryRule | StepRow | FreezeRow | TickRow | ListingRow


@dataclass(frozen=True, kw_only=True)
class ContractTable:
    """All dated contract facts, with the calendar that moves expiries off holidays."""

    underlyings: tuple[Underlying, ...]
    lots: tuple[LotRow, ...]
    expiry_rules: tuple[ExpiryRule, ...]
    steps: tuple[StepRow, ...]
    freezes: tuple[FreezeRow, ...]
    ticks: tuple[TickRow, ...]
    listings: tuple[ListingRow, ...]
    calendar: Calendar
    _years: dict[tuple[str, int], tuple[tuple[date, ExpiryKind], ...]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def underlying(self, symbol: str) -> Underlying:
        """Give an underlying by name; an unknown one is refused with the nearest names."""
        for each in self.underlyings:
            if each.symbol == symbol:
                return each
        raise UnknownName("underlying", symbol, [each.symbol for each in self.underlyings])

    def lot(self, underlying: str, expiry: date, on: date) -> int:
        """Give the units in a lot of the contract that expires on `expiry`, as traded on `on`.

        Raises
        ------
        UnknownContract
            `expiry` is not an expiry of that underlying, has passed, or no row covers it.
        """
        kind = self.expiry_kind(underlying, expiry)
        if expiry < on:
            raise UnknownContract(f"{underlying} {expiry} has expired before {on}: choose an expiry from that day on")
        fitting = [
            row
            for row in self.lots
            if row.underlying == underlying
            and row.first_day <= on
            and row.first_expiry <= expiry
            and row.kind in (None, kind)
        ]
        if not fitting or fitting[-1].lot is None:
            raise UnknownContract(self._missing("lot", underlying, on, f"expiry {expiry}"))
        return fitting[-1].lot

    def strike_step(self, underlying: str, on: date) -> Decimal:
        """Give the distance of neighbouring strikes near the money; the nearest LISTED strike decides in the end."""
        return self._latest(self.steps, "strike step", underlying, on).step

    def freeze_row(self, underlying: str, on: date) -> FreezeRow:
        """Give the row of the freeze quantity, with its source and whether it is a lower bound."""
        return self._latest(self.freezes, "freeze quantity", underlying, on)

    def freeze(self, underlying: str, on: date) -> int:
        """Give the most units that one order may hold on that day."""
        return self.freeze_row(underlying, on).freeze

    def tick(self, underlying: str, kind: InstrumentKind, on: date) -> Decimal:
        """Give the price step in rupees of a future, an option or the index itself."""
        rows = [row for row in self.ticks if row.kind is kind]
        own = [row for row in rows if row.underlying == underlying and row.first_day <= on]
        return self._latest(own or rows, f"tick of a {kind.value}", underlying, on).tick

    def has_weekly(self, underlying: str, on: date) -> bool:
        """Say whether a weekly series is traded on that day (after the last one has expired: no)."""
        self._refuse_before_first_rule(underlying, on)
        rules = [row for row in self.expiry_rules if row.underlying == underlying and row.first_day <= on]
        weekly = [row for row in rules if row.kind is ExpiryKind.WEEKLY]
        return bool(weekly) and weekly[-1].weekday is not None

    def expiries(self, underlying: str, *, start: date, end: date, kind: ExpiryKind | None = None) -> tuple[date, ...]:
        """Give the expiry days from `start` to `end`, both included, moved off holidays.

        Parameters
        ----------
        kind : ExpiryKind or None
            `WEEKLY` leaves out the monthly ones; None gives both, which is what "nearest" chooses from.
        """
        self._refuse_before_first_rule(underlying, start)
        found = (each for year in range(start.year, end.year + 1) for each in self._year(underlying, year))
        return tuple(day for day, each in found if start <= day <= end and kind in (None, each))

    def expiry_kind(self, underlying: str, expiry: date) -> ExpiryKind:
        """Say to which series an expiry day belongs; a day that is none is refused."""
        for day, kind in self._year(underlying, expiry.year):
            if day == expiry:
                return kind
        days = sorted((day for day, _ in self._year(underlying, expiry.year)), key=lambda day: abs(day - expiry))
        near = ", ".join(str(day) for day in days[:3]) or "none in that year"
        raise UnknownContract(f"{expiry} is not an expiry of {underlying}; nearest expiries: {near}")

    def listed_expiries(self, underlying: str, on: date) -> tuple[date, ...]:
        """Give the expiries that are listed on that day, the day's own included, nearest first.

        Days are those on which the contracts finally expired: a contract whose expiry day was moved later stands here
        with its new day. Expiries in years without a calendar are left out: they are the farthest, and the day's master
        has them.
        """
        listing = self._latest(self.listings, "listing", underlying, on)
        end = date(max(self.calendar.years), 12, 31)
        weeks = self.expiries(underlying, start=on, end=min(end, on + timedelta(days=92)), kind=ExpiryKind.WEEKLY)
        months = self.expiries(underlying, start=on, end=end, kind=ExpiryKind.MONTHLY)
        near, later = months[: listing.months], months[listing.months :]
        quarters = [day for day in later if day.month % 3 == 0][: listing.quarters]
        after = quarters[-1] if quarters else end
        halves = [day for day in later if day > after and day.month % 6 == 0][: listing.half_years]
        return tuple(sorted((*weeks[: listing.weeks], *near, *quarters, *halves)))

    def rows(self) -> tuple[Dated, ...]:
        """Give all dated rows, for tables and tests of their sources."""
        return (*self.lots, *self.expiry_rules, *self.steps, *self.freezes, *self.ticks, *self.listings)

    def _year(self, underlying: str, year: int) -> tuple[tuple[date, ExpiryKind], ...]:
        key = (underlying, year)
        if key not in self._years:
            self._years[key] = self._expiries_of_year(underlying, year)
        return self._years[key]

    def _expiries_of_year(self, underlying: str, year: int) -> tuple[tuple[date, ExpiryKind], ...]:
        self._refuse_before_first_rule(underlying, date(year, 12, 31))
        rules = [row for row in self.expiry_rules if row.underlying == underlying]
        monthly = [row for row in rules if row.kind is ExpiryKind.MONTHLY]
        weekly = [row for row in rules if row.kind is ExpiryKind.WEEKLY]
        nominal: list[tuple[date, ExpiryKind]] = []
        for month in range(1, 13):
            day = _monthly(monthly, year, month)
            if day is not None:
                nominal.append((day, ExpiryKind.MONTHLY))
        # "Every week excluding the expiry week of the monthly contract" (NSE circular of 2023-07-12).
        taken = {day.isocalendar()[:2] for day, _ in nominal}
        day = date(year, 1, 1)
        while day.year == year:
            rule = _in_force(weekly, day)
            if rule is not None and rule.weekday == day.weekday() and day.isocalendar()[:2] not in taken:
                nominal.append((day, ExpiryKind.WEEKLY))
            day += timedelta(days=1)
        segment = self.underlying(underlying).derivatives or Segment.NSE_FNO
        return tuple(sorted((self._trading_day(segment, day), kind) for day, kind in nominal))

    def _refuse_before_first_rule(self, underlying: str, day: date) -> None:
        self.underlying(underlying)
        if not any(row.underlying == underlying and row.first_day <= day for row in self.expiry_rules):
            raise UnknownContract(self._missing("expiry days", underlying, day))

    def _trading_day(self, segment: Segment, day: date) -> date:
        """Move a nominal expiry off holidays, backwards; a Muhurat hour on a holiday is no expiry day."""
        while (session := self.calendar.session(segment, day)) is None or session.kind is SessionKind.MUHURAT:
            day -= timedelta(days=1)
        return day

    def _latest(self, rows: Iterable[RowT], what: str, underlying: str, on: date) -> RowT:
        """Give the row in force on a day; `rows` are oldest first."""
        self.underlying(underlying)
        fitting = [row for row in rows if row.underlying in (underlying, None) and row.first_day <= on]
        if not fitting:
            raise UnknownContract(self._missing(what, underlying, on))
        return fitting[-1]

    def _missing(self, what: str, underlying: str, on: date, more: str = "") -> str:
        detail = f", {more}" if more else ""
        return (
            f"the {what} of {underlying} is not known for {on}{detail}; "
            "add a row with its source to workbench/reference/contracts.py"
        )


def _in_force(rules: Sequence[ExpiryRule], day: date) -> ExpiryRule | None:
    fitting = [row for row in rules if row.first_day <= day]
    return fitting[-1] if fitting else None


def _monthly(rules: Sequence[ExpiryRule], year: int, month: int) -> date | None:
    """Give the nominal expiry of a month: the newest rule whose own day lies in its reign."""
    last = date(year + month // 12, month % 12 + 1, 1) - timedelta(days=1)
    for rule in reversed(rules):
        if rule.weekday is not None:
            day = last - timedelta(days=(last.weekday() - rule.weekday) % 7)
            if day >= rule.first_day:
                return day
    return None

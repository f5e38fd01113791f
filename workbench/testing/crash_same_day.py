"""One practice day traded twice, with kills of the engine at random moments and without: both must end alike.

The market waits for a dead engine and no price reaches an exit, so the days may differ in nothing but the prices of
what filled after a kill. Some rounds without kills come first in both: what they filled may not differ at all.

Invariant: both days are asked the same by seed, at the same market seconds.
"""

from __future__ import annotations

import tempfile
from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal
from itertools import zip_longest
from pathlib import Path
from typing import Any

from workbench.core.instrument import Instrument
from workbench.core.signal import Side
from workbench.reference import calendar
from workbench.simulator import SimulatorConfig, SyntheticMarket
from workbench.testing.crash_engine import WIDE
from workbench.testing.crash_points import KillPoint
from workbench.testing.crash_report import CrashReport
from workbench.testing.crash_runner import BOUND_S, DAY, CrashDay
from workbench.testing.simulator import running_simulator

QUIET_ROUNDS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class SameDay:
    """How a day with kills stood beside the same day without.

    Parameters
    ----------
    rounds : int
        Alerts after which positions, their protection and the count of orders were compared; the first are quiet.
    differences : tuple of str
        Where they differed; should be empty.
    fills, fills_before_a_kill : int
        Fills of the day with kills; those of the quiet rounds before its first kill.
    early_differences : tuple of str
        Of those the ones that differ in anything; should be empty.
    price_differences : tuple of str
        Fills after a kill that differ in price: what a kill cost.
    findings : tuple of str
        What was lost, doubled or left without protection in either day; should be empty.
    held, orders : int
        Rounds after which something was held; orders at the broker in the end.
    """

    seed: int
    kills: int
    rounds: int
    held: int
    orders: int
    differences: tuple[str, ...]
    fills: int
    fills_before_a_kill: int
    early_differences: tuple[str, ...]
    price_differences: tuple[str, ...]
    findings: tuple[str, ...]
    longest_naked_s: float
    longest_recovery_s: float

    @property
    def ok(self) -> bool:
        """The days were the same, but for prices after a kill, and there was something that could have differed."""
        compared = self.kills and self.held and self.orders and self.fills_before_a_kill
        return bool(compared) and not (self.differences or self.early_differences or self.findings)

    def as_dict(self) -> dict[str, Any]:
        """Give it for JSON."""
        return {**asdict(self), "ok": self.ok}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Filled:
    time: datetime
    instrument: Instrument
    side: Side
    quantity: int
    price: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lived:
    report: CrashReport
    trace: list[tuple[Any, ...]]
    fills: list[_Filled]
    disturbed_from: datetime | None


def run_same_day(seed: int, kills: int) -> SameDay:
    """Trade one day twice and lay them beside each other.

    Parameters
    ----------
    seed : int
        Of the market, the alerts and the kills.
    kills : int
        Of the day with kills.

    Raises
    ------
    EngineFailed
        The engine did not come back.
    """
    killed = _live(seed, kills=kills, quiet=QUIET_ROUNDS)
    plain = _live(seed, kills=0, quiet=QUIET_ROUNDS + kills)
    first = killed.disturbed_from
    pairs = list(zip(killed.fills, plain.fills, strict=False))
    early = sum(first is None or each.time <= first for each in killed.fills)
    return SameDay(
        seed=seed,
        kills=killed.report.kills,
        rounds=len(killed.trace),
        held=sum(len(each) > 1 for each in killed.trace),
        orders=killed.report.orders,
        differences=_differences(killed, plain),
        fills=len(killed.fills),
        fills_before_a_kill=early,
        early_differences=tuple(_told(*pair) for pair in pairs[:early] if pair[0] != pair[1]),
        price_differences=tuple(_told(*pair) for pair in pairs[early:] if pair[0].price != pair[1].price),
        findings=(*killed.report.findings, *(f"without kills: {each}" for each in plain.report.findings)),
        longest_naked_s=killed.report.longest_naked_s,
        longest_recovery_s=killed.report.longest_recovery_s,
    )


def _live(seed: int, *, kills: int, quiet: int) -> _Lived:
    with (
        tempfile.TemporaryDirectory(prefix="workbench-same-day-", ignore_cleanup_errors=True) as scratch,
        running_simulator(market=SyntheticMarket(seed, calendar(), DAY), config=SimulatorConfig()) as simulator,
    ):
        day = CrashDay(seed, Path(scratch), simulator, points=(KillPoint.RANDOM,), bound_s=BOUND_S, plans=WIDE)
        try:
            report = day.run(kills, quiet=quiet, plain=QUIET_ROUNDS)
            fills = simulator.call(
                lambda: [
                    _Filled(
                        time=each.time,
                        instrument=each.order.listed.instrument,
                        side=each.order.side,
                        quantity=each.quantity,
                        price=each.price,
                    )
                    for each in simulator.simulator.desk.trades
                ]
            )
        finally:
            day.close()
        return _Lived(report=report, trace=day.trace, fills=fills, disturbed_from=day.disturbed_from)


def _differences(killed: _Lived, plain: _Lived) -> tuple[str, ...]:
    found = [
        f"round {number}: {mine} with kills, {theirs} without"
        for number, (mine, theirs) in enumerate(zip(killed.trace, plain.trace, strict=True), start=1)
        if mine != theirs
    ]
    if killed.report.orders != plain.report.orders:
        found.append(f"{killed.report.orders} orders with kills, {plain.report.orders} without")
    # What filled, in which order. Seconds and prices may differ, and with them which strike is at the money.
    for number, (mine, theirs) in enumerate(zip_longest(*map(_kinds, (killed, plain))), start=1):
        if mine != theirs:
            found.append(f"fill {number}: {mine} with kills, {theirs} without")
    return tuple(found)


def _kinds(day: _Lived) -> list[tuple[Any, ...]]:
    return [(str(each.instrument.right), str(each.side), each.quantity) for each in day.fills]


def _told(mine: _Filled, theirs: _Filled) -> str:
    what = f"{mine.side.value} {mine.quantity} {mine.instrument.name}: {mine.price} at {mine.time:%H:%M:%S}"
    other = "" if mine.instrument == theirs.instrument else f" {theirs.instrument.name}"
    return f"{what}, without kills{other} {theirs.price} at {theirs.time:%H:%M:%S}"

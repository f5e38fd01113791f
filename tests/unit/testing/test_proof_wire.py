"""The line of a proof: what the quarantine lets through is the market's own, and its bad ticks would do harm."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from workbench.core.bars import Quote
from workbench.data.feed_quarantine import Quarantine
from workbench.testing.proof.market import CALL, at, instrument_of
from workbench.testing.proof.run import run_seed
from workbench.testing.proof.wire import MarketLine


class Wire:
    """A line whose clock ticks with the quotes."""

    def __init__(self, seed: int) -> None:
        self.now = at("10:13:00")
        self.line = MarketLine(
            seed,
            0.3,
            instrument=instrument_of,
            market_now=self.market_now,
            monotonic=self.monotonic,
        )

    def market_now(self) -> datetime:
        return self.now

    def monotonic(self) -> float:
        return self.now.timestamp()

    def quotes(self, count: int) -> Iterator[Quote]:
        for number in range(count):
            self.now += timedelta(seconds=1)
            last = Decimal(120) + Decimal(number % 7)
            yield Quote(CALL.key, self.now, last, last, last, 50, 50)


def test_s6_of_wild_ticks_none_reaches_the_engine() -> None:
    wire = Wire(seed=1)
    passed = list(wire.line.carried(wire.quotes(300)))
    assert wire.line.quarantine is not None
    assert wire.line.quarantine.jumps > 50
    assert 150 < len(passed) < 250
    assert {each.last for each in passed} == {Decimal(120) + number for number in range(7)}


def test_s6_a_quote_without_a_price_reaches_the_engine_only_where_nothing_guards_it() -> None:
    for seed, reached in ((1, 0), (3, 1)):
        wire = Wire(seed)
        empty = Quote(CALL.key, wire.now, Decimal(0), Decimal(0), Decimal(0))
        assert len(list(wire.line.carried([empty]))) == reached


def test_s6_without_the_quarantine_a_day_is_left_for_a_price_that_never_was(monkeypatch: pytest.MonkeyPatch) -> None:
    def believe(self: Quarantine, tick: object, line: object, at: float) -> bool:
        line.accepted = tick  # type: ignore[attr-defined]
        return True

    monkeypatch.setattr(Quarantine, "passes", believe)
    failures = (run_seed(seed).failure for seed in range(5, 60))
    assert any(each.startswith(("S6", "I5", "I7")) for each in failures)

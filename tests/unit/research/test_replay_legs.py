"""Replay trades plans of several legs by the engine itself; backtest points to it."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from tests.parity.worlds import faulty_bars, market_of, study_of
from tests.unit.core.builders import option
from workbench.core.errors import BadInput
from workbench.core.instrument import Instrument, Right
from workbench.core.order import OrderTicket, OrderType, Product, Purpose
from workbench.core.plan import NAMED_PLANS
from workbench.core.signal import Side
from workbench.research.backtest import backtest
from workbench.research.replay import replay
from workbench.research.venue import modelled_margin

START = date(2022, 2, 24)
NAMES = ["straddle", "strangle", "credit_spread", "hedged_sell"]


@pytest.mark.parametrize("name", NAMES)
def test_backtest_refuses_several_legs_and_points_to_replay(name: str) -> None:
    with pytest.raises(BadInput, match="use replay"):
        backtest(study_of(NAMED_PLANS[name], start=START), market_of(faulty_bars()))


@pytest.mark.parametrize("name", NAMES)
def test_replay_enters_and_leaves_all_legs(name: str) -> None:
    result = replay(study_of(NAMED_PLANS[name], start=START), market_of(faulty_bars()))
    assert len(result.trades) >= 4, result.refused
    assert {trade.priced for trade in result.trades} == {"model"}
    sold = [trade for trade in result.trades if trade.side is Side.SELL]
    bought = [trade for trade in result.trades if trade.side is Side.BUY]
    if name in ("straddle", "strangle"):
        assert not bought
        return
    # A bought leg may stand alone for once: its short was refused and it was sold again.
    assert len(bought) >= len(sold) > 0
    for short in sold:
        covers = [long for long in bought if long.entry_time <= short.entry_time and long.exit_time >= short.exit_time]
        assert any(long.quantity >= short.quantity for long in covers), short


def ticket(side: Side, instrument: Instrument, price: int) -> OrderTicket:
    return OrderTicket(
        correlation_id="x",
        intent_id="x",
        position_id="x",
        deployment="x",
        purpose=Purpose.ENTRY,
        instrument=instrument,
        side=side,
        quantity=50,
        order_type=OrderType.LIMIT,
        product=Product.INTRADAY,
        price=Decimal(price),
    )


def test_a_cover_bounds_the_modelled_margin() -> None:
    sold = ticket(Side.SELL, option(15700, Right.PE), 120)
    naked = modelled_margin([sold])
    covered = modelled_margin([sold, ticket(Side.BUY, option(15500, Right.PE), 60)])
    other_type = modelled_margin([sold, ticket(Side.BUY, option(15900, Right.CE), 60)])
    assert naked == Decimal(15700) * 50 * 14 / 100
    assert covered == 60 * 50 + 200 * 50
    assert other_type == naked + 60 * 50

"""Which contract: expiry by rule, strike among the listed ones, and refusals instead of guesses."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from tests.unit.core.builders import EXPIRIES, SPOT, Master, at, listings
from workbench import reference
from workbench.core.errors import UnknownContract
from workbench.core.instrument import Instrument, InstrumentKind, Right
from workbench.core.legs import Refusal, choose, entry_side, given_contract, right_for, synthetic
from workbench.core.plan import Contract, Exits, ExpiryRule, Plan, index_as_future
from workbench.core.signal import Direction, Side

NOW = at("10:00:00")
UP, DOWN = Direction.LONG, Direction.SHORT


def pick(direction: Direction = UP, spot: Decimal = SPOT, *, symbol: str = "NIFTY", master: Master | None = None,
         now: Any = NOW, **plan: Any) -> Instrument | Refusal:  # fmt: skip
    if "expiry" in plan:
        plan["expiry"] = ExpiryRule(plan["expiry"])
    return choose(Plan(**plan), direction, symbol=symbol, spot=spot, now=now, listings=listings(master))


def strike(direction: Direction = UP, spot: str | Decimal = SPOT, **plan: Any) -> Decimal | None:
    found = pick(direction, Decimal(spot), **plan)
    assert isinstance(found, Instrument), found
    return found.strike


def expiry(**plan: Any) -> date | None:
    found = pick(**plan)
    assert isinstance(found, Instrument), found
    return found.expiry


def test_at_the_money_is_the_nearest_listed_strike() -> None:
    assert strike(spot="15712.40") == 15700
    assert strike(spot="15726") == 15750


def test_a_tie_goes_to_the_lower_strike() -> None:
    assert strike(spot="15725") == 15700


def test_s14_a_strike_that_is_not_listed_is_never_chosen() -> None:
    gap = Master(strikes=[15500, 15600, 15800])
    assert strike(spot="15712.40", master=gap) == 15800
    assert strike(spot="15699", master=gap) == 15600


@pytest.mark.parametrize(
    ("direction", "rule", "wanted"),
    [(UP, "OTM1", 15750), (UP, "ITM2", 15600), (DOWN, "OTM1", 15650), (DOWN, "ITM2", 15800)],
)
def test_out_of_the_money_is_away_from_it_for_calls_and_puts(direction: Direction, rule: str, wanted: int) -> None:
    assert strike(direction, strike=rule) == wanted


def test_steps_past_the_last_listed_strike_are_refused() -> None:
    found = pick(strike="OTM3", master=Master(strikes=[15650, 15700, 15750]))
    assert isinstance(found, Refusal)
    assert "no listed strike" in found.reason


def test_bullish_buys_a_call_and_bearish_a_put() -> None:
    plan = Plan()
    assert right_for(plan, UP) is Right.CE
    assert right_for(plan, DOWN) is Right.PE
    assert entry_side(plan, DOWN) is Side.BUY
    future = Plan(contract=Contract.FUTURE)
    assert entry_side(future, UP) is Side.BUY
    assert entry_side(future, DOWN) is Side.SELL


@pytest.mark.parametrize(
    ("rule", "index"), [("nearest", 0), ("next", 1), ("weekly", 0), ("monthly", 2), ("next_monthly", 3)]
)
def test_the_expiry_follows_the_rule(rule: Any, index: int) -> None:
    assert expiry(expiry=rule) == EXPIRIES[index]


def test_an_expiry_that_has_passed_is_not_the_nearest() -> None:
    assert expiry(master=Master(expiries=[date(2022, 6, 9), *EXPIRIES])) == EXPIRIES[0]


def test_s12_the_roll_counts_on_expiry_day_from_its_hour_on() -> None:
    roll = at("14:00:00").time()
    on_expiry = date(2022, 6, 16)
    assert expiry(roll_on_expiry_at=roll, now=at("13:59:59", on_expiry)) == EXPIRIES[0]
    assert expiry(roll_on_expiry_at=roll, now=at("14:00:00", on_expiry)) == EXPIRIES[1]
    assert expiry(roll_on_expiry_at=roll, now=at("14:30:00")) == EXPIRIES[0]


def test_a_weekly_on_an_index_without_one_is_refused() -> None:
    day = date(2025, 1, 15)

    class BankMaster(Master):
        def expiries(self, underlying: str) -> tuple[date, ...]:
            return (date(2025, 1, 30), date(2025, 2, 27))

    found = choose(
        Plan(expiry=ExpiryRule.WEEKLY),
        UP,
        symbol="BANKNIFTY",
        spot=Decimal(49000),
        now=at("10:00:00", day),
        listings=listings(BankMaster()),
    )
    assert isinstance(found, Refusal)
    assert "no weekly expiry" in found.reason


def test_without_a_listed_expiry_the_choice_is_refused() -> None:
    found = pick(expiry="next", master=Master(expiries=EXPIRIES[:1]))
    assert isinstance(found, Refusal)


def test_a_given_strike_must_be_listed_in_the_plans_expiry() -> None:
    def given(price: int, right: Right = Right.PE) -> Instrument | Refusal:
        return given_contract(Plan(), symbol="NIFTY", strike=Decimal(price), right=right, now=NOW, listings=listings())

    found = given(15900)
    assert isinstance(found, Instrument)
    assert (found.strike, found.right, found.expiry) == (Decimal(15900), Right.PE, EXPIRIES[0])
    assert isinstance(given(15925), Refusal)
    nothing = given_contract(
        Plan(), symbol="NIFTY", strike=Decimal(15900), right=Right.CE, now=NOW, listings=listings(Master(expiries=()))
    )
    assert isinstance(nothing, Refusal)


def test_a_future_is_the_listed_one_of_that_expiry() -> None:
    found = pick(contract=Contract.FUTURE, expiry="monthly")
    assert isinstance(found, Instrument)
    assert (found.kind, found.expiry) == (InstrumentKind.FUTURE, EXPIRIES[2])
    assert isinstance(pick(contract=Contract.FUTURE), Refusal)


def test_a_share_is_bought_itself_and_an_index_is_not() -> None:
    share = pick(contract=Contract.UNDERLYING, symbol="HDFCBANK")
    assert isinstance(share, Instrument)
    assert share.kind is InstrumentKind.EQUITY
    index = pick(contract=Contract.UNDERLYING)
    assert isinstance(index, Refusal)
    unknown = pick(contract=Contract.UNDERLYING, symbol="HDFCBNK")
    assert isinstance(unknown, Refusal)
    assert "did you mean 'HDFCBANK'" in unknown.reason


@pytest.mark.parametrize("day", [date(2022, 6, 15), date(2022, 10, 31), date(2022, 11, 30), date(2022, 12, 30)])
def test_the_index_as_future_has_lot_and_tick_of_its_date(day: date) -> None:
    found = synthetic("NIFTY", day, reference.contract_table())
    assert (found.kind, found.lot, found.tick) == (InstrumentKind.SYNTHETIC, 50, Decimal("0.05"))
    assert found.key == "NSE_FNO:NIFTY:index_as_future"


def test_past_the_last_known_expiry_the_index_as_future_is_refused() -> None:
    table = reference.contract_table()
    last = date(max(table.calendar.years), 12, 31)
    with pytest.raises(UnknownContract, match="calendar ends"):
        synthetic("NIFTY", last, table)
    plan = index_as_future(exits=Exits())
    found = choose(plan, UP, symbol="NIFTY", spot=SPOT, now=at("10:00:00", last), listings=listings())
    assert isinstance(found, Refusal)

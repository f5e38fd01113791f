"""The option model."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from math import log, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.core.errors import BadInput
from workbench.core.instrument import Instrument, InstrumentKind, Right, Segment
from workbench.core.pricing import (
    SECONDS_A_YEAR,
    OptionPricer,
    PricingInputs,
    black_76,
    inputs_from_closes,
    normal_cdf,
    realised_volatility,
)
from workbench.core.session import IST

FLAT = OptionPricer(PricingInputs(volatility=0.15, skew=0.0))
EXPIRY = datetime(2022, 6, 16, 15, 30, tzinfo=IST)

spots = st.floats(5000, 60000)
moneyness = st.floats(0.85, 1.15)
times = st.floats(1, SECONDS_A_YEAR)


def option(strike: int = 15700, right: Right = Right.CE) -> Instrument:
    return Instrument(
        segment=Segment.NSE_FNO, security_id="1", symbol="NIFTY", kind=InstrumentKind.OPTION, lot=50,
        expiry=date(2022, 6, 16), strike=Decimal(strike), right=right,
    )  # fmt: skip


def test_agrees_with_textbook_values() -> None:
    # Hull, Options, Futures, and Other Derivatives, the example of Black's model: F 20, K 20, r 9 %, 25 %, 4 months.
    deviation = 0.25 * sqrt(4 / 12)
    assert black_76(Right.PE, 20, 20, deviation, 0.9704455335485082) == pytest.approx(1.1166, abs=1e-4)
    # F = K: the premium is F (2 N(deviation / 2) - 1).
    assert black_76(Right.CE, 100, 100, 0.2) == pytest.approx(100 * (2 * normal_cdf(0.1) - 1))
    assert black_76(Right.CE, 100, 100, 0.2) == pytest.approx(7.9656, abs=1e-4)


@given(spots, moneyness, times)
def test_put_call_parity(spot: float, ratio: float, seconds: float) -> None:
    call, put = (FLAT.premium(right, spot * ratio, spot, seconds) for right in (Right.CE, Right.PE))
    assert call - put == pytest.approx(spot - spot * ratio, abs=1e-6)


@given(spots, moneyness, times, st.sampled_from(list(Right)))
def test_never_below_intrinsic_and_never_cheaper_with_more_time(
    spot: float, ratio: float, seconds: float, right: Right
) -> None:
    strike = spot * ratio
    fair = FLAT.premium(right, strike, spot, seconds)
    intrinsic = max(0.0, spot - strike if right is Right.CE else strike - spot)
    assert fair >= intrinsic - 1e-6
    assert FLAT.premium(right, strike, spot, seconds * 2) >= fair - 1e-6
    assert FLAT.premium(right, strike, spot, 0) == pytest.approx(intrinsic)
    assert FLAT.premium(right, strike, spot, -60) == pytest.approx(intrinsic)


@given(spots, st.floats(0.9, 1.1), st.floats(600, SECONDS_A_YEAR / 12), st.floats(-0.3, 0.0))
def test_monotone_in_strike_and_spot(spot: float, ratio: float, seconds: float, skew: float) -> None:
    pricer = OptionPricer(PricingInputs(volatility=0.15, skew=skew))
    strike, step = spot * ratio, spot * 0.002
    call, call_above = (pricer.premium(Right.CE, each, spot, seconds) for each in (strike, strike + step))
    put, put_above = (pricer.premium(Right.PE, each, spot, seconds) for each in (strike, strike + step))
    assert call_above <= call + 1e-6
    assert put_above >= put - 1e-6
    assert FLAT.premium(Right.CE, strike, spot + step, seconds) >= FLAT.premium(Right.CE, strike, spot, seconds) - 1e-6


@given(spots, moneyness, st.floats(60, SECONDS_A_YEAR), st.sampled_from(list(Right)))
def test_greeks_are_the_slopes(spot: float, ratio: float, seconds: float, right: Right) -> None:
    strike = spot * ratio
    greeks = FLAT.greeks(right, strike, spot, seconds)
    up, down = (FLAT.premium(right, strike, spot + each, seconds) for each in (0.01, -0.01))
    assert greeks.delta == pytest.approx((up - down) / 0.02, abs=0.02)
    assert abs(greeks.delta) <= 1
    assert greeks.gamma >= 0
    assert greeks.theta <= 0


@given(spots, moneyness, st.floats(-600, SECONDS_A_YEAR), st.sampled_from(list(Right)))
def test_quotes_stand_on_the_tick_with_bid_below_ask(spot: float, ratio: float, seconds: float, right: Right) -> None:
    instrument = option(int(spot * ratio), right)
    quote = FLAT.quote(instrument, spot, EXPIRY - timedelta(seconds=seconds), EXPIRY)
    assert quote.model
    assert Decimal(0) < quote.bid <= quote.last <= quote.ask
    assert quote.bid < quote.ask
    assert all(price % instrument.tick == 0 for price in (quote.bid, quote.last, quote.ask))


def test_spread_is_a_tick_or_three_in_a_thousand() -> None:
    dear = FLAT.quote(option(15000), 15700, EXPIRY - timedelta(hours=2), EXPIRY)
    assert dear.spread == Decimal("2.10")
    cheap = FLAT.quote(option(17000), 15700, EXPIRY - timedelta(hours=2), EXPIRY)
    assert (cheap.bid, cheap.last, cheap.ask) == (Decimal("0.05"), Decimal("0.05"), Decimal("0.10"))


def test_volatility_is_the_deviation_of_daily_returns() -> None:
    closes = [100.0, 101.0, 100.0, 101.0]
    up, down = log(1.01), -log(1.01)
    mean = (2 * up + down) / 3
    variance = sum((each - mean) ** 2 for each in (up, down, up)) / 2
    assert realised_volatility(closes) == pytest.approx(sqrt(variance * 252))
    assert inputs_from_closes(closes).volatility == pytest.approx(1.1 * sqrt(variance * 252))


def test_volatility_looks_at_twenty_sessions() -> None:
    calm = [100.0 * 1.001 ** (each % 2) for each in range(21)]
    assert realised_volatility([10.0, 500.0, *calm]) == pytest.approx(realised_volatility(calm))


def test_refuses_too_few_closes_and_what_is_no_derivative() -> None:
    with pytest.raises(BadInput, match="at least 3"):
        realised_volatility([100.0, 101.0])
    index = Instrument(segment=Segment.IDX_I, security_id="13", symbol="NIFTY", kind=InstrumentKind.INDEX)
    with pytest.raises(BadInput, match="neither an option nor a future"):
        FLAT.quote(index, 15700, EXPIRY, EXPIRY)

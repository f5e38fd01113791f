"""What an option would have cost: Black-76 on the underlying, where no real minutes are stored.

The model is deliberately plain and its inputs are written down with every day that uses it: the forward is the spot
plus a basis (zero), the rate is zero, time runs in seconds to the expiry moment, the volatility is given (the realised
one of the last 20 sessions times 1.1) with a skew that is linear in moneyness. Every quote says `model=True`.

Invariant: floats stay inside; what leaves is a `Decimal` on the tick with bid < ask, and never below intrinsic value
by more than a spread.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal
from itertools import pairwise
from math import erfc, exp, log, pi, sqrt

from workbench.core.bars import Quote
from workbench.core.errors import BadInput
from workbench.core.instrument import Instrument, InstrumentKind, Right
from workbench.core.money import snap_to_tick

SECONDS_A_YEAR = 365 * 24 * 3600
SESSIONS_A_YEAR = 252
REALISED_SESSIONS = 20
PREMIUM_OVER_REALISED = 1.1
FUTURE_SPREAD_PCT = 0.00005
_SKEW_BAND = (0.5, 2.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class PricingInputs:
    """What a model day is priced with; stands in the day's manifest.

    Parameters
    ----------
    volatility : float
        At the money, a year, 0.14 for 14 %.
    skew : float
        Added to the volatility for each unit of ``strike / forward - 1`` (below zero: low strikes are dearer), kept
        between half and twice the volatility.
    basis : float
        Rupees that the forward lies above the spot.
    rate : float
        A year, continuous; discounts the premium.
    spread_pct : float
        Bid to ask as a share of the premium (0.003 is 0.3 %), one tick at least.
    """

    volatility: float
    skew: float = -0.3
    basis: float = 0.0
    rate: float = 0.0
    spread_pct: float = 0.003

    def as_dict(self) -> dict[str, float]:
        """Give the inputs for a manifest."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Greeks:
    """Sensitivities of one option: `theta` rupees a day, `vega` rupees for one point of volatility in percent."""

    delta: float
    gamma: float
    theta: float
    vega: float
    volatility: float


def realised_volatility(daily_closes: Sequence[float], sessions: int = REALISED_SESSIONS) -> float:
    """Give the yearly volatility of the last sessions' closes (oldest first), from `sessions` + 1 closes at most.

    Raises
    ------
    BadInput
        Fewer than three closes, or one that is not above zero.
    """
    closes = list(daily_closes)[-(sessions + 1) :]
    if len(closes) < 3 or min(closes) <= 0:
        raise BadInput(f"realised volatility needs at least 3 daily closes above zero, got {len(closes)}")
    returns = [log(after / before) for before, after in pairwise(closes)]
    mean = sum(returns) / len(returns)
    variance = sum((each - mean) ** 2 for each in returns) / (len(returns) - 1)
    return sqrt(variance * SESSIONS_A_YEAR)


def inputs_from_closes(daily_closes: Sequence[float]) -> PricingInputs:
    """Give the inputs of a day whose last known closes these are: realised volatility times 1.1, at least 5 %."""
    return PricingInputs(volatility=max(0.05, PREMIUM_OVER_REALISED * realised_volatility(daily_closes)))


def black_76(right: Right, forward: float, strike: float, deviation: float, discount: float = 1.0) -> float:
    """Give the premium in rupees; `deviation` is volatility times the root of the years left."""
    sign = 1.0 if right is Right.CE else -1.0
    if deviation <= 0 or forward <= 0:
        return discount * max(0.0, sign * (forward - strike))
    d1 = log(forward / strike) / deviation + deviation / 2
    return discount * sign * (forward * normal_cdf(sign * d1) - strike * normal_cdf(sign * (d1 - deviation)))


def normal_cdf(x: float) -> float:
    """Give the standard normal distribution function."""
    return 0.5 * erfc(-x / sqrt(2))


@dataclass(frozen=True, slots=True)
class OptionPricer:
    """Prices options and futures of one underlying for one day."""

    inputs: PricingInputs

    def volatility(self, strike: float, forward: float) -> float:
        """Give the volatility of a strike, skew included."""
        base = self.inputs.volatility
        low, high = _SKEW_BAND
        return min(high * base, max(low * base, base + self.inputs.skew * (strike / forward - 1)))

    def premium(self, right: Right, strike: float, spot: float, seconds_left: float) -> float:
        """Give the model's fair premium in rupees; at or after expiry the intrinsic value."""
        inputs = self.inputs
        forward = spot + inputs.basis
        years = max(0.0, seconds_left) / SECONDS_A_YEAR
        deviation = self.volatility(strike, forward) * sqrt(years)
        return black_76(right, forward, strike, deviation, exp(-inputs.rate * years))

    def market(self, fair: float, tick: float, spread_pct: float | None = None) -> tuple[int, int, int]:
        """Give (bid, last, ask) in whole ticks around a fair price; the bid is one tick at least."""
        spread = max(tick, fair * (self.inputs.spread_pct if spread_pct is None else spread_pct))
        last = max(1, round(fair / tick))
        bid = min(last, max(1, round((fair - spread / 2) / tick)))
        ask = max(last, bid + 1, round((fair + spread / 2) / tick))
        return bid, last, ask

    def fair(self, instrument: Instrument, spot: float, seconds_left: float) -> float:
        """Give the fair price in rupees of an option or a future.

        Raises
        ------
        BadInput
            The instrument is neither.
        """
        if instrument.kind is InstrumentKind.FUTURE:
            return spot + self.inputs.basis
        if instrument.strike is None or instrument.right is None:
            raise BadInput(f"{instrument.key} is neither an option nor a future: the model has no price for it")
        return self.premium(instrument.right, float(instrument.strike), spot, seconds_left)

    def quote(self, instrument: Instrument, spot: Decimal | float, at: datetime, expiry_at: datetime) -> Quote:
        """Give the model's quote of an option or a future.

        Parameters
        ----------
        spot : Decimal or float
            Price of the underlying, rupees.
        at, expiry_at : datetime
            The moment, and the moment of expiry (the close of the session of the expiry day); both aware.
        """
        fair = self.fair(instrument, float(spot), (expiry_at - at).total_seconds())
        spread_pct = FUTURE_SPREAD_PCT if instrument.kind is InstrumentKind.FUTURE else None
        ticks = self.market(fair, float(instrument.tick), spread_pct)
        bid, last, ask = (snap_to_tick(instrument.tick * each, instrument.tick) for each in ticks)
        return Quote(key=instrument.key, time=at, last=last, bid=bid, ask=ask, model=True)

    def greeks(self, right: Right, strike: float, spot: float, seconds_left: float) -> Greeks:
        """Give the sensitivities of an option; at expiry delta is 0 or ±1 and the others are 0."""
        forward = spot + self.inputs.basis
        volatility = self.volatility(strike, forward)
        years = max(0.0, seconds_left) / SECONDS_A_YEAR
        deviation = volatility * sqrt(years)
        sign = 1.0 if right is Right.CE else -1.0
        if deviation <= 0:
            inside = sign * (forward - strike) > 0
            return Greeks(delta=sign if inside else 0.0, gamma=0.0, theta=0.0, vega=0.0, volatility=volatility)
        discount = exp(-self.inputs.rate * years)
        d1 = log(forward / strike) / deviation + deviation / 2
        density = exp(-d1 * d1 / 2) / sqrt(2 * pi)
        premium = black_76(right, forward, strike, deviation, discount)
        decay = -discount * forward * density * volatility / (2 * sqrt(years)) + self.inputs.rate * premium
        return Greeks(
            delta=discount * sign * normal_cdf(sign * d1),
            gamma=discount * density / (forward * deviation),
            theta=decay / 365,
            vega=discount * forward * density * sqrt(years) / 100,
            volatility=volatility,
        )

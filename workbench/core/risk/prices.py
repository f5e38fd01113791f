# ruff: noqa: ARG001 - every gate has the one signature of a gate
"""Gates of prices: is what is quoted a price to pay, and does anybody stand behind it."""

from datetime import datetime
from decimal import Decimal

from workbench.core.book import Book
from workbench.core.deployment import Limits
from workbench.core.instrument import InstrumentKind, Right
from workbench.core.risk.asking import Ask
from workbench.core.signal import Side


def premium_range(ask: Ask, book: Book, limits: Limits, now: datetime) -> str | None:
    """A premium outside the range of plan or limits, or a stop below one tick or nearer than three spreads."""
    if ask.instrument.kind is not InstrumentKind.OPTION:
        return None
    plan, price, tick = ask.deployment.plan, ask.price, ask.instrument.tick
    for bounds in (plan, limits.narrowed(ask.deployment.limits)):
        if bounds.min_premium is not None and price < bounds.min_premium:
            return f"premium {price} is below {bounds.min_premium}"
        if bounds.max_premium is not None and price > bounds.max_premium:
            return f"premium {price} is above {bounds.max_premium}"
    stop = (plan.exits if ask.exits is None else ask.exits).stop
    if stop is None:
        return None
    distance = stop.rupees(price)
    if ask.side is Side.BUY and price - distance < tick:
        return f"the stop would lie at {price - distance}, below one tick ({tick})"
    if distance < 3 * ask.quote.spread:
        return f"the stop is {distance} away, nearer than three spreads of {ask.quote.spread}"
    return None


def price_band(ask: Ask, book: Book, limits: Limits, now: datetime) -> str | None:
    """An alert's price far from ours, or a price that the underlying rules out (delayed data, a wrong contract).

    An option never costs more than the underlying (a call) or its strike (a put), and hardly less than what exercise
    would bring. The exchange's own daily band comes with no live price; what lies outside of it the broker rejects.
    """
    percent = limits.narrowed(ask.deployment.limits).max_price_gap_pct
    if ask.price <= 0:
        return f"{ask.price} is no price"
    if percent is None:
        return None
    if ask.spot is None or ask.spot <= 0:
        return f"the price of {ask.deployment.symbol} is not known"
    gap = ask.spot * percent / 100
    if ask.told_price is not None and abs(ask.told_price - ask.spot) > gap:
        return f"the {ask.origin} says {ask.told_price}, ours is {ask.spot}: more than {percent} % apart"
    low, high = _bounds(ask, ask.spot)
    if not low - gap <= ask.price <= high + gap:
        return f"{ask.price} for {ask.instrument.name} does not fit {ask.deployment.symbol} at {ask.spot}"
    return None


def spread(ask: Ask, book: Book, limits: Limits, now: datetime) -> str | None:
    """A spread that is wide in percent of the middle and in ticks."""
    quote = ask.quote
    if ask.instrument.kind is InstrumentKind.SYNTHETIC:
        return None
    if not 0 < quote.bid <= quote.ask:
        return f"bid {quote.bid} and ask {quote.ask} are no market"
    limits = limits.narrowed(ask.deployment.limits)
    percent, ticks = quote.spread * 200 / (quote.bid + quote.ask), quote.spread / ask.instrument.tick
    is_wide = limits.max_spread_pct is not None and percent > limits.max_spread_pct
    many = limits.max_spread_ticks is not None and ticks > limits.max_spread_ticks
    if limits.max_spread_pct is None:
        return f"the spread is {ticks.normalize():f} ticks, at most {limits.max_spread_ticks}" if many else None
    if is_wide and (many or limits.max_spread_ticks is None):
        return f"the spread is {percent:.2f} % ({quote.spread}), at most {limits.max_spread_pct} %"
    return None


def depth(ask: Ask, book: Book, limits: Limits, now: datetime) -> str | None:
    """Less displayed at the best price than the share of our size that must be."""
    percent = limits.narrowed(ask.deployment.limits).min_depth_pct
    if percent is None or ask.instrument.kind is InstrumentKind.SYNTHETIC:
        return None
    shown = ask.quote.ask_quantity if ask.side is Side.BUY else ask.quote.bid_quantity
    if shown <= 0:
        return f"what is offered of {ask.instrument.name} is not known"
    needed = ask.quantity * percent / 100
    return f"{shown} units are shown at the best price, wanted {needed:f}" if shown < needed else None


def _bounds(ask: Ask, spot: Decimal) -> tuple[Decimal, Decimal]:
    """Lowest and highest price that the underlying leaves to the contract."""
    strike = ask.instrument.strike
    if ask.instrument.kind is not InstrumentKind.OPTION or strike is None:
        return spot, spot
    if ask.instrument.right is Right.CE:
        return max(Decimal(0), spot - strike), spot
    return max(Decimal(0), strike - spot), strike

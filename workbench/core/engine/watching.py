"""Contracts that are watched before anybody asks: what a signal would trade now, so that an entry need not wait."""

from decimal import Decimal

from workbench.core.bars import Quote
from workbench.core.deployment import Deployment
from workbench.core.engine import building
from workbench.core.engine.turn import Turn
from workbench.core.errors import WorkbenchError
from workbench.core.instrument import Instrument
from workbench.core.leg_rules import StrikeKind
from workbench.core.legs import Refusal, choose
from workbench.core.messages import Subscribe, Unsubscribe
from workbench.core.plan import Contract, Plan
from workbench.core.signal import Direction

MOVE_PCT = Decimal("0.05")
"""The watch list is looked at again when the spot has moved this much, percent."""


def subscribe_underlyings(turn: Turn) -> None:
    """Ask for quotes of every underlying, and of what is held (start of a day, start-up)."""
    turn.desk.watched.clear()
    turn.desk.watch_spot.clear()
    for symbol in sorted({item.symbol for item in turn.config.deployments}):
        try:
            index = turn.config.listings.instruments.index(symbol)
        except WorkbenchError:
            continue
        turn.desk.watched[index.key] = index
        turn.command(Subscribe(instrument=index))
    for position in turn.book.live_positions():
        turn.command(Subscribe(instrument=position.plan.instrument))


def on_spot(turn: Turn, quote: Quote) -> None:
    """Follow the money: when the spot has moved, watch the contracts that would be chosen now."""
    index = turn.desk.watched.get(quote.key)
    if index is None or index.expiry is not None:
        return
    last = turn.desk.watch_spot.get(quote.key)
    if last is not None and abs(quote.last - last) * 100 < last * MOVE_PCT:
        return
    turn.desk.watch_spot[quote.key] = quote.last
    deployments = [item for item in turn.config.deployments if item.symbol == index.symbol]
    wanted: dict[str, Instrument] = {}
    for deployment in deployments:
        if deployment.plan.contract is Contract.OPTION:
            wanted |= _choices(turn, deployment, quote.last)
    wanted |= {key: each for key, each in building.waiting_for(turn).items() if each.symbol == index.symbol}
    _adjust(turn, index.symbol, wanted)


def _choices(turn: Turn, deployment: Deployment, spot: Decimal) -> dict[str, Instrument]:
    """Both directions, at the spot and half a watch step to either side of it."""
    found = {}
    step = spot * MOVE_PCT / 100
    for plan in _singles(deployment.plan):
        for price in (spot - step, spot, spot + step):
            for direction in Direction:
                chosen = choose(
                    plan,
                    direction,
                    symbol=deployment.symbol,
                    spot=price,
                    now=turn.now,
                    listings=turn.config.listings,
                )
                if not isinstance(chosen, Refusal):
                    found[chosen.key] = chosen
    return found


def _singles(plan: Plan) -> list[Plan]:
    """Give plans of one option that choose what the legs do; a leg by price is known only from a chain."""
    if not plan.is_structure:
        return [plan]
    by_steps = [leg for leg in plan.carried_legs() if leg.rule.kind is StrikeKind.STEPS]
    roll = plan.roll_on_expiry_at
    return [Plan(name=plan.name, expiry=plan.expiry, roll_on_expiry_at=roll, strike=leg.strike) for leg in by_steps]


def _adjust(turn: Turn, symbol: str, wanted: dict[str, Instrument]) -> None:
    watched = turn.desk.watched
    for key, instrument in wanted.items():
        if key not in watched:
            watched[key] = instrument
            if key not in turn.desk.held:
                turn.command(Subscribe(instrument=instrument))
    for key, instrument in list(watched.items()):
        if instrument.symbol != symbol or instrument.expiry is None or key in wanted:
            continue
        del watched[key]
        if key not in turn.desk.held:
            turn.desk.quotes.pop(key, None)
            turn.command(Unsubscribe(instrument=instrument))

"""From a signal or an alert to an entry order: contract, quote, size, gates, order. No step can be skipped."""

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from workbench.core.bars import Interval, Quote
from workbench.core.deployment import Deployment
from workbench.core.engine import steering
from workbench.core.engine.turn import Pending, Turn, Wish
from workbench.core.instrument import Instrument, InstrumentKind, Right, Segment
from workbench.core.legs import Refusal, choose, entry_side, given_contract, right_for
from workbench.core.messages import (
    AlertAction,
    AlertReceived,
    AlertTurnedAway,
    OrderSubmitted,
    PlaceOrder,
    PositionPlanned,
    SignalRaised,
    Subscribe,
)
from workbench.core.money import Rounding, snap_to_tick
from workbench.core.order import OrderTicket, OrderType, Purpose
from workbench.core.plan import Contract, OnOpposite
from workbench.core.position import Position
from workbench.core.risk import Ask, judge, judge_before_contract
from workbench.core.signal import Direction, Side, entry_edge, exit_called
from workbench.core.sizing import quantity

ENTRY_BUFFER_PCT = Decimal(1)
"""An entry is a limit this far beyond the best price: it fills like a market order and never at any price."""

OPPOSITE = "the opposite position to close"


def on_signal(turn: Turn, signal: SignalRaised) -> None:
    """Carry out one row of a strategy's frame."""
    deployment = turn.config.deployment(signal.deployment)
    if deployment is None:
        return
    subject = f"signal:{signal.deployment}:{signal.bar_time:%Y-%m-%dT%H:%M:%S}"
    edge = entry_edge(signal.values, signal.previous)
    held = turn.book.live_of(deployment.name)
    opposite = held is not None and edge is held.plan.direction.opposite
    # An opposite entry leaves by itself, unless the plan ignores it: then the strategy's own exit still counts.
    leaves_by_itself = opposite and deployment.plan.on_opposite is not OnOpposite.IGNORE
    is_held = held is not None and not held.exit_reason
    if held is not None and is_held and not leaves_by_itself and exit_called(signal.values, held.plan.direction):
        turn.decide(subject, deployment.name, "exited", "exit signal", direction=held.plan.direction)
        steering.begin_exit(turn, held.position_id, "signal")
    if edge is None:
        return
    wish = Wish(
        deployment=deployment,
        direction=edge,
        subject=subject,
        origin="signal",
        known_at=signal.known_at,
        max_age=Interval.parse(deployment.interval).delta,
        price=signal.close,
    )
    _towards(turn, wish)


def on_alert(turn: Turn, alert: AlertReceived) -> None:
    """Carry out one alert; whatever comes of it is one line in the record."""
    deployment = turn.config.deployment(alert.deployment)
    if deployment is None or alert.symbol != deployment.symbol:
        reason = "unknown deployment" if deployment is None else f"symbol {alert.symbol!r} is not {deployment.symbol!r}"
        turn.decide(alert.alert_id, alert.deployment, "refused", reason)
        return
    held = turn.book.live_of(deployment.name)
    match alert.action:
        case AlertAction.HOURLY:
            turn.decide(alert.alert_id, deployment.name, "recorded", "hourly bar kept")
        case AlertAction.CLOSE_CALL | AlertAction.CLOSE_PUT | AlertAction.EXIT_GIVEN | AlertAction.TARGET_FLAT:
            _close(turn, alert, deployment, held)
        case AlertAction.BULLISH | AlertAction.OPEN_CALL | AlertAction.TARGET_LONG:
            _towards(turn, _wish(turn, alert, deployment, Direction.LONG))
        case AlertAction.BEARISH | AlertAction.OPEN_PUT | AlertAction.TARGET_SHORT:
            _towards(turn, _wish(turn, alert, deployment, Direction.SHORT))
        case AlertAction.ENTRY_GIVEN:
            _enter_given(turn, alert, deployment)


def on_turned_away(turn: Turn, alert: AlertTurnedAway) -> None:
    """Keep an alert that was refused before it came here."""
    turn.decide(alert.alert_id, alert.deployment, "refused", alert.reason, gate="webhook")


def retry_pending(turn: Turn, deployment: str) -> None:
    """Try a waiting wish again; a wish whose time is over is given up, with the reason."""
    waiting = turn.desk.pending.get(deployment)
    if waiting is None:
        return
    if turn.now > waiting.until:
        gate = "stale" if waiting.waits_for == OPPOSITE else "no_quote"
        drop_pending(turn, deployment, f"gave up waiting for {waiting.waits_for}", gate=gate)
        return
    if waiting.waits_for == OPPOSITE and turn.book.live_of(deployment) is not None:
        return
    del turn.desk.pending[deployment]
    enter(turn, waiting.wish, waiting)


def drop_pending(turn: Turn, deployment: str, reason: str, gate: str = "withdrawn") -> None:
    """Give a waiting wish up; it has its line in the record like every other."""
    waiting = turn.desk.pending.pop(deployment, None)
    if waiting is not None:
        wish = waiting.wish
        turn.decide(wish.subject, deployment, "denied", reason, gate=gate, direction=wish.direction)


def drop_all_pending(turn: Turn, reason: str) -> None:
    """Give every waiting wish up."""
    for deployment in list(turn.desk.pending):
        drop_pending(turn, deployment, reason)


def _wait(turn: Turn, pending: Pending) -> None:
    """Let a wish wait; a newer wish takes the place of an older one."""
    name = pending.wish.deployment.name
    drop_pending(turn, name, f"a newer wish came: {pending.wish.subject}")
    turn.desk.pending[name] = pending


def enter(turn: Turn, wish: Wish, waited: Pending | None = None) -> None:
    """Take a wish through contract, quote, size and gates to an order."""
    deployment = wish.deployment
    session = turn.desk.session(_segment(deployment), turn.now.date())
    denied = judge_before_contract(deployment, turn.book, turn.now, session)
    if denied is not None:
        turn.decide(wish.subject, deployment.name, "denied", denied.reason, gate=denied.gate, direction=wish.direction)
        return
    found = _contract_and_quote(turn, wish)
    if isinstance(found, Refusal):
        turn.decide(wish.subject, deployment.name, "denied", found.reason, gate="contract", direction=wish.direction)
        return
    if isinstance(found, str):
        until = turn.now + timedelta(seconds=turn.config.quote_wait_s)
        if waited is not None and waited.waits_for != OPPOSITE:
            until = waited.until
        _wait(turn, Pending(wish, until, found))
        return
    _order(turn, _sized(turn, wish, found))


@dataclass(frozen=True, slots=True)
class Found:
    """Contract, its quote and the spot it was chosen at."""

    instrument: Instrument
    quote: Quote
    spot: Decimal


@dataclass(frozen=True, slots=True)
class Sized:
    """A wish with everything that an order needs."""

    wish: Wish
    found: Found
    side: Side
    price: Decimal
    units: int


def _sized(turn: Turn, wish: Wish, found: Found) -> Sized:
    plan = wish.deployment.plan
    side = entry_side(plan, wish.direction)
    price = found.quote.ask if side is Side.BUY else found.quote.bid
    capital = turn.config.limits.capital if turn.config.limits.capital is not None else turn.book.funds
    return Sized(wish, found, side, price, quantity(plan, found.instrument, price=price, capital=capital))


def _order(turn: Turn, sized: Sized) -> None:
    """Ask the gates, then write the plan of the position and its entry order."""
    wish, found = sized.wish, sized.found
    deployment, instrument = wish.deployment, found.instrument
    ask = Ask(
        deployment=deployment,
        instrument=instrument,
        side=sized.side,
        quantity=sized.units,
        quote=found.quote,
        price=sized.price,
        origin=wish.origin,
        known_at=wish.known_at,
        max_age=wish.max_age,
        session=turn.desk.session_of(instrument, turn.now.date()),
        open_pnl=steering.open_pnl(turn.desk),
    )
    denied = judge(ask, turn.book, turn.config.limits, turn.now)
    if denied is not None:
        turn.decide(wish.subject, deployment.name, "denied", denied.reason, gate=denied.gate, direction=wish.direction)
        return
    reason = f"{sized.side.value} {sized.units} {instrument.name} near {sized.price}"
    turn.decide(wish.subject, deployment.name, "entered", reason, direction=wish.direction)
    position_id = f"P{turn.day:%y%m%d}-{turn.book.trades_today + 1}"
    turn.emit(
        PositionPlanned(
            position_id=position_id,
            deployment=deployment.name,
            direction=wish.direction,
            side=sized.side,
            instrument=instrument,
            quantity=sized.units,
            product=deployment.plan.product,
            exits=deployment.plan.exits,
            reference_price=sized.price,
            underlying_price=found.spot,
            subject=wish.subject,
            at=turn.now,
            priced_by_model=found.quote.model,
        )
    )
    turn.desk.refresh_held()
    ticket = _ticket(turn, position_id, sized)
    turn.emit(OrderSubmitted(ticket=ticket, at=turn.now))
    if instrument.key not in turn.desk.watched:
        turn.command(Subscribe(instrument=instrument))
    turn.command(PlaceOrder(ticket=ticket))


def _ticket(turn: Turn, position_id: str, sized: Sized) -> OrderTicket:
    instrument, deployment = sized.found.instrument, sized.wish.deployment
    synthetic = instrument.kind is InstrumentKind.SYNTHETIC
    factor = 100 + sized.side.sign * ENTRY_BUFFER_PCT
    rounding = Rounding.UP if sized.side is Side.BUY else Rounding.DOWN
    limit = snap_to_tick(sized.price * factor / 100, instrument.tick, rounding)
    return OrderTicket(
        correlation_id=turn.correlation_id("E"),
        intent_id=f"{position_id}:entry",
        position_id=position_id,
        deployment=deployment.name,
        purpose=Purpose.ENTRY,
        instrument=instrument,
        side=sized.side,
        quantity=sized.units,
        order_type=OrderType.MARKET if synthetic else OrderType.LIMIT,
        product=deployment.plan.product,
        price=Decimal(0) if synthetic else limit,
    )


def _contract_and_quote(turn: Turn, wish: Wish) -> Found | Refusal | str:
    """Contract and quote of a wish; a text names what is waited for."""
    deployment, listings = wish.deployment, turn.config.listings
    plan, symbol = deployment.plan, deployment.symbol
    spot_quote = turn.desk.quotes.get(steering.underlying_key(turn, symbol))
    if plan.is_synthetic:
        spot = wish.price if wish.price is not None else (spot_quote.last if spot_quote else None)
    else:
        spot = spot_quote.last if spot_quote else None
    if spot is None:
        return f"a price of {symbol}"
    if wish.given is not None:
        strike, right = wish.given
        chosen = given_contract(plan, symbol=symbol, strike=strike, right=right, now=turn.now, listings=listings)
    else:
        chosen = choose(plan, wish.direction, symbol=symbol, spot=spot, now=turn.now, listings=listings)
    if isinstance(chosen, Refusal):
        return chosen
    quote = turn.desk.quotes.get(chosen.key)
    if quote is None and plan.is_synthetic:
        snapped = snap_to_tick(spot, chosen.tick)
        quote = Quote(chosen.key, turn.now, snapped, snapped, snapped)
    if quote is None or not (quote.bid > 0 and quote.ask > 0):
        if chosen.key not in turn.desk.watched:
            turn.desk.watched[chosen.key] = chosen
            turn.command(Subscribe(instrument=chosen))
        return f"a quote of {chosen.name}"
    return Found(chosen, quote, spot)


def _towards(turn: Turn, wish: Wish) -> None:
    """Move a deployment towards a direction: enter, reverse, or say why not."""
    held = turn.book.live_of(wish.deployment.name)
    if held is None:
        enter(turn, wish)
        return
    name, plan = wish.deployment.name, wish.deployment.plan
    if held.plan.direction is wish.direction and not held.exit_reason:
        turn.decide(
            wish.subject,
            name,
            "ignored",
            f"{held.plan.instrument.name} is held already",
            gate="one_position_per_symbol",
            direction=wish.direction,
        )
        return
    if held.plan.direction is not wish.direction and plan.on_opposite is OnOpposite.IGNORE:
        turn.decide(wish.subject, name, "ignored", "an opposite position is held", direction=wish.direction)
        return
    is_leaving = bool(held.exit_reason)
    if not is_leaving:
        fate = "reversed" if plan.on_opposite is OnOpposite.REVERSE else "exited"
        turn.decide(wish.subject, name, fate, "opposite signal", direction=wish.direction)
        steering.begin_exit(turn, held.position_id, "opposite")
    if plan.on_opposite is OnOpposite.REVERSE or held.plan.direction is wish.direction:
        _wait(turn, Pending(wish, turn.now + wish.max_age, OPPOSITE))
        retry_pending(turn, name)
    elif is_leaving:
        turn.decide(wish.subject, name, "ignored", f"leaving already: {held.exit_reason}", direction=wish.direction)


def _close(turn: Turn, alert: AlertReceived, deployment: Deployment, held: Position | None) -> None:
    """Close what is held, if it is what the alert means; never open anything."""
    drop_pending(turn, deployment.name, f"a newer alert came: {alert.alert_id}")
    if held is None or not _is_meant(alert, deployment, held):
        reason = "nothing is held" if held is None else f"{held.plan.instrument.name} is held, the alert means another"
        turn.decide(alert.alert_id, deployment.name, "nothing_to_exit", reason)
        return
    if held.exit_reason:
        turn.decide(alert.alert_id, deployment.name, "ignored", f"leaving already: {held.exit_reason}")
        return
    turn.decide(alert.alert_id, deployment.name, "exited", "exit alert")
    steering.begin_exit(turn, held.position_id, "manual" if alert.source == "panel" else "alert")


def _is_meant(alert: AlertReceived, deployment: Deployment, held: Position) -> bool:
    instrument = held.plan.instrument
    match alert.action:
        case AlertAction.TARGET_FLAT:
            return True
        case AlertAction.EXIT_GIVEN:
            return instrument.strike == alert.given_strike and instrument.right is alert.given_right
        case AlertAction.CLOSE_CALL:
            direction = Direction.LONG
        case _:
            direction = Direction.SHORT
    if deployment.plan.contract is Contract.OPTION:
        return instrument.right is (Right.CE if direction is Direction.LONG else Right.PE)
    return held.plan.direction is direction


def _enter_given(turn: Turn, alert: AlertReceived, deployment: Deployment) -> None:
    right, strike = alert.given_right, alert.given_strike
    if right is None or strike is None or deployment.plan.contract is not Contract.OPTION:
        reason = "the alert names an option and this plan trades none"
        turn.decide(alert.alert_id, deployment.name, "denied", reason, gate="contract")
        return
    bullish = right_for(deployment.plan, Direction.LONG) is right
    direction = Direction.LONG if bullish else Direction.SHORT
    _towards(turn, _wish(turn, alert, deployment, direction, given=(strike, right)))


def _wish(
    turn: Turn,
    alert: AlertReceived,
    deployment: Deployment,
    direction: Direction,
    given: tuple[Decimal, Right] | None = None,
) -> Wish:
    return Wish(
        deployment=deployment,
        direction=direction,
        subject=alert.alert_id,
        origin="alert",
        known_at=alert.fired_at,
        max_age=timedelta(seconds=turn.config.limits.max_alert_age_s),
        price=alert.price,
        given=given,
    )


def _segment(deployment: Deployment) -> Segment:
    return Segment.NSE_EQ if deployment.plan.contract is Contract.UNDERLYING else Segment.NSE_FNO

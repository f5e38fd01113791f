"""From a signal or an alert to an entry order: contract, quote, size, gates, order. No step can be skipped."""

from datetime import timedelta
from decimal import Decimal

from workbench.core.bars import Interval, Quote
from workbench.core.deployment import Deployment
from workbench.core.engine import building, day_end, postponing, ranges, siblings, slicing, steering, supers, underlying
from workbench.core.engine.approval import Found, Sized, approve
from workbench.core.engine.turn import Pending, Slice, Slicing, Turn, Wish
from workbench.core.instrument import Right, Segment
from workbench.core.legs import Refusal, choose, entry_side, given_contract, right_for
from workbench.core.messages import (
    AlertAction,
    AlertReceived,
    AlertTurnedAway,
    SignalRaised,
    Subscribe,
)
from workbench.core.money import snap_to_tick
from workbench.core.plan import Contract, Look, OnOpposite, ProtectionRule
from workbench.core.position import Position
from workbench.core.risk import Denied, judge_before_contract
from workbench.core.signal import Direction, Side, entry_edge, exit_called
from workbench.core.sizing import quantity

OPPOSITE = "the opposite position to close"


def on_signal(turn: Turn, signal: SignalRaised) -> None:
    """Carry out one row of a strategy's frame."""
    deployment = turn.config.deployment(signal.deployment)
    if deployment is None:
        return
    if signal.atr is not None:
        turn.desk.atr[deployment.name] = signal.atr
    subject = f"signal:{signal.deployment}:{signal.bar_time:%Y-%m-%dT%H:%M:%S}"
    edge = entry_edge(signal.values, signal.previous)
    held = turn.book.live_of(deployment.name)
    opposite = held is not None and edge is held.plan.direction.opposite
    # An opposite entry leaves by itself, unless the plan ignores it: then the strategy's own exit still counts.
    leaves_by_itself = opposite and deployment.plan.on_opposite is not OnOpposite.IGNORE
    is_held = held is not None and not _is_leaving(turn, held)
    if held is not None and is_held and not leaves_by_itself and exit_called(signal.values, held.plan.direction):
        turn.decide(subject, deployment.name, "exited", "exit signal", direction=held.plan.direction)
        _leave(turn, deployment.name, "signal")
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
            used = underlying.on_hourly_alert(turn, alert)
            fate, reason = ("exited", "hourly bar, for want of our own") if used else ("recorded", "hourly bar kept")
            turn.decide(alert.alert_id, deployment.name, fate, reason)
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


def _leave(turn: Turn, deployment: str, reason: str) -> None:
    """Leave all that an entry of the deployment became."""
    for position in turn.book.all_of(deployment):
        steering.begin_exit(turn, position.position_id, reason)


def _is_leaving(turn: Turn, held: Position) -> bool:
    """It is being left, and not merely held up at its target."""
    return bool(held.exit_reason) and not siblings.is_held_up(turn, held)


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
    building.drop(turn, deployment, reason, gate=gate)


def drop_all_pending(turn: Turn, reason: str) -> None:
    """Give every waiting wish up."""
    for deployment in [*turn.desk.pending, *turn.desk.building]:
        drop_pending(turn, deployment, reason)


def _wait(turn: Turn, pending: Pending) -> None:
    """Let a wish wait; a newer wish takes the place of an older one."""
    name = pending.wish.deployment.name
    drop_pending(turn, name, f"a newer wish came: {pending.wish.subject}")
    turn.desk.pending[name] = pending
    postponing.note(turn, pending)


def enter(turn: Turn, wish: Wish, waited: Pending | None = None) -> None:
    """Take a wish through contract, quote, size and gates to an order."""
    deployment = wish.deployment
    session = turn.desk.session(_segment(deployment), turn.now.date())
    denied = judge_before_contract(deployment, turn.book, turn.now, session, wish.direction)
    if denied is not None:
        turn.decide(wish.subject, deployment.name, "denied", denied.reason, gate=denied.gate, direction=wish.direction)
        return
    resolved = ranges.resolved(turn, wish)
    if resolved is None:
        unknown = ranges.why_unknown(turn, wish)
        turn.decide(wish.subject, deployment.name, "denied", unknown, gate="atr", direction=wish.direction)
        return
    if resolved.deployment.plan.is_structure:
        building.begin(turn, resolved)
        return
    found = _contract_and_quote(turn, resolved)
    if isinstance(found, Refusal):
        turn.decide(wish.subject, deployment.name, "denied", found.reason, gate="contract", direction=wish.direction)
        return
    if isinstance(found, str):
        until = turn.now + timedelta(seconds=turn.config.quote_wait_s)
        if waited is not None and waited.waits_for != OPPOSITE:
            until = waited.until
        _wait(turn, Pending(wish, until, found))
        return
    unfit = _unfit(turn, resolved, found)
    if unfit:
        turn.decide(wish.subject, deployment.name, "denied", unfit, gate="exits", direction=wish.direction)
        return
    _order(turn, _sized(turn, resolved, found))


def _unfit(turn: Turn, wish: Wish, found: Found) -> str:
    """Say why this contract cannot be left as the plan says, or ""."""
    watched, strike = wish.deployment.plan.exits.underlying, found.instrument.strike
    sign = 1 if wish.direction is Direction.LONG else -1
    if watched is not None and watched.strike is Look.TOUCH and strike is not None and sign * (found.spot - strike) < 0:
        return f"{wish.deployment.symbol} at {found.spot} is beyond the strike {strike} already"
    if found.instrument.expiry == turn.now.date() and day_end.is_settled_in_shares(turn, found.instrument):
        return f"{found.instrument.name} expires today and would be settled in shares"
    return ""


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
    pieces = slicing.slices_of(deployment.plan.exits, instrument, sized.units)
    denied = approve(turn, sized, pieces)
    if denied is not None:
        turn.decide(wish.subject, deployment.name, "denied", denied.reason, gate=denied.gate, direction=wish.direction)
        return
    unfit = _unfit_as_super(sized, pieces)
    if unfit:
        turn.decide(wish.subject, deployment.name, "denied", unfit, gate="super_order", direction=wish.direction)
        return
    orders = f" in {len(pieces)} orders" if len(pieces) > 1 else ""
    reason = f"{sized.side.value} {sized.units} {instrument.name} near {sized.price}{orders}"
    turn.decide(wish.subject, deployment.name, "entered", reason, direction=wish.direction)
    slicing.begin(
        turn,
        Slicing(
            wish=wish,
            instrument=instrument,
            side=sized.side,
            price=sized.price,
            spot=found.spot,
            left=pieces,
            priced_by_model=found.quote.model,
            until=turn.now,
        ),
    )


def _unfit_as_super(sized: Sized, pieces: tuple[Slice, ...]) -> str:
    """Say why an entry that is to go as a super order cannot, or ""."""
    rule, instrument = sized.wish.deployment.plan.protection, sized.found.instrument
    if rule is not ProtectionRule.SUPER_ORDER:
        return ""
    limit = slicing.entry_limit(instrument, sized.side, sized.price)
    bracket = supers.bracket_of(
        pieces[0].exits, instrument, side=sized.side, price=sized.price, limit=limit, units=sized.units
    )
    return supers.why_not(bracket, side=sized.side, orders=len(pieces))


def _contract_and_quote(turn: Turn, wish: Wish) -> Found | Refusal | str:
    """Contract and quote of a wish; a text names what is waited for."""
    deployment, listings = wish.deployment, turn.config.listings
    plan, symbol = deployment.plan, deployment.symbol
    spot_quote = turn.desk.quotes.get(turn.desk.underlying_key(symbol))
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
    quote = turn.desk.quotes.get(chosen.key) if turn.desk.is_followed(chosen.key) else None
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
        if plan.pyramiding:
            enter(turn, wish)
            return
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
    is_leaving = bool(held.exit_reason) if held.plan.direction is wish.direction else _is_leaving(turn, held)
    refused = _refused_at_all(turn, wish)
    if not is_leaving:
        fate = "reversed" if plan.on_opposite is OnOpposite.REVERSE and not refused else "exited"
        reason = f"opposite signal; nothing is entered: {refused.reason}" if refused else "opposite signal"
        turn.decide(wish.subject, name, fate, reason, direction=wish.direction)
        if refused is not None and plan.on_opposite is OnOpposite.REVERSE:
            turn.tell_refused(name, refused.gate, refused.reason, wish.direction)
        _leave(turn, name, "opposite")
    if refused is not None:
        if is_leaving:
            turn.decide(wish.subject, name, "denied", refused.reason, gate=refused.gate, direction=wish.direction)
        return
    if plan.on_opposite is OnOpposite.REVERSE or held.plan.direction is wish.direction:
        _wait(turn, Pending(wish, turn.now + wish.max_age, OPPOSITE))
        retry_pending(turn, name)
    elif is_leaving:
        turn.decide(wish.subject, name, "ignored", f"leaving already: {held.exit_reason}", direction=wish.direction)


def _refused_at_all(turn: Turn, wish: Wish) -> Denied | None:
    """Give the switch that keeps every entry out, so that a reversal is told as the exit that it is then."""
    session = turn.desk.session(_segment(wish.deployment), turn.now.date())
    denied = judge_before_contract(wish.deployment, turn.book, turn.now, session, wish.direction)
    return denied if denied is not None and denied.gate in ("trading_switch", "frozen") else None


def _close(turn: Turn, alert: AlertReceived, deployment: Deployment, held: Position | None) -> None:
    """Close what is held, if it is what the alert means; never open anything."""
    name, desk = deployment.name, turn.desk
    waiting = [each[name].wish for each in (desk.pending, desk.building) if name in each]
    if any(_is_wish_meant(alert, wish) for wish in waiting):
        drop_pending(turn, name, f"a newer alert came: {alert.alert_id}")
    legs = [held] if held is None or not held.plan.structure else turn.book.all_of(deployment.name)
    if held is None or not any(_is_meant(alert, deployment, leg) for leg in legs if leg is not None):
        reason = "nothing is held" if held is None else f"{held.plan.instrument.name} is held, the alert means another"
        turn.decide(alert.alert_id, deployment.name, "nothing_to_exit", reason)
        return
    if _is_leaving(turn, held):
        turn.decide(alert.alert_id, deployment.name, "ignored", f"leaving already: {held.exit_reason}")
        return
    turn.decide(alert.alert_id, deployment.name, "exited", "exit alert")
    _leave(turn, deployment.name, "manual" if alert.source == "panel" else "alert")


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
    if deployment.plan.contract is Contract.OPTION and not held.plan.structure:
        return instrument.right is (Right.CE if direction is Direction.LONG else Right.PE)
    return held.plan.direction is direction


def _is_wish_meant(alert: AlertReceived, wish: Wish) -> bool:
    """Say whether an exit means what still waits; one of a put leaves a wish for a call alone."""
    plan = wish.deployment.plan
    if alert.action is AlertAction.TARGET_FLAT:
        return True
    if plan.contract is not Contract.OPTION or plan.is_structure:
        meant = {AlertAction.CLOSE_CALL: Direction.LONG, AlertAction.CLOSE_PUT: Direction.SHORT}
        return meant.get(alert.action, wish.direction) is wish.direction
    strike, right = wish.given or (alert.given_strike, right_for(plan, wish.direction))
    if alert.action is AlertAction.EXIT_GIVEN:
        return (strike, right) == (alert.given_strike, alert.given_right)
    return right is (Right.CE if alert.action is AlertAction.CLOSE_CALL else Right.PE)


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

"""From a wish to legs that are sent: contracts, quotes, margin, gates; sold legs once the bought ones are held.

Each step may have to wait for an answer; what waits may be lost with the process. Then nothing more is sent, and what
was bought already is sold again (`structures`).

Invariant: no leg is sold before every bought leg has filled in whole and the margin was read after that; what is not
known in time is refused.
"""

from datetime import timedelta
from decimal import Decimal

from workbench.core.engine import approval, postponing, slicing, structures
from workbench.core.engine.approval import Found, Sized
from workbench.core.engine.bare import bare_contract
from workbench.core.engine.turn import Building, Pending, Slice, Turn, Wish
from workbench.core.hedge import by_price, hedge_for
from workbench.core.instrument import Instrument
from workbench.core.leg_rules import Combined, Leg, StrikeKind
from workbench.core.legs import Refusal, by_strike, expiry_of
from workbench.core.messages import (
    ChainRead,
    MarginRead,
    OrderSubmitted,
    PlaceOrder,
    PlannedLeg,
    PositionPlanned,
    ReadChain,
    ReadMargin,
    StructurePlanned,
    Subscribe,
)
from workbench.core.money import ZERO, Rounding, snap_to_tick
from workbench.core.order import OrderTicket, OrderType, Purpose
from workbench.core.signal import Side
from workbench.core.structure import Structure, level, needs_premium, payoff

CHAIN_WAIT = timedelta(seconds=12)
"""So long a chain is waited for: the broker gives one in three seconds."""

MARGIN_WAIT = timedelta(seconds=8)

LEGS = "its legs"

LEGS_CLOSE = "the legs lie on one contract"


def begin(turn: Turn, wish: Wish) -> None:
    """Take up a wish that becomes legs; a newer one takes the place of one that still waits."""
    name = wish.deployment.name
    drop(turn, name, f"a newer wish came: {wish.subject}")
    until = turn.now + timedelta(seconds=turn.config.quote_wait_s)
    turn.desk.building[name] = Building(wish=wish, until=until)
    advance(turn, name)
    if name in turn.desk.building and not turn.desk.building[name].structure_id:
        postponing.note(turn, Pending(wish, turn.now + wish.max_age, LEGS))


def drop(turn: Turn, name: str, reason: str, gate: str = "withdrawn") -> None:
    """Give up what waits and has sent nothing yet, with its line in the record."""
    building = turn.desk.building.get(name)
    if building is None or building.structure_id:
        return
    del turn.desk.building[name]
    wish = building.wish
    turn.decide(wish.subject, name, "denied", reason, gate=gate, direction=wish.direction)


def advance(turn: Turn, name: str) -> None:
    """Go one step further where what was waited for is there."""
    building = turn.desk.building.get(name)
    if building is None:
        return
    if building.structure_id:
        _sell_when_bought(turn, building)
        return
    if turn.now > building.until:
        drop(turn, name, f"gave up waiting for {building.waits_for}", gate="no_quote")
        return
    found = _sized(turn, building)
    if isinstance(found, str):
        building.waits_for = found
    elif isinstance(found, Refusal):
        drop(turn, name, found.reason, gate="contract")
    else:
        _judge(turn, building, found)


def on_read(turn: Turn, read: ChainRead | MarginRead) -> None:
    """Take the chain or the margin that somebody waits for; an answer that nobody waits for any more is nothing."""
    for name, building in list(turn.desk.building.items()):
        if building.asked != read.asked_by:
            continue
        match read:
            case ChainRead() if not read.known:
                drop(turn, name, f"the option chain could not be read: {read.reason}", gate="chain")
            case ChainRead():
                building.chain = read.rows
                building.until = turn.now + timedelta(seconds=turn.config.quote_wait_s)
            case MarginRead():
                building.margin = read


# --- contracts and prices -----------------------------------------------------------------------------------------


def _sized(turn: Turn, building: Building) -> tuple[Sized, ...] | Refusal | str:
    """Contract, quote and size of every leg; a text names what is waited for."""
    wish = building.wish
    spot = turn.desk.quotes.get(turn.desk.underlying_key(wish.deployment.symbol))
    if spot is None:
        return f"a price of {wish.deployment.symbol}"
    legs = wish.deployment.plan.carried_legs()
    if not building.chosen:
        chosen = _choose(turn, building, legs, spot.last)
        if not isinstance(chosen, tuple):
            return chosen
        if len({each.key for each in chosen}) < len(chosen):
            return Refusal(LEGS_CLOSE)
        building.chosen = chosen
    found = []
    for leg, instrument in zip(legs, building.chosen, strict=True):
        quote = turn.desk.quotes.get(instrument.key)
        if quote is None or quote.bid <= 0 or quote.ask <= 0:
            for each in building.chosen:
                if each.key not in turn.desk.watched:
                    turn.desk.watched[each.key] = each
                    turn.command(Subscribe(instrument=each))
            return f"a quote of {instrument.name}"
        price = quote.ask if leg.side is Side.BUY else quote.bid
        units = leg.lots * (wish.deployment.plan.lots or 0) * instrument.lot
        found.append(Sized(wish, Found(instrument, quote, spot.last), leg.side, price, units))
    return tuple(found)


def _choose(
    turn: Turn, building: Building, legs: tuple[Leg, ...], spot: Decimal
) -> tuple[Instrument, ...] | Refusal | str:
    wish, listings = building.wish, turn.config.listings
    plan, symbol = wish.deployment.plan, wish.deployment.symbol
    expiry = expiry_of(plan, symbol, turn.now, listings)
    if isinstance(expiry, Refusal):
        return expiry
    if building.chain is None and any(leg.rule.needs_chain for leg in legs):
        if not building.asked:
            building.asked = f"{wish.deployment.name}|{wish.subject}|chain"
            building.until = turn.now + CHAIN_WAIT
            turn.command(ReadChain(asked_by=building.asked, symbol=symbol, expiry=expiry))
        return f"the option chain of {symbol} {expiry}"
    listed = listings.instruments.options(symbol, expiry)
    found: dict[int, Instrument] = {}
    for number, leg in sorted(enumerate(legs), key=lambda pair: pair[1].rule.kind is StrikeKind.HEDGE):
        right, rule = leg.right.of(wish.direction), leg.rule
        chosen: Instrument | Refusal
        if rule.kind is StrikeKind.HEDGE:
            main = next(each for other, each in found.items() if legs[other].side is Side.SELL)
            ratio = Decimal(0) if plan.hedge is None else plan.hedge.premium_ratio
            chosen = hedge_for(main, listed, ratio, building.chain or ())
        elif rule.kind is StrikeKind.GIVEN or (wish.given is not None and not plan.legs):
            strike = None if wish.given is None else wish.given[0]
            fitting = [each for each in listed if each.strike == strike and each.right is right]
            chosen = fitting[0] if fitting else Refusal(f"{symbol} {expiry} {strike} {right.value} is not listed")
            if strike is None:
                chosen = Refusal("the strike is to be given by the alert, and this names none")
        elif wish.given is not None:
            chosen = Refusal("the alert names an option, and the plan chooses its legs itself")
        elif rule.kind is StrikeKind.STEPS:
            chosen = by_strike(listings.instruments, symbol, expiry, right, spot=spot, steps=int(rule.value))
        else:
            chosen = by_price(listed, right, rule, building.chain or ())
        if isinstance(chosen, Refusal):
            return chosen
        found[number] = chosen
    return tuple(found[number] for number in range(len(legs)))


# --- may it be entered --------------------------------------------------------------------------------------------


def _judge(turn: Turn, building: Building, sized: tuple[Sized, ...]) -> None:
    """Have the margin read where something is sold, ask the gates, plan, and send what is bought first."""
    wish = building.wish
    name, legs = wish.deployment.name, wish.deployment.plan.carried_legs()
    planned = _planned_legs(turn, sized, legs)
    combined = wish.deployment.plan.combined or Combined()
    together = payoff(planned)
    if needs_premium(combined) and together.premium == 0:
        drop(turn, name, "the legs cost nothing together, so a percentage of it is nothing", gate="exits")
        return
    if any(each.side is Side.SELL for each in sized):
        refusal = _margin_first(turn, building, planned)
        if refusal is None:
            return
        if refusal:
            drop(turn, name, refusal, gate="margin")
            return
    beside = approval.Beside(
        legs=sized,
        margin=None if building.margin is None else building.margin.total,
        worst_loss=_at_risk(planned, combined, together.worst_loss, together.premium),
    )
    for leg, each in zip(legs, sized, strict=True):
        unfit = approval.unfit(turn, each, leg.exits)
        if unfit:
            drop(turn, name, unfit, gate="exits")
            return
        denied = approval.approve(turn, each, (Slice(each.units, leg.exits),), beside=beside)
        if denied is not None:
            drop(turn, name, denied.reason, gate=denied.gate)
            return
    _plan(turn, building, planned, combined)


def _planned_legs(turn: Turn, sized: tuple[Sized, ...], legs: tuple[Leg, ...]) -> tuple[PlannedLeg, ...]:
    group = f"P{turn.day:%y%m%d}-{turn.book.trades_today + 1}"
    return tuple(
        PlannedLeg(
            position_id=group if not number else f"{group}.{number + 1}",
            instrument=each.found.instrument,
            side=each.side,
            quantity=each.units,
            exits=leg.exits,
            price=each.price,
        )
        for number, (each, leg) in enumerate(zip(sized, legs, strict=True))
    )


def _margin_first(turn: Turn, building: Building, planned: tuple[PlannedLeg, ...]) -> str | None:
    """Say why the margin does not allow it, "" where it does, None while it is waited for."""
    wish = building.wish
    if building.margin is None:
        asked = f"{wish.deployment.name}|{wish.subject}|margin"
        if building.asked != asked:
            building.asked, building.until = asked, turn.now + MARGIN_WAIT
            tickets = tuple(_ticket(turn, wish, leg, leg.price) for leg in planned)
            turn.command(ReadMargin(asked_by=asked, tickets=tickets))
        building.waits_for = "the margin"
        return None
    return lacking(turn, building.margin)


def lacking(turn: Turn, read: MarginRead) -> str:
    """Say why a margin does not allow an entry, or ""."""
    if not read.known or read.total is None:
        return f"the margin could not be read: {read.reason or 'no total was told'}"
    available = read.available if read.available is not None else turn.book.funds
    if available is None:
        return "free funds are not known"
    return f"blocks Rs {read.total:.2f}, free funds are Rs {available:.2f}" if read.total > available else ""


def _at_risk(
    planned: tuple[PlannedLeg, ...], combined: Combined, worst: Decimal | None, premium: Decimal
) -> Decimal | None:
    """Least of what bounds the loss: the strikes, the combined stop, the stops of all legs; rupees."""
    stops = ZERO
    for leg in planned:
        distance = leg.exits.stop
        if distance is None and leg.side is Side.SELL:
            return worst
        own = leg.price if distance is None else distance.rupees(leg.price)
        stops += (min(own, leg.price) if leg.side is Side.BUY else own) * leg.quantity
    known = [each for each in (worst, level(combined.stop, premium), stops) if each is not None]
    return min(known)


# --- sending ------------------------------------------------------------------------------------------------------


def _plan(turn: Turn, building: Building, planned: tuple[PlannedLeg, ...], combined: Combined) -> None:
    wish = building.wish
    name = wish.deployment.name
    together, alone = payoff(planned), payoff(planned, without_cover=True)
    words = ", ".join(f"{leg.side.value} {leg.quantity} {leg.instrument.name} near {leg.price}" for leg in planned)
    turn.decide(wish.subject, name, "entered", words, direction=wish.direction)
    building.structure_id = planned[0].position_id
    quotes = turn.desk.quotes
    turn.emit(
        StructurePlanned(
            structure_id=building.structure_id,
            deployment=name,
            direction=wish.direction,
            legs=planned,
            combined=combined,
            underlying_price=quotes[turn.desk.underlying_key(wish.deployment.symbol)].last,
            subject=wish.subject,
            at=turn.now,
            premium=together.premium,
            breakevens=together.breakevens,
            worst_loss=together.worst_loss,
            worst_loss_unhedged=alone.worst_loss,
            margin=None if building.margin is None else building.margin.total,
            is_hedged=wish.deployment.plan.hedge is not None,
            priced_by_model=any(quotes[leg.instrument.key].model for leg in planned),
        )
    )
    building.margin = None
    first = Side.BUY if any(leg.side is Side.BUY for leg in planned) else Side.SELL
    _send_side(turn, building, first)


def _sell_when_bought(turn: Turn, building: Building) -> None:
    """Sell the sold legs once every bought one has filled in whole, and the margin was read after that."""
    name, structure = building.wish.deployment.name, turn.book.structures.get(building.structure_id)
    if structure is None or structure.left_for or structure.stood is not None:
        turn.desk.building.pop(name, None)
        return
    bought = [leg for leg in structure.plan.legs if leg.side is Side.BUY]
    if not all(structures.is_entered(turn, leg.position_id) for leg in bought):
        return
    against = _why_not(turn, structure)
    if against:
        structures.leave(turn, structure, "leg_failed", against)
        return
    asked = f"{name}|{structure.plan.subject}|margin again"
    if building.asked != asked:
        building.asked, building.margin = asked, None
        tickets = tuple(_ticket(turn, building.wish, leg, leg.price) for leg in structure.plan.legs)
        turn.command(ReadMargin(asked_by=asked, tickets=tickets))
        return
    if building.margin is None:
        return
    against = lacking(turn, building.margin)
    if against:
        structures.leave(turn, structure, "margin", against)
        return
    _send_side(turn, building, Side.SELL)


def _why_not(turn: Turn, structure: Structure) -> str:
    """Say why the sold legs are not sold any more, or ""."""
    book = turn.book
    session = turn.desk.session_of(structure.plan.legs[0].instrument, turn.now.date())
    if book.halted or book.frozen:
        return "entries are halted" if book.halted else "the account is frozen"
    if structure.plan.deployment in book.switched_off:
        return f"entries of {structure.plan.deployment} are halted"
    if not book.feed_alive:
        return "market data is not alive"
    if session is None or not session.contains(turn.now) or turn.now >= session.square_off_start:
        return "the session ends"
    if bare := bare_contract(turn):
        return f"{bare} is held without its stop at the broker"
    return ""


def _send_side(turn: Turn, building: Building, side: Side) -> None:
    """Send the legs of one side; nothing more is to come after the last."""
    structure, wish = turn.book.structures[building.structure_id], building.wish
    sending = [leg for leg in structure.plan.legs if leg.side is side]
    prices = []
    for leg in sending:
        quote = turn.desk.quotes.get(leg.instrument.key)
        price = ZERO if quote is None else quote.ask if side is Side.BUY else quote.bid
        if price <= 0:
            return  # nobody quotes it now: waited for, and left if it takes too long
        prices.append(price)
    for leg, price in zip(sending, prices, strict=True):
        _send(turn, wish, structure, leg, price)
    if len(structure.leg_ids) == sum(each in turn.book.positions for each in structure.leg_ids):
        turn.desk.building.pop(wish.deployment.name, None)


def _send(turn: Turn, wish: Wish, structure: Structure, leg: PlannedLeg, price: Decimal) -> None:
    is_first = leg.position_id == structure.structure_id
    turn.emit(
        PositionPlanned(
            position_id=leg.position_id,
            deployment=wish.deployment.name,
            direction=wish.direction,
            side=leg.side,
            instrument=leg.instrument,
            quantity=leg.quantity,
            product=wish.deployment.plan.product,
            exits=leg.exits,
            reference_price=price,
            underlying_price=structure.plan.underlying_price,
            subject=wish.subject,
            at=turn.now,
            priced_by_model=structure.plan.priced_by_model,
            group="" if is_first else structure.structure_id,
            structure=structure.structure_id,
        )
    )
    turn.desk.refresh_held()
    ticket = _ticket(turn, wish, leg, price)
    turn.emit(OrderSubmitted(ticket=ticket, at=turn.now))
    if leg.instrument.key not in turn.desk.watched:
        turn.command(Subscribe(instrument=leg.instrument))
    turn.command(PlaceOrder(ticket=ticket))


def _ticket(turn: Turn, wish: Wish, leg: PlannedLeg, price: Decimal) -> OrderTicket:
    side = leg.side
    rounding = Rounding.UP if side is Side.BUY else Rounding.DOWN
    limit = snap_to_tick(price * (100 + side.sign * slicing.ENTRY_BUFFER_PCT) / 100, leg.instrument.tick, rounding)
    return OrderTicket(
        correlation_id=turn.correlation_id("E"),
        intent_id=f"{leg.position_id}:entry",
        position_id=leg.position_id,
        deployment=wish.deployment.name,
        purpose=Purpose.ENTRY,
        instrument=leg.instrument,
        side=side,
        quantity=leg.quantity,
        order_type=OrderType.LIMIT,
        product=wish.deployment.plan.product,
        price=limit,
    )


def waiting_for(turn: Turn) -> dict[str, Instrument]:
    """Contracts of wishes that wait: their quotes are needed."""
    return {each.key: each for building in turn.desk.building.values() for each in building.chosen}

"""What a person does in the broker's own app with a position of ours: seen, booked where it is known, never fought.

The broker's word on an order that is not ours makes us look. Where his trade book tells of foreign executions that
explain the whole difference, they are booked at their prices; else a person tells the price. Either way the account is
frozen until a person says that he is done (fault R23).

Invariant: nothing is booked that does not explain a difference to the unit, and nothing that is not gone at the broker.
"""

from collections.abc import Iterable, Sequence
from decimal import Decimal

from workbench.core.engine import sending, steering
from workbench.core.engine.turn import Turn
from workbench.core.messages import (
    AccountFrozen,
    BrokerOrder,
    BrokerTrade,
    ClosedByHand,
    ExitBegan,
    FilledByHand,
    Level,
    SnapshotTaken,
)
from workbench.core.position import BY_HAND, TOLD, Position, PositionState
from workbench.core.reconcile import in_flight, may_be_a_leg, unanswered
from workbench.core.signal import Side

EXTERNAL = "external"
"""Why a position was left that a person, or the broker himself, closed without us."""

Key = tuple[str, str]


def on_foreign(turn: Turn, seen: BrokerOrder) -> None:
    """Look at once when an order that is not ours trades what we hold: our exits may be too large now."""
    if seen.filled_quantity and (seen.segment, seen.security_id) in _held(turn):
        sending.ask_snapshot(turn, f"order {seen.order_id} is not ours and trades what we hold")


def touched(turn: Turn, foreign: Iterable[BrokerOrder]) -> set[str]:
    """Keys of instruments that we hold and that an order which is not ours has traded.

    An exit that is chased is changed again and again: that must not put off that it asks for less (fault R23). Nor must
    an entry that is not answered and is looked for thirty seconds: only what leaves can explain that units are gone.
    """
    held, leaving = _held(turn), unanswered(turn.book)
    traded = {(row.segment, row.security_id) for row in foreign if row.filled_quantity}
    return {
        position.plan.instrument.key
        for key in traded & held.keys()
        for position in held[key]
        if (key, position.side.opposite) not in leaving
    }


def unbooked(turn: Turn, foreign: Iterable[BrokerOrder]) -> dict[Key, int]:
    """Net units that orders which are not ours have traded today, by contract, without what is booked of them."""
    net: dict[Key, int] = {}
    for row in foreign:
        key = (row.segment, row.security_id)
        net[key] = net.get(key, 0) + row.side.sign * row.filled_quantity
    for position in turn.book.positions.values():
        instrument = position.plan.instrument
        key = (instrument.segment.value, instrument.security_id)
        for fill in position.fills:
            if fill.correlation_id.startswith(BY_HAND) and fill.at.date() == turn.day:
                net[key] = net.get(key, 0) + position.side.sign * fill.quantity
    return net


def others(turn: Turn, rows: Iterable[BrokerOrder]) -> list[BrokerOrder]:
    """Give the rows that are surely of no order of ours; what may be a leg that nobody has shown yet is not.

    What such a row has traded explains nothing by itself: taken for a person's it would be booked once as his, and
    once more as the leg's when that is shown (fault R23). It is gone at the broker all the same, and no exit asks for
    it; the account freezes on the difference where it stands.
    """
    return [
        row
        for row in rows
        if not turn.book.is_own_leg(row) and not _may_be_a_leg(turn, (row.segment, row.security_id), row.side)
    ]


def _may_be_a_leg(turn: Turn, key: Key, side: Side) -> bool:
    return may_be_a_leg(turn.book, key, side, legs_read=turn.desk.legs_read)


def explain(turn: Turn, snapshot: SnapshotTaken, foreign: Sequence[BrokerOrder]) -> list[str]:
    """Book what was left by hand, where foreign executions explain all that is gone; each is named.

    While something of ours is under way in that contract nothing is judged: its execution might look like another's.
    """
    if not foreign:
        return []
    numbers = {row.order_id for row in foreign}
    theirs: dict[Key, int] = {}
    for row in snapshot.positions:
        theirs[row.segment, row.security_id] = theirs.get((row.segment, row.security_id), 0) + row.net_quantity
    named: list[str] = []
    for key, positions in _held(turn).items():
        if in_flight(turn.book, key):
            continue
        trades = [each for each in snapshot.trades if (each.segment, each.security_id) == key]
        fresh = _fresh(positions, [each for each in trades if each.order_id in numbers], turn)
        if fresh and sum(units for _, units, _ in fresh) == _gone(turn, key, theirs.get(key, 0)):
            named += _book(turn, positions, fresh)
    if named:
        turn.emit(AccountFrozen(differences=(*turn.book.frozen, *named), at=turn.now))
        turn.tell(Level.ALARM, f"account frozen: {'; '.join(named)}")
    return named


def on_told(turn: Turn, told: ClosedByHand) -> None:
    """Book what a person says he has closed himself, where the broker surely holds so much less."""
    position = turn.book.positions.get(told.position_id)
    refusal = _why_not(turn, position, told)
    if position is None or refusal:
        turn.tell(Level.WARNING, f"closed by hand: {refusal}")
        return
    number = f"{TOLD}{position.position_id}-{len(position.fills)}"
    _fill(turn, position, told.quantity, told.price, number)
    _follow(turn, position.position_id)
    name = position.plan.instrument.name
    turn.tell(Level.WARNING, f"{told.who} says: {told.quantity} units of {name} were closed by hand at {told.price}")
    sending.ask_snapshot(turn, "closed by hand: looking again")


def _why_not(turn: Turn, position: Position | None, told: ClosedByHand) -> str:
    if position is None or not position.is_live or position.state is PositionState.EXPIRING:
        return f"there is no open position {told.position_id}"
    instrument, held = position.plan.instrument, position.open_quantity
    if not 0 < told.quantity <= held or told.price <= 0:
        return f"{told.quantity} units at {told.price} cannot be: {held} units of {instrument.name} are open"
    at_broker = turn.desk.broker_holds.get(instrument.key)
    key = (instrument.segment.value, instrument.security_id)
    gone = 0 if at_broker is None else _gone(turn, key, at_broker)
    if gone >= told.quantity and _may_be_a_leg(turn, key, position.side.opposite):
        return (
            f"{told.quantity} units of {instrument.name} may have left by a leg of a super order that the broker has "
            "not shown yet: say it again once his list of super orders could be read"
        )
    if gone < told.quantity:
        return (
            f"{max(0, gone)} units of {instrument.name} are gone at the broker by the last looks, not {told.quantity}"
        )
    return ""


def _held(turn: Turn) -> dict[Key, list[Position]]:
    """Live positions with units by instrument, where all are on one side."""
    held: dict[Key, list[Position]] = {}
    for position in turn.book.live_positions():
        if position.open_quantity > 0 and position.state is not PositionState.EXPIRING:
            instrument = position.plan.instrument
            held.setdefault((instrument.segment.value, instrument.security_id), []).append(position)
    return {key: found for key, found in held.items() if len({each.side for each in found}) == 1}


def _gone(turn: Turn, key: Key, at_broker: int) -> int:
    """Units that our book holds and the broker does not; of a reversed position no more than ours."""
    ours = turn.book.net_by_instrument().get(key, 0)
    sign = 1 if ours > 0 else -1
    return sign * (ours - at_broker) if sign * at_broker >= 0 else abs(ours)


def _fresh(positions: Sequence[Position], trades: Sequence[BrokerTrade], turn: Turn) -> list[tuple[str, int, Decimal]]:
    """Foreign executions that are not booked yet: number of the order, units, price.

    Empty where one of them is on the side of the entry: whose units a later one then left is a person's to say.
    """
    booked: dict[str, int] = {}
    for position in turn.book.positions.values():
        for fill in position.fills:
            booked[fill.correlation_id] = booked.get(fill.correlation_id, 0) + fill.quantity
    if any(each.side is positions[0].side for each in trades):
        return []
    found = []
    for each in trades:
        known = min(each.quantity, booked.get(BY_HAND + each.order_id, 0))
        if known:
            booked[BY_HAND + each.order_id] -= known
        if each.quantity > known:
            found.append((each.order_id, each.quantity - known, each.price))
    return found


def _book(turn: Turn, positions: Sequence[Position], fresh: Sequence[tuple[str, int, Decimal]]) -> list[str]:
    """Take the units from the newest position first, as exits are shrunk (`steering`)."""
    named = []
    for number, units, price in fresh:
        left = units
        for position in reversed([turn.book.positions[each.position_id] for each in positions]):
            taken = min(left, position.open_quantity)
            if taken > 0:
                _fill(turn, position, taken, price, number)
                left -= taken
        name = positions[0].plan.instrument.name
        named.append(f"{name}: {units} units were left without us at {price:.2f} (order {number}, not ours)")
    for position in positions:
        _follow(turn, position.position_id)
    return named


def _fill(turn: Turn, position: Position, units: int, price: Decimal, number: str) -> None:
    position_id = position.position_id
    turn.emit(FilledByHand(position_id=position_id, quantity=units, price=price, at=turn.now, order_id=number))
    if not turn.book.positions[position_id].open_quantity and position.state is not PositionState.EXITING:
        turn.emit(ExitBegan(position_id=position_id, reason=EXTERNAL, at=turn.now))


def _follow(turn: Turn, position_id: str) -> None:
    """Bring our own orders to what is left, once for all that was booked."""
    sending.withdraw_entry(turn, position_id)
    steering.steer(turn, position_id)

"""The broker's snapshot laid beside the book: fold in what it explains, freeze on what it does not."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from workbench.core.engine import by_hand, orders, postponing, sending, slicing, steering
from workbench.core.engine.turn import Mismatch, Turn
from workbench.core.instrument import Instrument
from workbench.core.messages import (
    AccountFrozen,
    BrokerOrder,
    CancelEnded,
    FundsSeen,
    Level,
    OrderChangeEnded,
    OrderMoved,
    Outcome,
    Reconciled,
    SnapshotTaken,
)
from workbench.core.order import Order, OrderChange, OrderState, OrderType, Purpose
from workbench.core.reconcile import (
    Difference,
    Findings,
    compare_orders,
    compare_positions,
    counted_once,
    in_flight,
    is_holding,
    unanswered,
)

ABSENT_LOOKS = 3
"""Full snapshots that must miss an unanswered order before it is given up (fault R1); a late fill is still believed."""

ENTRY_ABSENT_S = 30
"""Market seconds that an unanswered entry is looked for at least: a look-up can lag (fault R1)."""

EXIT_ABSENT_S = 7
"""The same for a stop or an exit, which leaves a position bare and must be replaced within ten seconds (fault R13).

It is looked for each second. One that is listed only after that is taken back as soon as it is.
"""

EXIT_HELD_S = 10
"""The same for an exit whose look-up by id fails, while each look shows every unit that it was to sell.

It crosses the spread, so at the broker it would have filled, and his positions are read from another place than his
orders. A stop rests, and an entry may have been refused: nothing but the orders tells of them, so they are looked for
as long as an entry. Without this three exits in a row would leave a position bare for a minute and a half (fault R13).
"""

CONFIRM_S = 5
"""A difference of positions must stand this long, while nothing is under way, before it freezes the account."""

RECENT_S = 30
"""An answer that comes so long after its look began has slept with the computer: alone it confirms no difference."""

STANDS_S = 30
"""A difference of one sign that has stood this long freezes, whatever is traded or under way in its contract.

Longer than an entry in slices can go on to fill (15 s of sending, 5 s until the last is taken back) and a list that
lags behind it: else steady trading of ours would put off for as long as it lasts what it does not explain (fault R24).
"""

STANDS_LOOKS = 5
"""So many looks must have seen it: two that are far apart may each lag behind a fill of their own."""


def on_snapshot(turn: Turn, snapshot: SnapshotTaken) -> None:
    """Reconcile; every difference is named, and what nothing explains freezes the account."""
    if not snapshot.known:
        turn.tell(Level.ALARM, f"the broker's state could not be read: {snapshot.reason}; unknown is not flat")
        return
    turn.desk.word = snapshot.taken_at, turn.now
    if snapshot.available_funds is not None and snapshot.available_funds != turn.book.funds:
        turn.emit(FundsSeen(available=snapshot.available_funds, at=turn.now))
    named: list[str] = []
    snapshot = replace(snapshot, orders=counted_once(turn.book, snapshot.orders))
    findings = compare_orders(turn.book, snapshot)
    for correlation_id, row in findings.updates:
        named += _fold(turn, turn.book.orders[correlation_id], row)
    folded = {correlation_id for correlation_id, _ in findings.updates}
    for row in snapshot.orders:
        leg = turn.book.of_row(row) if row.leg is not None else None
        if leg is not None and leg.ticket.correlation_id not in folded:
            named += _fold(turn, leg, row)  # its entry has filled by this very look
    if snapshot.with_legs:
        turn.desk.legs_seen = turn.now
        turn.desk.legs_read = turn.desk.legs_read if snapshot.legs_unread else snapshot.taken_at
    absent, given_up = _absent(turn, findings, snapshot)
    named += absent
    is_first_word = _is_first_word(turn, snapshot)
    if is_first_word:
        given_up += _given_up_before(turn)
    others = by_hand.others(turn, findings.foreign)
    named += [f"order {row.order_id} at the broker is not ours ({row.raw_status})" for row in others]
    named += [
        f"order {row.order_id} at the broker may be a leg that his list of super orders has not shown"
        for row in findings.foreign
        if row not in others
    ]
    named += by_hand.explain(turn, snapshot, others)
    unexplained = compare_positions(turn.book, snapshot)
    confirmed = _confirm(turn, unexplained, snapshot.taken_at)
    filled_unseen = tuple(each for each in unexplained if _is_of(each, given_up) and each not in confirmed)
    unheard: tuple[Difference, ...] = ()
    if is_first_word:
        turn.desk.blind = frozenset()
        unheard = unexplained
    not_booked = (*findings.foreign, *findings.unplaced)
    _hold_back(turn, snapshot, not_booked, confirmed=confirmed, filled_unseen=filled_unseen, unheard=unheard)
    for position in turn.book.live_positions():
        steering.steer(turn, position.position_id)
    last = turn.book.last_reconciled
    if last is None or named or unexplained or last.differences:
        turn.emit(Reconciled(at=turn.now, differences=(*named, *map(str, unexplained))))
    _freeze(turn, (*confirmed, *(each for each in filled_unseen if not _has_just_traded(turn, each))))


def _is_first_word(turn: Turn, snapshot: SnapshotTaken) -> bool:
    """It is the first look since the start, or since the day was opened: nothing was left before it."""
    since = turn.desk.blind_since
    return bool(turn.desk.blind) and (since is None or snapshot.taken_at >= since)


def settle_after_recovery(turn: Turn) -> None:
    """What was under way when the process died is unknown now: it is looked up, never sent again."""
    for key, change in list(turn.book.changes_pending.items()):
        turn.emit(
            OrderChangeEnded(correlation_id=key, change=change, outcome=Outcome.UNKNOWN, at=turn.now, reason="restart")
        )
    for order in list(turn.book.orders.values()):
        if order.state is OrderState.SUBMITTED:
            turn.emit(
                OrderMoved(
                    correlation_id=order.ticket.correlation_id,
                    state=OrderState.UNKNOWN,
                    at=turn.now,
                    reason="restart before the answer",
                )
            )
    slicing.give_up(turn, list(turn.book.unsent.values()), "the process ended, and the price of then is gone")
    postponing.take_up(turn)
    for key in sorted(turn.book.cancels_pending):
        turn.emit(CancelEnded(correlation_id=key, outcome=Outcome.UNKNOWN, at=turn.now))


def _fold(turn: Turn, order: Order, row: BrokerOrder) -> list[str]:
    before = order
    orders.fold(turn, order, row)
    after = turn.book.orders[order.ticket.correlation_id]
    named = []
    if after.filled_quantity != before.filled_quantity:
        named.append(
            f"{order.ticket.correlation_id}: {after.filled_quantity - before.filled_quantity} units filled unseen"
        )
    if after.state is not before.state:
        named.append(f"{order.ticket.correlation_id}: {before.state.value} is {after.state.value}")
    return named + _terms(turn, after, row)


def _terms(turn: Turn, order: Order, row: BrokerOrder) -> list[str]:
    """Take the broker's terms of a resting order where ours differ (a change that was not answered)."""
    key, ticket = order.ticket.correlation_id, order.ticket
    if order.state.is_done or key in turn.book.changes_pending or not row.quantity:
        return []
    if ticket.order_type is OrderType.MARKET:
        return []
    if (row.price, row.trigger_price, row.quantity) == (ticket.price, ticket.trigger_price, ticket.quantity):
        return []
    kind = OrderType.STOP_LIMIT if row.trigger_price else OrderType.LIMIT
    change = OrderChange(order_type=kind, quantity=row.quantity, price=row.price, trigger_price=row.trigger_price)
    turn.emit(
        OrderChangeEnded(
            correlation_id=key, change=change, outcome=Outcome.ACCEPTED, at=turn.now, reason="broker's book"
        )
    )
    return [f"{key}: broker's terms are {row.quantity} at {row.price} trigger {row.trigger_price}"]


def _absent(turn: Turn, findings: Findings, snapshot: SnapshotTaken) -> tuple[list[str], list[Order]]:
    """Give up what the broker does not show; an order's age counts to where the look began, not to where it ended.

    Legs of super orders stand in a list of their own, which not every look asks for.

    Returns
    -------
    tuple of list of str and list of Order
        What is to be named, and the orders that were given up in this look.
    """
    named, given_up = [], []
    short = _short(turn, snapshot)
    for correlation_id, _ in findings.updates:
        turn.desk.looks.pop(correlation_id, None)  # it is there again: looks that missed it in a row are counted
    for order in findings.absent:
        key = order.ticket.correlation_id
        is_of_a_super_order = bool(order.ticket.leg_of) or order.ticket.bracket is not None
        if order.state is OrderState.SUBMITTED or (is_of_a_super_order and not snapshot.with_legs):
            continue
        if order.ticket.leg_of and snapshot.legs_unread and order.state is not OrderState.UNKNOWN:
            continue  # it was shown, and where it was shown could not be read
        age = snapshot.taken_at - turn.book.submitted_at.get(key, turn.now)
        wait = ENTRY_ABSENT_S if order.ticket.purpose is Purpose.ENTRY else EXIT_ABSENT_S
        is_old = age >= timedelta(seconds=wait)
        if snapshot.legs_unread and order.ticket.bracket is not None:
            # It may stand in the list that nobody could read, with its legs: it is not missed, however long (fault R1).
            named.append(f"{key}: {order.state.value}, and the list of super orders could not be read")
            if is_old:
                turn.tell_once(Level.ALARM, f"super order {key} can neither be seen nor ruled out: look it up")
            continue
        patience = EXIT_HELD_S if _shows_all(turn, order, snapshot, short) else ENTRY_ABSENT_S
        if key in snapshot.not_looked_up and age < timedelta(seconds=patience):
            # The list may lag, and nobody could say whether the broker knows it: no look, but not waited for for ever.
            named.append(f"{key}: {order.state.value}, not in the list, and its look-up by id failed")
            if is_old:
                turn.tell_once(Level.ALARM, f"order {key} can neither be seen nor looked up at the broker: look it up")
            continue
        looks = turn.desk.looks[key] = turn.desk.looks.get(key, 0) + 1
        if order.state is not OrderState.UNKNOWN:
            # It was taken, so it may still fill: nothing takes its place before a person has looked.
            if looks >= ABSENT_LOOKS and is_old:
                text = f"order {order.order_id} ({key}) rests by our book and is not in the broker's: look it up"
                turn.tell_once(Level.ALARM, text)
                named.append(text)
            continue
        named.append(f"{key}: {order.state.value}, not in the broker's order book (look {looks})")
        if looks >= ABSENT_LOOKS and is_old:
            turn.emit(
                OrderMoved(
                    correlation_id=key,
                    state=OrderState.ABANDONED,
                    at=turn.now,
                    reason=f"absent in {looks} full order books",
                )
            )
            turn.tell(Level.ALARM, f"order {key} was never seen at the broker and is given up; watched for a late fill")
            given_up.append(order)
    return named, given_up


def _shows_all(turn: Turn, order: Order, snapshot: SnapshotTaken, short: Mapping[Instrument, int]) -> bool:
    """An exit cannot have sold: the broker's positions show all that our book holds in its contract, and no more."""
    instrument = order.ticket.instrument
    key = (instrument.segment.value, instrument.security_id)
    if order.ticket.purpose is not Purpose.EXIT or instrument in short:
        return False
    if (key, order.ticket.side.opposite) in unanswered(turn.book):
        return False  # what it has sold, an entry that nobody answered may have bought
    there = sum(row.net_quantity for row in snapshot.positions if (row.segment, row.security_id) == key)
    return there != 0 and there == turn.book.net_by_instrument().get(key)


def _given_up_before(turn: Turn) -> list[Order]:
    """Orders that were to leave what is held, and were given up before the process died: what they may have sold is
    in no journal until it is confirmed, so the first look after it counts them as its own (fault R1).
    """
    return [
        each
        for each in turn.book.orders.values()
        if each.state is OrderState.ABANDONED
        and each.ticket.purpose is not Purpose.ENTRY
        and turn.book.positions[each.ticket.position_id].is_live
    ]


def _is_of(difference: Difference, orders: Sequence[Order]) -> bool:
    """One of these orders may have made the difference: the positions tell what the list of orders does not yet."""
    tickets = (order.ticket for order in orders)
    return any(
        (each.instrument.segment.value, each.instrument.security_id) == difference.key
        and each.side.sign * difference.excess > 0
        for each in tickets
    )


def _confirm(turn: Turn, unexplained: tuple[Difference, ...], taken_at: datetime) -> tuple[Difference, ...]:
    """Give the differences that are real: each stands, and nothing under way in its own contract could explain it.

    Nor could a fill of ours that is younger: the broker's list may lag behind it, and behind the next one by as much.
    A look that began before that fill, or before the difference was first seen, confirms nothing however late it comes.
    What has stood in all looks of half a minute is real all the same. An answer that is older than that has slept with
    the computer, or the clock was set forward: it tells of another time, and is asked for again.
    """
    desk, seen, confirmed = turn.desk, {}, []
    is_recent = turn.now - taken_at < timedelta(seconds=RECENT_S)
    for each in unexplained:
        known = desk.mismatches.get(each.key)
        now_seen = seen[each.key] = _seen_again(turn, each, known)
        if known is None or known.excess != each.excess or not is_recent:
            sending.ask_snapshot(turn, f"confirm: {each}")
        stands = now_seen.looks >= STANDS_LOOKS and turn.now - now_seen.stood_since >= timedelta(seconds=STANDS_S)
        is_quiet = turn.now - now_seen.since >= timedelta(seconds=CONFIRM_S) and taken_at >= now_seen.since
        if str(each) in turn.book.frozen or (is_quiet and is_recent) or stands:
            confirmed.append(each)
        if stands:  # said once: the next word about it, with other numbers, is another half minute away
            seen[each.key] = replace(now_seen, least=each.excess, stood_since=turn.now, looks=0)
    desk.mismatches = seen
    return tuple(confirmed)


def _seen_again(turn: Turn, each: Difference, known: Mismatch | None) -> Mismatch:
    """Lay a difference beside what it was in the look before."""
    now = turn.now
    is_new = known is None or known.excess != each.excess or in_flight(turn.book, each.key)
    since = now if known is None or is_new else max(known.since, _last_traded(turn, each.key, known.since))
    if known is None or known.least * each.excess <= 0 or abs(each.excess) < abs(known.least):
        return Mismatch(excess=each.excess, since=since, least=each.excess, stood_since=now, looks=1)
    return replace(known, excess=each.excess, since=since, looks=known.looks + 1)


def _has_just_traded(turn: Turn, difference: Difference) -> bool:
    """A fill of ours in that contract is so young that the broker's list of positions may lag behind it.

    Then a difference in the look that gives an order up may be that fill's, and not the lost order's: its units are
    held back at once, and the account freezes when it stands.
    """
    earliest = turn.now - timedelta(seconds=CONFIRM_S)
    return _last_traded(turn, difference.key, earliest) > earliest


def _last_traded(turn: Turn, contract: tuple[str, str], earliest: datetime) -> datetime:
    """Give the moment of our newest fill in a contract, or `earliest` where there is none."""
    fills = (
        fill.at
        for position in turn.book.positions.values()
        if (position.plan.instrument.segment.value, position.plan.instrument.security_id) == contract
        for fill in position.fills
    )
    return max(fills, default=earliest)


def _freeze(turn: Turn, confirmed: tuple[Difference, ...]) -> None:
    """Freeze the account on what is confirmed; what it was frozen on for another reason stays named."""
    texts = tuple(map(str, confirmed))
    if set(texts) <= set(turn.book.frozen):
        return
    others = (
        text
        for text in turn.book.frozen
        if not any(text.startswith(f"{each.name}: broker holds") for each in confirmed)
    )
    turn.emit(AccountFrozen(differences=(*others, *texts), at=turn.now))
    turn.tell(Level.ALARM, f"account frozen: {'; '.join(texts)}")


def _hold_back(
    turn: Turn,
    snapshot: SnapshotTaken,
    not_booked: Sequence[BrokerOrder],
    *,
    confirmed: Sequence[Difference],
    filled_unseen: Sequence[Difference],
    unheard: Sequence[Difference],
) -> None:
    """Keep what the broker surely holds less than our book: no exit asks for more (fault R23).

    A new difference is still to be confirmed; what was known to be short before it and still is stays held back, and so
    is what another's order has traded: that is no matter of time. Nor is what is missing where an order was given up:
    it may have filled, and what takes its place must not sell that once more (fault R1). While that may as well be a
    young fill's, it is in doubt, until it is confirmed or gone: legs, which never come back, stay so long. Nor is what
    is missing in the first look after a start (`unheard`): the broker, or a person, may have left it meanwhile. It is
    in doubt as well, for it is not known how old it is.
    """
    desk, ours = turn.desk, turn.book.net_by_instrument()
    sure = desk.broker_holds.keys() | by_hand.touched(turn, not_booked)
    real, lost = {each.key for each in confirmed}, {each.key for each in (*filled_unseen, *unheard)}
    taken, known = by_hand.unbooked(turn, by_hand.others(turn, not_booked)), desk.gone
    young = {each.key for each in (*filled_unseen, *unheard) if each in unheard or _has_just_traded(turn, each)}
    doubted, desk.doubted = desk.doubted, set()
    desk.broker_holds, desk.gone = {}, {}
    for instrument, units in _short(turn, snapshot).items():
        key = (instrument.segment.value, instrument.security_id)
        if key not in real | lost and instrument.key not in sure:
            continue
        excess = units - ours.get(key, 0)
        sign = 1 if excess > 0 else -1
        without_us = max(0, sign * known.get(key, 0), sign * taken.get(key, 0))
        desk.broker_holds[instrument.key] = units
        desk.gone[key] = excess if key in real else sign * min(abs(excess), without_us)
        if (key in young or instrument.key in doubted) and not desk.gone[key]:
            desk.doubted.add(instrument.key)


def _short(turn: Turn, snapshot: SnapshotTaken) -> dict[Instrument, int]:
    """Net units at the broker of the instruments of which he holds less than our book (fault R23).

    What has left since the look began is gone from what it shows: else the next exit would ask for it once more.
    """
    ours = turn.book.net_by_instrument()
    theirs: dict[tuple[str, str], int] = {}
    for row in snapshot.positions:
        key = (row.segment, row.security_id)
        theirs[key] = theirs.get(key, 0) + row.net_quantity
    for seen in snapshot.orders:
        order = turn.book.find(seen.order_id, seen.correlation_id)
        if order is None or order.ticket.purpose is Purpose.ENTRY:
            continue
        ticket, since = order.ticket, max(0, order.filled_quantity - seen.filled_quantity)
        key = (ticket.instrument.segment.value, ticket.instrument.security_id)
        theirs[key] = theirs.get(key, 0) + ticket.side.sign * since
    short = {}
    for position in turn.book.live_positions():
        if is_holding(position, turn.book):
            continue
        instrument = position.plan.instrument
        key = (instrument.segment.value, instrument.security_id)
        if theirs.get(key, 0) * position.side.sign < ours.get(key, 0) * position.side.sign:
            short[instrument] = theirs.get(key, 0)
    return short

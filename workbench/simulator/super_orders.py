"""Super orders: an entry with its target and stop, of which the broker sends the one whose price is reached first.

The entry is an order like any other. Target and stop wait at the broker, not at the exchange, and block no margin; they
cover what the entry has filled so far. A leg whose price is reached becomes an order for all of it (the stop at the
market with price protection, the target at its limit); the other one and what is left of the entry are cancelled. The
stop of a trailing super order follows the last price in whole jumps.

Nobody has published what the broker sends for the legs: here they get ids of their own when the super order is placed,
or are shown under the id of their entry, as in his sample; they show PENDING until they go, and stand in the order book
from then on.

Invariant: of target and stop at most one ever becomes an order, unless a test has ordered the race in which both do; a
stop that trails never goes back.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from workbench.core.money import ZERO
from workbench.core.signal import Side
from workbench.simulator.admission import Refused, Terms, already, number, refusal, unknown_order
from workbench.simulator.desk import Desk
from workbench.simulator.limits import Answer
from workbench.simulator.orders import MOST_MODIFICATIONS, Leg, SimOrder, Status, WireType

_PRODUCTS = ("CNC", "INTRADAY", "MARGIN", "MTF")
_BAD = Refused(message="Missing required fields, bad values for parameters etc.")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Prices:
    """Of the exits, rupees; zero where there is none."""

    target: Decimal
    stop: Decimal
    jump: Decimal


@dataclass(slots=True, kw_only=True)
class SuperLeg:
    """A target or a stop: `order` is a draft until it was sent; `price` is where it goes."""

    order: SimOrder
    price: Decimal
    sent: bool = False

    @property
    def waits(self) -> bool:
        """It may still be sent."""
        return not self.sent and self.order.status is Status.PENDING

    @property
    def status(self) -> Status:
        """What the list shows of it."""
        lives = self.order.status in (Status.TRANSIT, Status.PENDING, Status.PART_TRADED, Status.TRADED)
        return Status.TRIGGERED if self.sent and lives else self.order.status


@dataclass(slots=True, kw_only=True)
class SuperOrder:
    """An entry and its exits; `base` is the price from which the next jump of the stop is counted."""

    entry: SimOrder
    exits: dict[Leg, SuperLeg]
    jump: Decimal
    base: Decimal

    @property
    def sent(self) -> SuperLeg | None:
        """The exit that has gone to the exchange."""
        return next((each for each in self.exits.values() if each.sent), None)

    @property
    def status(self) -> Status:
        """The entry's own, and CLOSED when an exit has filled."""
        sent = self.sent
        return Status.CLOSED if sent is not None and sent.order.status is Status.TRADED else self.entry.status

    def waiting(self) -> Iterator[SuperLeg]:
        """Give the exits that may still be sent, the stop first: pessimistic when one price reaches both."""
        for leg in (Leg.STOP_LOSS, Leg.TARGET):
            if leg in self.exits and self.exits[leg].waits:
                yield self.exits[leg]


class SuperOrders:
    """All super orders of the day.

    Parameters
    ----------
    desk : Desk
    legs_share_ids : bool
        Show the legs under the id of their entry.
    """

    def __init__(self, desk: Desk, *, legs_share_ids: bool = False) -> None:
        self._desk, self._legs_share_ids = desk, legs_share_ids
        self._races = 0
        self.orders: dict[str, SuperOrder] = {}
        desk.annexes.append(self)

    def open_day(self) -> None:
        """Start a day with none."""
        self.orders = {}

    # What a test may order

    def race_legs(self, count: int = 1) -> None:
        """Let both legs of the next super orders go to the exchange when somebody bids (or asks) the target's price."""
        self._races = count

    # What the front door asks

    def place(self, body: dict[str, Any]) -> Answer:
        """Receive a super order."""
        terms = self._desk.read({**body, "validity": "DAY"})
        if isinstance(terms, Refused):
            return refusal(terms)
        if terms.product not in _PRODUCTS or terms.order_type not in (WireType.LIMIT, WireType.MARKET):
            return refusal(Refused(message="Invalid productType or orderType for a super order"))
        prices = _read_prices(body)
        if prices is None or terms.price <= ZERO or not (prices.target or prices.stop):
            return refusal(_BAD)
        wrong = _misplaced(terms.side, terms.price, prices) or _off_tick(terms.listed.instrument.tick, prices)
        if wrong is not None:
            return refusal(wrong)
        price = terms.price if terms.order_type is WireType.LIMIT else ZERO
        entry = self._desk.receive(replace(terms, price=price), leg=Leg.ENTRY)
        exits = {
            leg: self._leg(entry, leg, price)
            for leg, price in ((Leg.STOP_LOSS, prices.stop), (Leg.TARGET, prices.target))
            if price
        }
        self.orders[entry.order_id] = SuperOrder(entry=entry, exits=exits, jump=prices.jump, base=terms.price)
        return 200, {"orderId": entry.order_id, "orderStatus": Status.TRANSIT.value}

    def modify(self, order_id: str, body: dict[str, Any]) -> Answer:
        """Change one leg: the entry in all its terms while it is open, the others in their prices."""
        found = self.orders.get(order_id)
        if found is None:
            return refusal(unknown_order())
        name, prices = str(body.get("legName")), _read_prices(body)
        if name not in (Leg.ENTRY, Leg.TARGET, Leg.STOP_LOSS) or prices is None:
            return refusal(_BAD)
        if name == Leg.ENTRY:
            refused = self._modify_entry(found, body, prices)
        else:
            refused = self._modify_exit(found, Leg(name), prices)
        return refused or (200, {"orderId": order_id, "orderStatus": Status.TRANSIT.value})

    def cancel(self, order_id: str, name: str) -> Answer:
        """Cancel one exit for good, or with the entry all that is still open; the answer has no body."""
        found = self.orders.get(order_id)
        if found is None or name not in (Leg.ENTRY, Leg.TARGET, Leg.STOP_LOSS):
            return refusal(unknown_order() if found is None else _BAD)
        if name != Leg.ENTRY:
            leg = found.exits.get(Leg(name))
            if leg is None:
                return refusal(unknown_order())
            if not leg.waits and not leg.order.status.is_open:
                return refusal(already(leg.order))
            self._desk.end(leg.order, Status.CANCELLED, "CANCELLED BY USER")
            return 202, None
        if found.entry.status is Status.TRANSIT:
            return refusal(Refused(message="Order is in Transit state", code="DH-906", kind="Order_Error"))
        waiting = list(found.waiting())
        if not found.entry.status.is_open and not waiting:
            return refusal(already(found.entry))
        if found.entry.status.is_open:
            self._desk.end(found.entry, Status.CANCELLED, "CANCELLED BY USER")
        for leg in waiting:
            self._desk.end(leg.order, Status.CANCELLED, "CANCELLED BY USER")
        return 202, None

    # What the clock does

    def watch(self) -> None:
        """Let exits grow with their entry, follow the price, and go when theirs is reached."""
        for each in self.orders.values():
            self._watch(each)

    def clear(self, status: Status, reason: str, product: str | None) -> None:
        """End what waits."""
        for each in self.orders.values():
            if product in (None, each.entry.product):
                for leg in list(each.waiting()):
                    self._desk.end(leg.order, status, reason)

    def _watch(self, found: SuperOrder) -> None:
        entry, waiting = found.entry, list(found.waiting())
        if not waiting:
            return
        if entry.filled == 0:
            if not entry.status.is_open and entry.status is not Status.TRANSIT:
                for leg in waiting:
                    self._desk.end(leg.order, Status.CANCELLED, "CANCELLED: ENTRY LEG IS OVER")
            return
        for leg in waiting:
            if leg.order.quantity != entry.filled:
                leg.order.quantity, leg.order.updated = entry.filled, self._desk.now
                self._desk.tell(leg.order)
        quote = self._desk.board.quote(entry.listed)
        last = quote.last
        if last <= ZERO:
            # Nobody knows a price now: nothing is triggered on an old one.
            return
        for leg in waiting:
            beyond = (last - leg.price) * entry.side.sign
            is_stop = leg.order.leg is Leg.STOP_LOSS
            if beyond <= ZERO if is_stop else beyond >= ZERO:
                touch = quote.bid if entry.side is Side.BUY else quote.ask
                if is_stop or not self._races:
                    self._trigger(found, leg)
                elif (touch - leg.price) * entry.side.sign >= ZERO:
                    self._races -= 1
                    self._trigger(found, leg, with_all=True)
                return
        self._trail(found, last)

    def _trail(self, found: SuperOrder, last: Decimal) -> None:
        stop, sign = found.exits.get(Leg.STOP_LOSS), found.entry.side.sign
        if stop is None or not stop.waits or found.jump <= ZERO:
            return
        jumps = (last - found.base) * sign // found.jump
        if jumps >= 1:
            move = jumps * found.jump * sign
            found.base += move
            self._reprice(stop, stop.price + move)

    def _trigger(self, found: SuperOrder, leg: SuperLeg, *, with_all: bool = False) -> None:
        desk, others = self._desk, [each for each in found.waiting() if each is not leg]
        for other in others if not with_all else ():
            desk.end(other.order, Status.CANCELLED, "CANCELLED: THE OTHER LEG WAS TRIGGERED")
        if found.entry.status.is_open:
            desk.end(found.entry, Status.CANCELLED, "CANCELLED: AN EXIT LEG WAS TRIGGERED")
        for each in (leg, *(others if with_all else ())):
            self._send(each)

    def _send(self, leg: SuperLeg) -> None:
        desk, order = self._desk, leg.order
        leg.sent = True
        order.status, order.updated = Status.TRIGGERED, desk.now
        desk.tell(order)
        stops = order.leg is Leg.STOP_LOSS
        order.order_type = WireType.MARKET if stops else WireType.LIMIT
        order.price, order.trigger_price = (ZERO if stops else leg.price), ZERO
        desk.send(order)

    # Legs

    def _leg(self, entry: SimOrder, leg: Leg, price: Decimal) -> SuperLeg:
        terms = Terms(
            listed=entry.listed, side=Side.SELL if entry.side is Side.BUY else Side.BUY, product=entry.product,
            order_type=WireType.LIMIT if leg is Leg.TARGET else WireType.STOP_LOSS_MARKET, validity="DAY", quantity=0,
            disclosed_quantity=0, price=ZERO, trigger_price=ZERO, correlation_id=entry.correlation_id,
        )  # fmt: skip
        made = SuperLeg(order=self._desk.draft(terms, leg=leg, parent=entry.order_id), price=price)
        made.order.shown_as = entry.order_id if self._legs_share_ids else ""
        made.order.status = Status.PENDING
        _show(made)
        return made

    def _reprice(self, leg: SuperLeg, price: Decimal) -> None:
        leg.price, leg.order.updated = price, self._desk.now
        _show(leg)
        self._desk.tell(leg.order)

    def _modify_entry(self, found: SuperOrder, body: dict[str, Any], prices: _Prices) -> Answer | None:
        entry = found.entry
        for leg, price in ((Leg.STOP_LOSS, prices.stop), (Leg.TARGET, prices.target)):
            if bool(price) is not (leg in found.exits and found.exits[leg].waits):
                # A zero would take an exit away unasked, and one that is gone cannot be added again.
                return refusal(_BAD)
        limit = number(body.get("price")) or entry.price
        wrong = _misplaced(entry.side, limit, prices) or _off_tick(entry.listed.instrument.tick, prices)
        if wrong is not None:
            return refusal(wrong)
        status, answer = self._desk.modify(entry.order_id, {**body, "triggerPrice": None})
        if status != 200:
            return status, answer
        for leg, price in ((Leg.STOP_LOSS, prices.stop), (Leg.TARGET, prices.target)):
            if price and price != found.exits[leg].price:
                self._reprice(found.exits[leg], price)
        found.jump, found.base = prices.jump, limit
        return None

    def _modify_exit(self, found: SuperOrder, name: Leg, prices: _Prices) -> Answer | None:
        leg = found.exits.get(name)
        if leg is None:
            return refusal(unknown_order())
        if not leg.waits:
            return refusal(already(leg.order))
        if leg.order.modifications >= MOST_MODIFICATIONS:
            text = f"Order has been modified {MOST_MODIFICATIONS} times, which is the limit"
            return refusal(Refused(message=text, code="DH-906", kind="Order_Error"))
        price = prices.target if name is Leg.TARGET else prices.stop
        wrong = _BAD if price <= ZERO else _off_tick(found.entry.listed.instrument.tick, prices)
        if wrong is not None:
            return refusal(wrong)
        leg.order.modifications += 1
        self._reprice(leg, price)
        if name is Leg.STOP_LOSS:
            # A jump that is left out or zero ends the trailing.
            found.jump = prices.jump
            found.base = self._desk.board.quote(found.entry.listed).last or found.base
        return None


def _show(leg: SuperLeg) -> None:
    """Write a waiting leg's price where the book would show it."""
    if leg.order.leg is Leg.TARGET:
        leg.order.price = leg.price
    else:
        leg.order.trigger_price = leg.price


def _read_prices(body: dict[str, Any]) -> _Prices | None:
    read = [number(body.get(name) or 0) for name in ("targetPrice", "stopLossPrice", "trailingJump")]
    target, stop, jump = read
    if target is None or stop is None or jump is None or min(target, stop, jump) < ZERO:
        return None
    return _Prices(target=target, stop=stop, jump=jump)


def _misplaced(side: Side, price: Decimal, prices: _Prices) -> Refused | None:
    word = "greater" if side is Side.BUY else "less"
    if prices.target and (prices.target - price) * side.sign <= ZERO:
        return Refused(message=f"Target price should be {word} than the price")
    if prices.stop and (price - prices.stop) * side.sign <= ZERO:
        word = "less" if side is Side.BUY else "greater"
        return Refused(message=f"Stop loss price should be {word} than the price")
    return None


def _off_tick(tick: Decimal, prices: _Prices) -> Refused | None:
    if any(each % tick for each in (prices.target, prices.stop, prices.jump)):
        return Refused(message=f"The price is not a multiple of the tick size {tick}")
    return None

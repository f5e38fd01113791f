"""The order desk of the simulated broker: receipt, admission, matching, the broker's own square-off.

An order is received (TRANSIT) and answered; a moment later it is admitted and rests (PENDING), trades, or is REJECTED
in the book. Market orders become limit orders with price protection, as Dhan does since 2026-03-21.

Invariant: every change of an order is told once through `on_change`, and every trade is in the account.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from workbench.core.matching import MatchFill
from workbench.core.money import ZERO
from workbench.core.session import Session
from workbench.core.signal import Side
from workbench.simulator.account import Account, Expired
from workbench.simulator.admission import (
    Refused,
    Terms,
    already,
    exchange_refusal,
    market_closed,
    price_band,
    read_terms,
    refusal,
    unknown_order,
)
from workbench.simulator.annex import Annex
from workbench.simulator.changes import change, protect
from workbench.simulator.floor import SELF_TRADE, Floor, Prices
from workbench.simulator.limits import Answer
from workbench.simulator.orders import MOST_MODIFICATIONS, Leg, SimOrder, Status, Trade, WireType

_MARGIN_TEXT = "RMS:{}:Margin Exceeds, Required:{:.2f}, Available:{:.2f}"


class Desk:
    """All orders of one account on one day.

    Parameters
    ----------
    account : Account
    on_change : callable
        Told of every change of an order.
    first_number : int
        Orders and trades are numbered from the next one on; a run that must not use the ids of an earlier run of the
        same day starts elsewhere.
    client_id : str
        In the correlation ids that the broker invents.
    clock : callable
        Real seconds: how long a look-up lags is no matter of the market's time.
    """

    def __init__(
        self,
        account: Account,
        on_change: Callable[[SimOrder], None],
        first_number: int = 0,
        *,
        client_id: str = "1000000001",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.account, self.tell = account, on_change
        self.client_id, self._clock = client_id, clock
        self.orders: dict[str, SimOrder] = {}
        self.trades: list[Trade] = []
        self.transit: list[SimOrder] = []
        self.annexes: list[Annex] = []
        self.killed = False
        self.reject_next: list[str] = []
        self._reject_later: list[str] = []
        self._doomed: dict[str, str] = {}
        self._stick: tuple[int, float | None] = (0, None)
        self._stuck: dict[str, datetime | None] = {}
        self._lag_s, self._lag_in_book = 0.0, False
        self._floor = Floor(self._filled)
        self._first = self._sequence = first_number
        self._squared_off = False

    def open_day(self, board: Prices, session: Session) -> None:
        """Start a day with an empty book."""
        self.board, self.session = board, session
        self.orders, self.trades, self.transit = {}, [], []
        self._doomed, self._stuck = {}, {}
        self._floor.open_day(board)
        self.killed = self._squared_off = False
        for annex in self.annexes:
            annex.open_day()

    @property
    def now(self) -> datetime:
        """Market time of the current second."""
        return self.board.now

    # What a test may order

    def reject_after_ack(self, count: int, reason: str) -> None:
        """Let the next orders rest, and reject them a market second later."""
        self._reject_later.extend([reason] * count)

    def stick_in_transit(self, count: int, seconds: float | None = None) -> None:
        """Keep the next orders in TRANSIT: for market seconds, or until `release_transit` or the end of the day."""
        self._stick = (count, seconds)

    def release_transit(self) -> None:
        """Let what is stuck reach the exchange."""
        self._stuck = {}
        self.admit_transit()

    def lag_lookups(self, seconds: float, *, book: bool = False) -> None:
        """Hide an order from the look-up by correlation id, and from the book too, for real seconds after it came."""
        self._lag_s, self._lag_in_book = seconds, book

    # What the front door asks

    def place(self, body: dict[str, Any]) -> Answer:
        """Receive a new order: the answer is a receipt, not the exchange's word."""
        terms = self.read(body)
        if isinstance(terms, Refused):
            return refusal(terms)
        order = self.receive(terms)
        return 200, {"orderId": order.order_id, "orderStatus": Status.TRANSIT.value}

    def place_sliced(self, body: dict[str, Any]) -> Answer:
        """Receive an order in slices of at most the freeze quantity."""
        terms = self.read(body)
        if isinstance(terms, Refused):
            return refusal(terms)
        orders = [self.receive(each) for each in _slices(terms)]
        return 200, [{"orderId": each.order_id, "orderStatus": Status.TRANSIT.value} for each in orders]

    def read(self, body: dict[str, Any]) -> Terms | Refused:
        """Read the body of a new order, which the kill switch may forbid."""
        terms = read_terms(body, self.board.listing)
        if self.killed and isinstance(terms, Terms):
            return Refused(message="Kill Switch is activated for the day", code="DH-906", kind="Order_Error")
        return terms

    def modify(self, order_id: str, body: dict[str, Any]) -> Answer:
        """Change an order that rests or is on its way; `quantity` is the total, and what is null stays."""
        if not body:
            return refusal(Refused(message="Missing required fields, bad values for parameters etc."))
        order = self._changeable(order_id)
        if isinstance(order, Refused):
            return refusal(order)
        in_transit = order.status is Status.TRANSIT
        if not order.status.is_open and not in_transit:
            return refusal(already(order))
        if order.modifications >= MOST_MODIFICATIONS:
            text = f"Order has been modified {MOST_MODIFICATIONS} times, which is the limit"
            return refusal(Refused(message=text, code="DH-906", kind="Order_Error"))
        why = change(order, body, session=self.session, level=self.board.level(order.listed), now=self.now)
        if why is not None:
            return refusal(why)
        self.tell(order)
        if not in_transit and order_id not in self._doomed:
            self._rest(order, requeue=True)
        return 200, {"orderId": order_id, "orderStatus": Status.TRANSIT.value}

    def cancel(self, order_id: str) -> Answer:
        """Take an order back."""
        order = self._changeable(order_id)
        if isinstance(order, Refused):
            return refusal(order)
        if order.status is Status.TRANSIT:
            return refusal(Refused(message="Order is in Transit state", code="DH-906", kind="Order_Error"))
        if not order.status.is_open:
            return refusal(already(order))
        self.end(order, Status.CANCELLED, "CANCELLED BY USER")
        return 200, {"orderId": order_id, "orderStatus": Status.CANCELLED.value}

    def kill(self, *, active: bool) -> Answer:
        """Switch trading off for the day, only when nothing is open, or on again."""
        busy = any(order.status.is_open for order in self.orders.values())
        busy = busy or any(each.net for each in self.account.positions.values())
        if active and busy:
            text = "Kill Switch cannot be activated with open positions or pending orders"
            return refusal(Refused(message=text, code="DH-906", kind="Order_Error"))
        self.killed = active
        word = "activated" if active else "deactivated"
        return 200, {"dhanClientId": self.client_id, "killSwitchStatus": f"Kill Switch has been successfully {word}"}

    def exit_all(self) -> Answer:
        """Cancel what rests and close what is held, at the market."""
        self.flatten(None, "CANCELLED BY USER", source="P")
        return 200, {"status": "SUCCESS", "message": "All orders and positions exited successfully"}

    def by_tag(self, tag: str) -> SimOrder | None:
        """Give the newest order of a correlation id, of a super order its entry; in transit it is not found."""
        found = [each for each in self.orders.values() if each.correlation_id == tag and not each.parent]
        if not found or found[-1].status is Status.TRANSIT or self._lags(found[-1]):
            return None
        return found[-1]

    def book(self) -> list[SimOrder]:
        """Give the orders that a client sees."""
        hiding = self._lag_in_book
        return [each for each in self.orders.values() if not (hiding and self._lags(each))]

    def _lags(self, order: SimOrder) -> bool:
        return self._clock() - order.received_s < self._lag_s

    # What the clock does

    def admit_transit(self) -> None:
        """Let what was received reach the exchange, unless it is stuck."""
        waiting, self.transit = self.transit, []
        for order in waiting:
            until = self._stuck.get(order.order_id, self.now)
            if until is None or until > self.now:
                self.transit.append(order)
            else:
                self._stuck.pop(order.order_id, None)
                self._admit(order)

    def match(self, changed: Collection[str] | None = None) -> None:
        """Let the quotes of this second meet what rests: of the instruments that have changed, or of all."""
        doomed, self._doomed = self._doomed, {}
        for order_id, reason in doomed.items():
            if self.orders[order_id].status.is_open:
                self.end(self.orders[order_id], Status.REJECTED, reason, "DH-906")
        for order_id in self._floor.step(changed):
            self.end(self.orders[order_id], Status.CANCELLED, SELF_TRADE)
        for annex in self.annexes:
            annex.watch()

    def square_off_due(self) -> None:
        """Close INTRADAY positions when the broker does; once a day."""
        if self._squared_off or self.now < self.session.broker_square_off:
            return
        self._squared_off = True
        self.flatten("INTRADAY", "CANCELLED BY BROKER: INTRADAY SQUARE OFF", source="N")

    def close_day(self) -> None:
        """End the day: what rests or never arrived expires; expired contracts are settled, the rest is carried."""
        self.admit_transit()
        self.transit = []
        reason = "Order expired at the end of the day"
        for order in list(self.orders.values()):
            if order.status.is_open or order.status is Status.TRANSIT:
                self.end(order, Status.EXPIRED, reason)
        for annex in self.annexes:
            annex.clear(Status.EXPIRED, reason, None)

    def settle(self) -> list[Expired]:
        """Carry the account into the next day; give the positions that ended with their contract."""
        return self.account.settle(self.session.date, self.spot)

    def spot(self, symbol: str) -> Decimal:
        """Give the price of an underlying, rupees."""
        return Decimal(repr(self.board.spot(symbol)))

    def blocked(self) -> Decimal:
        """Give what positions and resting orders block, rupees."""
        return self.account.blocked([each for each in self.orders.values() if each.status.is_open], self.spot)

    # What annexes do

    def draft(self, terms: Terms, *, source: str = "P", leg: Leg = Leg.NONE, parent: str = "") -> SimOrder:
        """Number an order that is in no book yet."""
        self._sequence += 1
        day = f"{self.now:%y%m%d}"
        # Dhan invents "<client>-<milliseconds>" where there is no correlation id; here they never repeat in a day.
        invented = f"{self.client_id}-{int(self.now.timestamp()) * 1000 + self._sequence % 1000:013d}"
        return SimOrder(
            order_id=f"1{day}{self._sequence:07d}",
            exchange_order_id=f"1{day}{self._sequence + 1000000000:011d}",
            correlation_id=terms.correlation_id or invented,
            listed=terms.listed, side=terms.side, product=terms.product, order_type=terms.order_type,
            validity=terms.validity, quantity=terms.quantity, price=terms.price, trigger_price=terms.trigger_price,
            disclosed_quantity=terms.disclosed_quantity, created=self.now, updated=self.now, sequence=self._sequence,
            source=source, leg=leg, parent=parent, received_s=self._clock(),
        )  # fmt: skip

    def receive(self, terms: Terms, *, source: str = "P", leg: Leg = Leg.NONE) -> SimOrder:
        """Take an order in: it is in transit."""
        order = self.draft(terms, source=source, leg=leg)
        self.orders[order.order_id] = order
        self.transit.append(order)
        stick, seconds = self._stick
        if stick > 0 and source == "P":
            self._stick = (stick - 1, seconds)
            self._stuck[order.order_id] = None if seconds is None else self.now + timedelta(seconds=seconds)
        self.tell(order)
        return order

    def send(self, order: SimOrder) -> None:
        """Bring a drafted order to the exchange at once."""
        self.orders[order.order_id] = order
        self._admit(order)

    def end(self, order: SimOrder, status: Status, reason: str, code: str = "") -> None:
        """Take an order out of the market."""
        self._floor.remove(order)
        order.end(status, reason, self.now, code)
        self.tell(order)

    def flatten(self, product: str | None, reason: str, *, source: str) -> None:
        """Cancel what rests and close what is held at the market, in slices of the freeze; one product, or all."""
        for order in list(self.orders.values()):
            if order.status.is_open and product in (None, order.product):
                self.end(order, Status.CANCELLED, reason)
        for annex in self.annexes:
            annex.clear(Status.CANCELLED, reason, product)
        for position in list(self.account.positions.values()):
            net = position.net
            if net == 0 or product not in (None, position.product):
                continue
            terms = Terms(
                listed=position.listed, side=Side.SELL if net > 0 else Side.BUY, product=position.product,
                order_type=WireType.MARKET, validity="DAY", quantity=abs(net), disclosed_quantity=0, price=ZERO,
                trigger_price=ZERO, correlation_id="",
            )  # fmt: skip
            for each in _slices(terms):
                order = self.draft(each, source=source)
                self.tell(order)
                self.send(order)

    # Inside

    def _changeable(self, order_id: str) -> SimOrder | Refused:
        order = self.orders.get(order_id)
        if order is None:
            return unknown_order()
        return order if self.session.open <= self.now < self.session.close else market_closed()

    def _admit(self, order: SimOrder) -> None:
        level = self.board.level(order.listed)
        is_open = self.board.second >= 0 and self.session.contains(self.now)
        if order.source == "P":
            why = self.reject_next.pop(0) if self.reject_next else None
            if self._squared_off and order.product == "INTRADAY":
                why = why or f"RMS:{order.order_id}:Intraday orders are not allowed after the square off"
            why = why or exchange_refusal(order, self.session, level, is_open=is_open)
            if why is None:
                protect(order, Decimal(repr(level.last)), price_band(order.listed, level))
                why = self._too_dear(order)
            if why is not None:
                self.end(order, Status.REJECTED, why, "DH-906")
                return
        order.status, order.updated = Status.PENDING, self.now
        self.tell(order)
        if order.source == "P" and self._reject_later:
            self._doomed[order.order_id] = self._reject_later.pop(0)
            return
        self._rest(order, requeue=False)
        if order.validity == "IOC" and order.status.is_open:
            self.end(order, Status.CANCELLED, "UNMATCHED IOC QUANTITY CANCELLED")

    def _too_dear(self, order: SimOrder) -> str | None:
        resting = [each for each in self.orders.values() if each.status.is_open]
        before = self.account.blocked(resting, self.spot)
        after = self.account.blocked([*resting, order], self.spot)
        free = self.account.start_of_day + self.account.realised - before
        if after <= before or after - before <= free:
            return None
        return _MARGIN_TEXT.format(order.order_id, after - before, free)

    def _rest(self, order: SimOrder, *, requeue: bool) -> None:
        """Let an order arrive at the exchange and meet the quote of this second."""
        if requeue:
            self._sequence += 1
            order.sequence = self._sequence
        why = self._floor.arrive(order)
        if why is not None and order.status.is_open:
            self.end(order, Status.CANCELLED, why)

    def _filled(self, fill: MatchFill) -> None:
        order = self.orders[fill.order_id]
        order.take(fill.quantity, fill.price, self.now)
        trade = Trade(
            trade_id=f"{self.now:%y%m%d}{self._first + len(self.trades) + 1:08d}",
            order=order,
            quantity=fill.quantity,
            price=fill.price,
            time=self.now,
        )
        self.trades.append(trade)
        self.account.take(trade)
        self.tell(order)


def _slices(terms: Terms) -> list[Terms]:
    """Cut an order into parts of at most the freeze quantity, each of whole lots."""
    instrument = terms.listed.instrument
    most = (instrument.freeze or terms.quantity) // instrument.lot * instrument.lot or terms.quantity
    return [replace(terms, quantity=min(most, terms.quantity - start)) for start in range(0, terms.quantity, most)]

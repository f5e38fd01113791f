"""The order desk of the simulated broker: receipt, admission, matching, the broker's own square-off.

An order is received (TRANSIT) and answered; a moment later it is admitted and rests (PENDING), trades, or is REJECTED
in the book. Market orders become limit orders with price protection, as Dhan does since 2026-03-21.

Invariant: every change of an order is told once through `on_change`, and every trade is in the account.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from workbench.core.matching import MatchBook, Matched, RestingOrder, arrive, step
from workbench.core.money import ZERO, Rounding, snap_to_tick
from workbench.core.order import OrderType
from workbench.core.session import Session
from workbench.core.signal import Side
from workbench.simulator.account import Account
from workbench.simulator.admission import Refused, Terms, bad_prices, exchange_refusal, number, price_band, read_terms
from workbench.simulator.board import Board
from workbench.simulator.listing import Listed
from workbench.simulator.orders import MOST_MODIFICATIONS, SimOrder, Status, Trade, WireType, protected_price

Answer = tuple[int, Any]
"""HTTP status and JSON body."""

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
    """

    def __init__(self, account: Account, on_change: Callable[[SimOrder], None], first_number: int = 0) -> None:
        self.account, self._tell = account, on_change
        self.orders: dict[str, SimOrder] = {}
        self.trades: list[Trade] = []
        self.transit: list[SimOrder] = []
        self.killed = False
        self.reject_next: list[str] = []
        self._books: dict[str, MatchBook] = {}
        self._listed: dict[str, Listed] = {}
        self._first = self._sequence = first_number
        self._squared_off = False

    def open_day(self, board: Board, session: Session) -> None:
        """Start a day with an empty book."""
        self.board, self.session = board, session
        self.orders, self.trades, self.transit = {}, [], []
        self._books, self._listed = {}, {}
        self.killed = self._squared_off = False

    @property
    def now(self) -> datetime:
        """Market time of the current second."""
        return self.board.now

    # What the front door asks

    def place(self, body: dict[str, Any]) -> Answer:
        """Receive a new order: the answer is a receipt, not the exchange's word."""
        terms = read_terms(body, self.board.listing)
        if isinstance(terms, Refused):
            return refusal(terms)
        if self.killed:
            return refusal(Refused(message="Kill Switch is activated for the day", code="DH-906", kind="Order_Error"))
        order = self._receive(terms)
        return 200, {"orderId": order.order_id, "orderStatus": Status.TRANSIT.value}

    def place_sliced(self, body: dict[str, Any]) -> Answer:
        """Receive an order in slices of at most the freeze quantity."""
        terms = read_terms(body, self.board.listing)
        if isinstance(terms, Refused):
            return refusal(terms)
        instrument = terms.listed.instrument
        most = (instrument.freeze or terms.quantity) // instrument.lot * instrument.lot or terms.quantity
        left, answers = terms.quantity, []
        while left > 0:
            order = self._receive(replace(terms, quantity=min(left, most)))
            left -= order.quantity
            answers.append({"orderId": order.order_id, "orderStatus": Status.TRANSIT.value})
        return 200, answers

    def modify(self, order_id: str, body: dict[str, Any]) -> Answer:
        """Change a resting order; `quantity` is the total, and what is null stays."""
        order = self.orders.get(order_id)
        if order is None:
            return refusal(unknown_order())
        if order.status is Status.TRANSIT:
            self.admit_transit()
        if not order.status.is_open:
            return refusal(already(order))
        if order.modifications >= MOST_MODIFICATIONS:
            text = f"Order has been modified {MOST_MODIFICATIONS} times, which is the limit"
            return refusal(Refused(message=text, code="DH-906", kind="Order_Error"))
        changed = self._changed(order, body)
        if isinstance(changed, Refused):
            return refusal(changed)
        self._rest(changed, requeue=True)
        return 200, {"orderId": order_id, "orderStatus": Status.TRANSIT.value}

    def cancel(self, order_id: str) -> Answer:
        """Take an order back."""
        order = self.orders.get(order_id)
        if order is None:
            return refusal(unknown_order())
        if order.status is Status.TRANSIT:
            return refusal(Refused(message="Order is in Transit state", code="DH-906", kind="Order_Error"))
        if not order.status.is_open:
            return refusal(already(order))
        self._end(order, Status.CANCELLED, "CANCELLED BY USER")
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
        return 200, {"dhanClientId": "", "killSwitchStatus": f"Kill Switch has been successfully {word}"}

    def exit_all(self) -> Answer:
        """Cancel what rests and close what is held, at the market."""
        self._cancel_open("CANCELLED BY USER", None)
        self._close_positions(None, source="P")
        return 200, {"status": "SUCCESS", "message": "All orders and positions exited successfully"}

    # What the clock does

    def admit_transit(self) -> None:
        """Let what was received reach the exchange."""
        waiting, self.transit = self.transit, []
        for order in waiting:
            self._admit(order)

    def match(self, changed: Collection[str] | None = None) -> None:
        """Let the quotes of this second meet what rests: of the instruments that have changed, or of all."""
        for key in list(self._books) if changed is None else [key for key in changed if key in self._books]:
            book = self._books[key]
            if not book.orders:
                del self._books[key]
                continue
            self._apply(key, step(book, self.board.quote(self._listed[key])))

    def square_off_due(self) -> None:
        """Close INTRADAY positions when the broker does; once a day."""
        if self._squared_off or self.now < self.session.broker_square_off:
            return
        self._squared_off = True
        self._cancel_open("CANCELLED BY BROKER: INTRADAY SQUARE OFF", "INTRADAY")
        self._close_positions("INTRADAY", source="N")

    def close_day(self) -> None:
        """End the day: what rests expires, expired contracts are settled, the rest is carried."""
        self.admit_transit()
        for order in list(self.orders.values()):
            if order.status.is_open:
                self._end(order, Status.EXPIRED, "Order expired at the end of the day")

    def settle(self) -> None:
        """Carry the account into the next day."""
        day = self.session.date
        expired = [
            key for (key, _), position in self.account.positions.items() if position.listed.instrument.expiry == day
        ]
        self.account.settle(self.spots(), expired)

    def spots(self) -> dict[str, Decimal]:
        """Give the price of each underlying, rupees."""
        return {symbol: Decimal(repr(self.board.spot(symbol))) for symbol in self.board.symbols}

    def blocked(self) -> Decimal:
        """Give what positions and resting orders block, rupees."""
        return self.account.blocked([each for each in self.orders.values() if each.status.is_open], self.spots())

    # Inside

    def _receive(self, terms: Terms, source: str = "P") -> SimOrder:
        self._sequence += 1
        day = f"{self.now:%y%m%d}"
        order = SimOrder(
            order_id=f"1{day}{self._sequence:07d}",
            exchange_order_id=f"1{day}{self._sequence + 1000000000:011d}",
            correlation_id=terms.correlation_id or f"sim-{day}-{self._sequence:07d}",
            listed=terms.listed, side=terms.side, product=terms.product, order_type=terms.order_type,
            validity=terms.validity, quantity=terms.quantity, price=terms.price, trigger_price=terms.trigger_price,
            disclosed_quantity=terms.disclosed_quantity, created=self.now, updated=self.now, sequence=self._sequence,
            source=source,
        )  # fmt: skip
        self.orders[order.order_id] = order
        self.transit.append(order)
        self._tell(order)
        return order

    def _admit(self, order: SimOrder) -> None:
        level = self.board.level(order.listed)
        is_open = self.board.second >= 0 and self.session.contains(self.now)
        if order.source == "P":
            why = self.reject_next.pop(0) if self.reject_next else None
            why = why or exchange_refusal(order, self.session, level, is_open=is_open)
            if why is None:
                _protect(order, Decimal(repr(level.last)), price_band(order.listed, level))
                why = self._too_dear(order)
            if why is not None:
                order.end(Status.REJECTED, why, self.now, "DH-906")
                self._tell(order)
                return
        order.status, order.updated = Status.PENDING, self.now
        self._tell(order)
        self._rest(order, requeue=False)
        if order.validity == "IOC" and order.status.is_open:
            self._end(order, Status.CANCELLED, "UNMATCHED IOC QUANTITY CANCELLED")

    def _too_dear(self, order: SimOrder) -> str | None:
        resting = [each for each in self.orders.values() if each.status.is_open]
        spots = self.spots()
        before = self.account.blocked(resting, spots)
        after = self.account.blocked([*resting, order], spots)
        free = self.account.start_of_day + self.account.realised - before
        if after <= before or after - before <= free:
            return None
        return _MARGIN_TEXT.format(order.order_id, after - before, free)

    def _changed(self, order: SimOrder, body: dict[str, Any]) -> SimOrder | Refused:
        """Read a modification; the order is touched only when all of it is good."""
        instrument = order.listed.instrument
        try:
            order_type = WireType(str(body.get("orderType") or order.order_type.value))
        except ValueError as unknown:
            return Refused(message=f"Invalid request: {unknown}")
        read = {"quantity": Decimal(order.quantity), "price": order.price, "triggerPrice": order.trigger_price}
        for name in read:
            if body.get(name) is not None:
                value = number(body[name])
                if value is None:
                    return Refused(message="Missing required fields, bad values for parameters etc.")
                read[name] = value
        quantity, price, trigger = int(read["quantity"]), read["price"], read["triggerPrice"]
        stopping = order_type in (WireType.STOP_LOSS, WireType.STOP_LOSS_MARKET)
        draft = replace(
            order, order_type=order_type, quantity=quantity, price=price, trigger_price=trigger if stopping else ZERO
        )
        refused = bad_prices(order_type, price, draft.trigger_price, quantity)
        if refused is None and quantity <= order.filled:
            refused = Refused(message="Quantity cannot be lower than what has traded")
        if refused is None and quantity % instrument.lot:
            refused = Refused(message=f"Quantity should be a multiple of lot size {instrument.lot}")
        if refused is not None:
            return refused
        level = self.board.level(order.listed)
        why = exchange_refusal(draft, self.session, level, is_open=True)
        if why is not None:
            return Refused(message=why, code="DH-906", kind="Order_Error")
        _protect(draft, Decimal(repr(level.last)), price_band(order.listed, level))
        order.order_type, order.quantity, order.price = draft.order_type, draft.quantity, draft.price
        order.trigger_price, order.updated = draft.trigger_price, self.now
        order.modifications += 1
        self._tell(order)
        return order

    def _rest(self, order: SimOrder, *, requeue: bool) -> None:
        """Let an order arrive at the exchange and meet the quote of this second."""
        key = order.listed.instrument.key
        if requeue:
            self._sequence += 1
            order.sequence = self._sequence
        self._listed[key] = order.listed
        book = self._books.get(key)
        quote = self.board.quote(order.listed)
        if book is None or book.quote is None or book.quote.time != quote.time:
            # Nothing rested here in this second, so its quote has not been met by anybody.
            others = book.orders if book else ()
            _, book = step(MatchBook(), quote)
            book = replace(book, orders=others)
        before = next((each for each in book.orders if each.id == order.order_id), None)
        resting = RestingOrder(
            id=order.order_id,
            side=order.side,
            quantity=order.remaining,
            order_type=order.order_type.rule,
            price=order.price,
            trigger_price=order.trigger_price,
            triggered=before is not None and before.triggered and before.trigger_price == order.trigger_price,
            sequence=order.sequence,
        )
        self._apply(key, arrive(book, resting))

    def _apply(self, key: str, matched: Matched) -> None:
        fills, self._books[key] = matched
        for fill in fills:
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
            self._tell(order)

    def _end(self, order: SimOrder, status: Status, reason: str) -> None:
        key = order.listed.instrument.key
        if key in self._books:
            self._books[key] = self._books[key].without(order.order_id)
        order.end(status, reason, self.now)
        self._tell(order)

    def _cancel_open(self, reason: str, product: str | None) -> None:
        for order in list(self.orders.values()):
            if order.status.is_open and product in (None, order.product):
                self._end(order, Status.CANCELLED, reason)

    def _close_positions(self, product: str | None, *, source: str) -> None:
        for position in list(self.account.positions.values()):
            net = position.net
            if net == 0 or product not in (None, position.product):
                continue
            self._receive(
                Terms(
                    listed=position.listed, side=Side.SELL if net > 0 else Side.BUY, product=position.product,
                    order_type=WireType.MARKET, validity="DAY", quantity=abs(net), disclosed_quantity=0, price=ZERO,
                    trigger_price=ZERO, correlation_id="",
                ),
                source,
            )  # fmt: skip
        self.admit_transit()


def _protect(order: SimOrder, last: Decimal, band: tuple[Decimal, Decimal]) -> None:
    """Turn a market order into a limit order with price protection, and a stop-market into a stop-limit."""
    instrument = order.listed.instrument
    if order.order_type.rule is OrderType.LIMIT or order.order_type is WireType.STOP_LOSS:
        return
    base = order.trigger_price if order.order_type is WireType.STOP_LOSS_MARKET else last
    way = Rounding.DOWN if order.side is Side.BUY else Rounding.UP
    price = snap_to_tick(protected_price(order.side, base), instrument.tick, way)
    order.price = max(instrument.tick, min(band[1], max(band[0], price)))
    order.order_type = WireType.STOP_LOSS if order.order_type is WireType.STOP_LOSS_MARKET else WireType.LIMIT


def refusal(refused: Refused) -> Answer:
    """Give a refusal as an answer."""
    body = {"errorType": refused.kind, "errorCode": refused.code, "errorMessage": refused.message}
    return refused.status, body


def unknown_order() -> Refused:
    """Give Dhan's word for an id that it does not know."""
    text = "Incorrect request for order and cannot be processed"
    return Refused(message=text, code="DH-906", kind="Order_Error", status=404)


def already(order: SimOrder) -> Refused:
    """Give Dhan's word for an order that is over."""
    return Refused(message=f"Order is already {order.status.value.lower()}", code="DH-906", kind="Order_Error")

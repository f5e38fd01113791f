"""Conditional triggers: orders that the broker places when an index or a share passes a price.

Conditions on a price that count once are played. Those on indicators, and those that count again and again, are refused
in words, never accepted and forgotten. Forever orders are for CNC and MTF, which nothing that this market lists can be
held in: they are refused too, and their list is empty.

Invariant: a condition places its orders once at most.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from workbench.core.instrument import Segment
from workbench.core.money import ZERO
from workbench.simulator.admission import Refused, number, refusal, unknown_order
from workbench.simulator.desk import Desk
from workbench.simulator.limits import Answer
from workbench.simulator.orders import Status

MOST_ORDERS = 15
_SEGMENTS = (Segment.IDX_I.value, Segment.NSE_EQ.value, Segment.BSE_EQ.value)
_OPERATORS = (
    "CROSSING_UP", "CROSSING_DOWN", "CROSSING_ANY_SIDE", "GREATER_THAN", "LESS_THAN", "GREATER_THAN_EQUAL",
    "LESS_THAN_EQUAL", "EQUAL", "NOT_EQUAL",
)  # fmt: skip
_BAD = Refused(message="Missing required fields, bad values for parameters etc.")


@dataclass(slots=True, kw_only=True)
class Condition:
    """One condition and the bodies of its orders; `before` is the last price that was looked at."""

    alert_id: str
    body: dict[str, Any]
    orders: list[dict[str, Any]]
    value: Decimal
    created: datetime
    status: str = "ACTIVE"
    triggered: datetime | None = None
    before: Decimal = ZERO

    @property
    def expires(self) -> date | None:
        """The last day on which it counts."""
        text = self.body.get("expDate")
        return date.fromisoformat(str(text)) if text else None

    def is_met(self, last: Decimal) -> bool:
        """Say whether a new price meets it."""
        value, before = self.value, self.before
        up, down = ZERO < before < value <= last, before > value >= last
        match str(self.body.get("operator")):
            case "CROSSING_UP":
                return up
            case "CROSSING_DOWN":
                return down
            case "CROSSING_ANY_SIDE":
                return up or down
            case "GREATER_THAN":
                return last > value
            case "LESS_THAN":
                return last < value
            case "GREATER_THAN_EQUAL":
                return last >= value
            case "LESS_THAN_EQUAL":
                return last <= value
            case "EQUAL":
                return last == value
            case _:
                return last != value


class ConditionalOrders:
    """All conditions of the account; they outlive the day.

    Parameters
    ----------
    desk : Desk
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._made = 0
        self.conditions: dict[str, Condition] = {}
        desk.annexes.append(self)

    def place(self, body: dict[str, Any]) -> Answer:
        """Take a condition and its orders."""
        condition, orders = body.get("condition"), body.get("orders")
        refused = self._refused(condition, orders)
        if refused is not None or not isinstance(condition, dict) or not isinstance(orders, list):
            return refusal(refused or _BAD)
        self._made += 1
        alert_id = f"{self._desk.now:%y%m%d}{self._made:06d}"
        self.conditions[alert_id] = Condition(
            alert_id=alert_id, body=condition, orders=orders, created=self._desk.now,
            value=number(condition.get("comparingValue")) or ZERO,
        )  # fmt: skip
        return 200, {"alertId": alert_id, "alertStatus": "ACTIVE"}

    def modify(self, alert_id: str, body: dict[str, Any]) -> Answer:
        """Change what waits; orders that are left out stay."""
        found = self.conditions.get(alert_id)
        if found is None or found.status != "ACTIVE":
            return refusal(unknown_order())
        condition, orders = body.get("condition"), body.get("orders", found.orders)
        refused = self._refused(condition, orders)
        if refused is not None or not isinstance(condition, dict):
            return refusal(refused or _BAD)
        found.body, found.orders = condition, orders
        found.value, found.before = number(condition.get("comparingValue")) or ZERO, ZERO
        return 200, {"alertId": alert_id, "alertStatus": "ACTIVE"}

    def cancel(self, alert_id: str) -> Answer:
        """Take a condition back."""
        found = self.conditions.get(alert_id)
        if found is None or found.status != "ACTIVE":
            return refusal(unknown_order())
        found.status = "CANCELLED"
        return 200, {"alertId": alert_id, "alertStatus": "CANCELLED"}

    def one(self, alert_id: str) -> Answer:
        """Give one condition."""
        found = self.conditions.get(alert_id)
        return refusal(unknown_order()) if found is None else (200, _row(found))

    def rows(self) -> list[dict[str, Any]]:
        """Give all of them."""
        return [_row(each) for each in self.conditions.values()]

    def open_day(self) -> None:
        """Let go of what is out of date; the price of yesterday crosses nothing."""
        for each in self.conditions.values():
            each.before = ZERO
            if each.status == "ACTIVE" and each.expires is not None and each.expires < self._desk.session.date:
                each.status = "EXPIRED"

    def watch(self) -> None:
        """Place the orders of a condition that is met."""
        for each in self.conditions.values():
            if each.status != "ACTIVE":
                continue
            listed = self._desk.board.listing.find(str(each.body["exchangeSegment"]), str(each.body["securityId"]))
            last = self._desk.board.quote(listed).last if listed else ZERO
            if last <= ZERO:
                continue
            if each.is_met(last):
                each.status, each.triggered = "TRIGGERED", self._desk.now
                for body in each.orders:
                    self._desk.place(_order_body(body))
            each.before = last

    def clear(self, status: Status, reason: str, product: str | None) -> None:
        """Conditions are no orders yet: closing everything leaves them."""

    def _refused(self, condition: object, orders: object) -> Refused | None:
        if not isinstance(condition, dict) or not isinstance(orders, list) or not 1 <= len(orders) <= MOST_ORDERS:
            return _BAD
        if str(condition.get("comparisonType")) != "PRICE_WITH_VALUE":
            return Refused(message="This market plays conditions of type PRICE_WITH_VALUE only")
        if str(condition.get("frequency") or "ONCE") != "ONCE":
            return Refused(message="This market plays conditions of frequency ONCE only")
        segment = str(condition.get("exchangeSegment"))
        known = segment in _SEGMENTS and self._desk.board.listing.find(segment, str(condition.get("securityId")))
        if not known or str(condition.get("operator")) not in _OPERATORS or not number(condition.get("comparingValue")):
            return _BAD
        try:
            date.fromisoformat(str(condition.get("expDate") or self._desk.session.date))
        except ValueError:
            return _BAD
        for each in orders:
            read = self._desk.read(_order_body(each)) if isinstance(each, dict) else _BAD
            if isinstance(read, Refused):
                return read
        return None


def forever_refused() -> Answer:
    """Give the answer to a new forever order."""
    return refusal(Refused(message="Forever orders are for CNC and MTF, which no instrument of this market allows"))


def _order_body(body: dict[str, Any]) -> dict[str, Any]:
    """Give an order of a condition as a plain one: it has its own name for the disclosed quantity."""
    return {**body, "disclosedQuantity": body.get("discQuantity") or 0, "price": body.get("price") or 0}


def _row(found: Condition) -> dict[str, Any]:
    return {
        "alertId": found.alert_id,
        "alertStatus": found.status,
        "createdTime": _utc(found.created),
        "triggeredTime": _utc(found.triggered) if found.triggered else None,
        "lastPrice": float(found.before),
        "condition": found.body,
        "orders": found.orders,
    }


def _utc(moment: datetime) -> str:
    """Give a time as these endpoints print it, unlike all others: in UTC."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

"""Positions that may stay over the night, and the morning after: what the tests of nights and of expiry share."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

from tests.unit.core.builders import CALL, Stand, at, scalp
from workbench.core.messages import (
    AlertAction,
    CancelOrder,
    Command,
    DayBegan,
    Level,
    ModifyOrder,
    Notify,
    PlaceOrder,
)
from workbench.core.order import OrderState, OrderTicket, Product
from workbench.core.plan import Distance, Exits, Overnight

A = AlertAction
NEXT = date(2022, 6, 16)
AFTER = date(2022, 6, 17)
STOP = Exits(stop=Distance(points=Decimal(15)))
"""Contracts of the 16th: those that are bought on the 15th expire the day after."""


def keeping(overnight: Overnight = Overnight.KEEP, **plan: Any) -> Stand:
    """A protected position that may stay over the night."""
    body: dict[str, Any] = {"exits": STOP, "product": Product.MARGIN, "overnight": overnight, **plan}
    stand = Stand(scalp(**body))
    stand.protected()
    return stand


def at_the_close(stand: Stand, price: float = 120) -> None:
    stand.now = at("15:28:59")
    stand.price(CALL, price)
    stand.wait(1)


def morning(stand: Stand, day: date = NEXT, clock: str = "09:00:00") -> None:
    """The stop expires with its day, and the next one begins; the engine is awake."""
    stand.now = at("15:30:00")
    stand.wait(1)
    stop = stand.ticket("S")
    if stand.book.orders[stop.correlation_id].state.may_rest:
        stand.update(stop, state=OrderState.EXPIRED)
    stand.now = at(clock, day)
    stand.tell(DayBegan(day=day))
    stand.shown()
    awake_until_the_open(stand)


def writes(stand: Stand, first: int) -> list[Command]:
    """Requests that change something at the broker, from that command on."""
    return [each for each in stand.commands[first:] if isinstance(each, PlaceOrder | ModifyOrder | CancelOrder)]


def placed(stand: Stand, first: int) -> list[OrderTicket]:
    """Orders that were sent, from that command on."""
    return [each.ticket for each in stand.commands[first:] if isinstance(each, PlaceOrder)]


def awake_until_the_open(stand: Stand) -> None:
    """The engine hears beats up to the open: it has not slept over it."""
    stand.now = at("09:14:50", stand.now.date())
    stand.wait(1)


def alarms(stand: Stand) -> list[str]:
    return [each.text for each in stand.of(Notify) if each.level is Level.ALARM]

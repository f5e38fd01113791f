"""Where in the life of an order the engine is killed, and how each of these points is met from outside.

A point is met by an alert, and then by what the journal's file shows or by a fault that strikes at the broker: a
request that is held up in front of it, or an answer that is withheld behind it.

Invariant: nothing of the engine is changed to be killed; every point is seen from outside.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

HELD_BACK_S = 5.0
"""Real seconds that a request or an answer is held back; the kill comes as soon as it is."""


class KillPoint(StrEnum):
    """Where in the life of an order the engine is killed; the names say what is durable or done by then."""

    ALERT = "alert"
    SUBMITTED = "submitted"
    NEVER_ARRIVED = "never_arrived"
    IN_FLIGHT = "in_flight"
    HIDDEN = "hidden"
    ACKNOWLEDGED = "acknowledged"
    FILLED = "filled"
    STOP_SUBMITTED = "stop_submitted"
    STOP_IN_FLIGHT = "stop_in_flight"
    PROTECTED = "protected"
    EXIT_BEGAN = "exit_began"
    CHANGE_ASKED = "change_asked"
    CHANGE_IN_FLIGHT = "change_in_flight"
    FLAT = "flat"
    TERMINATED = "terminated"
    STARTING = "starting"
    RANDOM = "random"
    SUPER_NEVER_ARRIVED = "super_never_arrived"
    SUPER_IN_FLIGHT = "super_in_flight"
    SUPER_HIDDEN = "super_hidden"
    LEG_CHANGE_IN_FLIGHT = "leg_change_in_flight"
    LEG_ASKED_BACK = "leg_asked_back"
    TARGET_LEG_IN_FLIGHT = "target_leg_in_flight"
    STOP_LEG_IN_FLIGHT = "stop_leg_in_flight"
    LEFT_SUBMITTED = "left_submitted"
    LEFT_IN_FLIGHT = "left_in_flight"


@dataclass(frozen=True, slots=True)
class Way:
    """How a kill point is met: by an alert, and by what the journal shows or a fault that strikes."""

    needs: str
    seen: Callable[[dict[str, Any]], bool] = lambda _: False
    faults: tuple[dict[str, Any], ...] = ()


def _event(kind: str, **wanted: str) -> Callable[[dict[str, Any]], bool]:
    return lambda event: event.get("type") == kind and all(event.get(key) == value for key, value in wanted.items())


def _submitted(purpose: str) -> Callable[[dict[str, Any]], bool]:
    return lambda event: event.get("type") == "OrderSubmitted" and event["ticket"]["purpose"] == purpose


def _withheld(match: str, skip: int = 0) -> dict[str, Any]:
    return {"kind": "timeout_after_accept", "match": match, "seconds": HELD_BACK_S, "skip": skip}


WAYS = {
    KillPoint.ALERT: Way("entry", _event("AlertReceived")),
    KillPoint.SUBMITTED: Way("entry", _submitted("entry")),
    KillPoint.NEVER_ARRIVED: Way("entry", faults=({"kind": "delay", "match": "POST /orders", "seconds": HELD_BACK_S},)),
    KillPoint.IN_FLIGHT: Way("entry", faults=(_withheld("POST /orders"),)),
    KillPoint.HIDDEN: Way(
        "entry",
        faults=(
            _withheld("POST /orders"),
            {"kind": "lagging_lookup", "match": "POST /orders", "seconds": 6, "book": True},
        ),
    ),
    KillPoint.ACKNOWLEDGED: Way("entry", _event("OrderMoved")),
    KillPoint.FILLED: Way("entry", _event("FillBooked")),
    KillPoint.STOP_SUBMITTED: Way("entry", _submitted("stop")),
    KillPoint.STOP_IN_FLIGHT: Way("entry", faults=(_withheld("POST /orders", skip=1),)),
    KillPoint.PROTECTED: Way("entry", _event("ProtectionChanged", protection="at_broker")),
    KillPoint.EXIT_BEGAN: Way("exit", _event("ExitBegan")),
    KillPoint.CHANGE_ASKED: Way("exit", _event("OrderChangeAsked")),
    KillPoint.CHANGE_IN_FLIGHT: Way("exit", faults=(_withheld("PUT /orders"),)),
    KillPoint.FLAT: Way("exit", _event("PositionClosed")),
    KillPoint.TERMINATED: Way("entry", _event("ProtectionChanged", protection="at_broker")),
    KillPoint.STARTING: Way("entry", _submitted("entry")),
    KillPoint.RANDOM: Way("entry"),
    KillPoint.SUPER_NEVER_ARRIVED: Way(
        "entry", faults=({"kind": "delay", "match": "POST /super/orders", "seconds": HELD_BACK_S},)
    ),
    KillPoint.SUPER_IN_FLIGHT: Way("entry", faults=(_withheld("POST /super/orders"),)),
    KillPoint.SUPER_HIDDEN: Way(
        "entry",
        faults=(
            _withheld("POST /super/orders"),
            {"kind": "lagging_lookup", "match": "POST /super/orders", "seconds": 6, "book": True},
        ),
    ),
    KillPoint.LEG_CHANGE_IN_FLIGHT: Way("entry", faults=(_withheld("PUT /super/orders"),)),
    KillPoint.LEG_ASKED_BACK: Way("exit", _event("CancelAsked")),
    KillPoint.TARGET_LEG_IN_FLIGHT: Way("exit", faults=(_withheld("DELETE /super/orders"),)),
    KillPoint.STOP_LEG_IN_FLIGHT: Way("exit", faults=(_withheld("DELETE /super/orders", skip=1),)),
    KillPoint.LEFT_SUBMITTED: Way("exit", _submitted("exit")),
    KillPoint.LEFT_IN_FLIGHT: Way("exit", faults=(_withheld("POST /orders"),)),
}

LAGGING = (KillPoint.HIDDEN, KillPoint.SUPER_HIDDEN)
"""Where the broker's lists do not show what he took."""

PLAIN_POINTS = tuple(KillPoint)[: tuple(KillPoint).index(KillPoint.SUPER_NEVER_ARRIVED)]
"""Of a day of plain orders."""

SUPER_POINTS = (
    KillPoint.ALERT,
    KillPoint.SUBMITTED,
    KillPoint.SUPER_NEVER_ARRIVED,
    KillPoint.SUPER_IN_FLIGHT,
    KillPoint.SUPER_HIDDEN,
    KillPoint.ACKNOWLEDGED,
    KillPoint.FILLED,
    KillPoint.LEG_CHANGE_IN_FLIGHT,
    KillPoint.PROTECTED,
    KillPoint.EXIT_BEGAN,
    KillPoint.LEG_ASKED_BACK,
    KillPoint.TARGET_LEG_IN_FLIGHT,
    KillPoint.STOP_LEG_IN_FLIGHT,
    KillPoint.LEFT_SUBMITTED,
    KillPoint.LEFT_IN_FLIGHT,
    KillPoint.FLAT,
    KillPoint.TERMINATED,
    KillPoint.STARTING,
    KillPoint.RANDOM,
)
"""Of a day on which entries go as super orders."""


def is_of_supers(seed: int) -> bool:
    """Say whether the entries of a day go as super orders; on each second of them the legs share their entry's id."""
    return seed % 8 == 7

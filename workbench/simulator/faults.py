"""Faults by name: what networks, brokers and exchanges do to those who trade, ordered by a test or a file.

A fault waits until its market time, lets `skip` matching things pass, then strikes the next `count` of them, exactly in
the way that its name says. What "thing" means is its family: a request, a new order, an order update, a connection, a
packet, the token. Where it strikes is in the gate (requests), the feed and the updates (streams).

Invariant: a fault strikes `count` times and not once more, and every strike is remembered with its market time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, time
from enum import StrEnum
from typing import Any

from workbench.core.errors import BadInput, UnknownName
from workbench.core.session import IST

_MOST_REMEMBERED = 2000
_LONGEST_S, _USUAL_S = 86_400.0, 10.0
_METHODS = ("GET", "POST", "PUT", "DELETE", "")
_STREAMS = ("feed", "updates")


class FaultKind(StrEnum):
    """What can go wrong."""

    # a request
    RESET_BEFORE = "reset_before"
    DELAY = "delay"
    HTTP_429 = "http_429"
    HTTP_500 = "http_500"
    HTTP_502 = "http_502"
    HTTP_503 = "http_503"
    HTTP_504 = "http_504"
    HTML_BODY = "html_body"
    TRUNCATED_BODY = "truncated_body"
    EMPTY_202 = "empty_202"
    LOST_REPLY = "lost_reply"
    TIMEOUT_AFTER_ACCEPT = "timeout_after_accept"
    WRONG_IP = "wrong_ip"
    # a new order
    REJECT = "reject"
    REJECT_AFTER_ACK = "reject_after_ack"
    STUCK_IN_TRANSIT = "stuck_in_transit"
    LAGGING_LOOKUP = "lagging_lookup"
    # an order update
    UPDATES_DELAYED = "updates_delayed"
    UPDATES_DOUBLED = "updates_doubled"
    UPDATES_DROPPED = "updates_dropped"
    UPDATES_REORDERED = "updates_reordered"
    # a connection of a stream
    FEED_SILENT = "feed_silent"
    FEED_HALF_OPEN = "feed_half_open"
    DISCONNECT = "disconnect"
    FEED_REFUSED_429 = "feed_refused_429"
    # a packet of the feed
    BAD_TICKS = "bad_ticks"
    # the token
    TOKEN_EXPIRED = "token_expired"  # noqa: S105 - a fault's name


BEFORE = frozenset({FaultKind.RESET_BEFORE, FaultKind.DELAY, FaultKind.WRONG_IP})
"""Request faults after which, or under which, the broker has not seen the request yet."""

EITHER = frozenset(
    {
        FaultKind.HTTP_429, FaultKind.HTTP_500, FaultKind.HTTP_502, FaultKind.HTTP_503, FaultKind.HTTP_504,
        FaultKind.HTML_BODY,
    }
)  # fmt: skip
"""Request faults that strike before the broker has seen the request, or with ``after`` when it has accepted it."""

AFTER = frozenset({FaultKind.TRUNCATED_BODY, FaultKind.EMPTY_202, FaultKind.LOST_REPLY, FaultKind.TIMEOUT_AFTER_ACCEPT})
"""Request faults under which the broker has done what it was asked, and only its answer suffers."""

REQUESTS = BEFORE | EITHER | AFTER
ORDERS = frozenset({FaultKind.REJECT, FaultKind.REJECT_AFTER_ACK, FaultKind.STUCK_IN_TRANSIT, FaultKind.LAGGING_LOOKUP})
UPDATES = frozenset(
    {
        FaultKind.UPDATES_DELAYED, FaultKind.UPDATES_DOUBLED, FaultKind.UPDATES_DROPPED, FaultKind.UPDATES_REORDERED,
    }
)  # fmt: skip
CONNECTIONS = frozenset({FaultKind.FEED_SILENT, FaultKind.FEED_HALF_OPEN, FaultKind.DISCONNECT})

BAD_TICKS = (
    "zero", "negative", "nan", "times_100", "stale_time", "future_time", "wrong_id", "short_frame", "unknown_code",
)  # fmt: skip
"""What can be wrong with a packet."""

_KEYS = ("kind", "match", "count", "skip", "seconds", "after", "at", "what", "reason", "status", "book", "security_id")


@dataclass(slots=True, kw_only=True)
class Fault:
    """One ordered fault and how often it may still strike.

    Parameters
    ----------
    kind : FaultKind
    match : str
        Of requests and orders ``"POST /orders"`` (a method, a path that begins so, or both); of connections the stream,
        ``"feed"`` or ``"updates"``; empty means the usual.
    count, skip : int
        Strikes left; matching things that pass before the first.
    seconds : float
        Real seconds that a delay, a silence or a lag lasts; market seconds that an order is stuck, a day if not said.
    after : bool
        Strike when the broker has accepted the request (kinds that can do either).
    at : datetime, time or None
        Market time from which it strikes; a time of day means the market's day on which it was ordered.
    what : str
        Of bad ticks, what is wrong with them.
    reason : str
        Text of a rejection, or the number of a disconnect.
    status : int
        HTTP status of a HTML page.
    book : bool
        A lagging look-up hides the order from the order book and the trades too.
    security_id : str
        Bad ticks of this instrument only.
    """

    kind: FaultKind
    match: str = ""
    count: int = 1
    skip: int = 0
    seconds: float = _USUAL_S
    after: bool = False
    at: datetime | time | None = None
    what: str = "zero"
    reason: str = ""
    status: int = 200
    book: bool = False
    security_id: str = ""
    number: int = 0

    def meets(self, method: str, path: str) -> bool:
        """Say whether a request is meant."""
        wanted_method, _, wanted_path = self.match.rpartition(" ")
        if self.match in _METHODS and self.match:
            wanted_method, wanted_path = self.match, ""
        wanted_path = wanted_path.removeprefix("/v2").rstrip("/")
        path = path.removeprefix("/v2")
        return wanted_method in ("", method) and (path == wanted_path or path.startswith(f"{wanted_path}/"))

    def as_dict(self) -> dict[str, object]:
        """Give it as it could be ordered again."""
        at = self.at.isoformat() if self.at is not None else None
        row: dict[str, object] = {"kind": self.kind.value, "match": self.match, "count": self.count, "skip": self.skip}
        row |= {"seconds": self.seconds, "after": self.after, "at": at, "reason": self.reason}
        if self.kind is FaultKind.BAD_TICKS:
            row |= {"what": self.what, "security_id": self.security_id}
        if self.kind is FaultKind.HTML_BODY:
            row["status"] = self.status
        if self.kind is FaultKind.LAGGING_LOOKUP:
            row["book"] = self.book
        return row


def of_stream(stream: str, struck: set[int]) -> Callable[[Fault], bool]:
    """Say of faults whether they are meant for a connection of a stream that these have struck already."""
    return lambda fault: fault.match == stream and fault.number not in struck


def read_fault(body: Mapping[str, Any]) -> Fault:
    """Read a fault from its JSON object; only `kind` is needed.

    Raises
    ------
    BadInput
        An unknown kind or key, or a value that the kind cannot have; the text says what is possible.
    """
    kind = str(body.get("kind"))
    if kind not in set(FaultKind):
        raise UnknownName("fault", kind, [each.value for each in FaultKind])
    for key in body:
        if key not in _KEYS:
            raise UnknownName("key of a fault", key, list(_KEYS))
    fault = Fault(
        kind=FaultKind(kind),
        match=str(body.get("match", "")).strip(),
        count=_whole(body, "count", 1, least=1),
        skip=_whole(body, "skip", 0, least=0),
        seconds=_seconds(body, _LONGEST_S if kind == FaultKind.STUCK_IN_TRANSIT else _USUAL_S),
        after=bool(body.get("after", False)),
        at=_moment(body.get("at")),
        what=str(body.get("what", "zero")),
        reason=str(body.get("reason", "")),
        status=_whole(body, "status", 200, least=200),
        book=bool(body.get("book", False)),
        security_id=str(body.get("security_id", "")),
    )
    fault.match = _match(fault)
    if fault.kind is FaultKind.BAD_TICKS and fault.what not in BAD_TICKS:
        raise UnknownName("kind of bad tick", fault.what, list(BAD_TICKS))
    if fault.kind is FaultKind.DISCONNECT and not fault.reason.isdigit():
        fault.reason = fault.reason or "805"
        if not fault.reason.isdigit():
            raise BadInput(f"a disconnect has a number for its reason (805 to 810), not {fault.reason!r}")
    if fault.after and fault.kind not in EITHER:
        names = ", ".join(sorted(EITHER))
        raise BadInput(f"{kind} has its own place: only these take 'after': {names}")
    return fault


def _match(fault: Fault) -> str:
    """Give what is meant, with the kind's own default, or refuse what nothing could ever match."""
    text = fault.match
    if fault.kind in CONNECTIONS or fault.kind is FaultKind.FEED_REFUSED_429:
        if text not in (*_STREAMS, ""):
            raise BadInput(f"{fault.kind} strikes the stream 'feed' or 'updates', not {text!r}")
        return text or "feed"
    if fault.kind not in REQUESTS | ORDERS:
        if text:
            raise BadInput(f"{fault.kind} matches nothing by name: leave 'match' out")
        return ""
    if not text:
        return "" if fault.kind is FaultKind.WRONG_IP else "POST /orders"
    method, _, path = ("", "", text) if text.startswith("/") else text.partition(" ")
    if method not in _METHODS or (path and not path.startswith("/")):
        raise BadInput(f"match {text!r} is not understood; write 'POST /orders', '/orders' or 'GET'")
    return text


def _whole(body: Mapping[str, Any], key: str, default: int, *, least: int) -> int:
    value = body.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise BadInput(f"{key} of a fault is a whole number of at least {least}, not {value!r}")
    return value


def _seconds(body: Mapping[str, Any], default: float) -> float:
    value = body.get("seconds", default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= _LONGEST_S:
        raise BadInput(f"seconds of a fault is a number above 0 and at most {_LONGEST_S:.0f}, not {value!r}")
    return float(value)


def _moment(value: object) -> datetime | time | None:
    if value is None:
        return None
    text = str(value)
    try:
        if len(text) <= 8:
            return time.fromisoformat(text)
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise BadInput(f"at {text!r} is no time: write 10:30, 10:30:15 or 2026-11-16T10:30:00+05:30") from None
    return moment.replace(tzinfo=IST) if moment.tzinfo is None else moment


@dataclass(slots=True)
class FaultBook:
    """All faults that wait, and what has struck.

    Parameters
    ----------
    now : callable
        Market time.
    """

    now: Callable[[], datetime]
    waiting: list[Fault] = field(default_factory=list)
    fired: deque[dict[str, object]] = field(default_factory=lambda: deque(maxlen=_MOST_REMEMBERED))
    _ordered: int = 0

    def order(self, fault: Fault) -> None:
        """Let a copy of a fault wait for what it is to strike.

        Raises
        ------
        BadInput
            Its market time has passed: it was meant for something that is over.
        """
        now, fault = self.now(), replace(fault)
        if isinstance(fault.at, time):
            fault.at = datetime.combine(now.date(), fault.at, IST)
        if fault.at is not None and fault.at < now:
            raise BadInput(f"{fault.kind} at {fault.at:%H:%M:%S} is too late: the market's time is {now:%H:%M:%S}")
        self._ordered += 1
        fault.number = self._ordered
        self.waiting.append(fault)

    def take(
        self, kinds: frozenset[FaultKind], met: Callable[[Fault], bool], thing: str, *, now: datetime | None = None
    ) -> Fault | None:
        """Give the fault that strikes a thing, counted and remembered; None when none does."""
        if not self.waiting:
            return None
        moment = now or self.now()
        for fault in self.waiting:
            if fault.kind not in kinds or (isinstance(fault.at, datetime) and moment < fault.at) or not met(fault):
                continue
            if fault.skip > 0:
                fault.skip -= 1
                continue
            fault.count -= 1
            if fault.count <= 0:
                self.waiting.remove(fault)
            self.fired.append(
                {"number": fault.number, "kind": fault.kind.value, "at": moment.isoformat(), "struck": thing}
            )
            return fault
        return None

    def clear(self) -> None:
        """Forget what waits; what has struck stays remembered."""
        self.waiting.clear()

    def as_dict(self) -> dict[str, object]:
        """Give what waits and what has struck."""
        waiting = [{"number": each.number, **each.as_dict()} for each in self.waiting]
        return {"waiting": waiting, "fired": list(self.fired)}

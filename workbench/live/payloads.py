"""The shapes of alerts, read strictly: bytes to a checked payload, or a refusal that names the field and the way out.

A missing, extra, mistyped, doubled, endless or non-ASCII field is refused; nothing is coerced except what is written
down here (lower-case ``buy`` and ``sell``, bare minutes). The body never reaches a log.

Invariant: what passes holds plain ASCII names, finite decimals and aware times only.
"""

from __future__ import annotations

import json
import re
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from workbench.core.bars import Interval
from workbench.core.errors import BadInput
from workbench.core.session import in_india

MOST_BYTES = 8192
_DEEPEST = 3


class BadAlert(BadInput):
    """An alert that is refused before the engine sees it.

    Parameters
    ----------
    what : str
        What is wrong.
    field : str
        Which field, empty where it is not one.
    way_out : str
        What to send instead.
    status : int
        HTTP status of the refusal. Only an engine that is not ready says 503: then the sender shall send it again.
    """

    def __init__(self, what: str, *, field: str = "", way_out: str = "", status: int = 422) -> None:
        super().__init__(what)
        self.what, self.field, self.way_out, self.status = what, field, way_out, status


def _name(text: object) -> object:
    if isinstance(text, str) and not re.fullmatch(r"[A-Za-z0-9_.:!&+-]{1,40}", text, re.ASCII):
        raise ValueError("1 to 40 of the characters A-Z a-z 0-9 _ - . : ! & + are allowed")
    return text


def _side(value: object) -> object:
    return value.upper() if value in ("buy", "sell") and isinstance(value, str) else value


def _interval(text: str) -> str:
    try:
        return str(Interval.parse(text))
    except BadInput as error:
        raise ValueError(str(error)) from None


def _moment(value: object) -> object:
    if not isinstance(value, str) or not re.fullmatch(r"[0-9TZ:.+-]{10,35}", value, re.ASCII):
        raise ValueError("write the time as text, such as 2026-11-20T09:30:00Z or with +05:30")
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise ValueError("this is no time; write 2026-11-20T09:30:00Z") from None
    if moment.tzinfo is None:
        raise ValueError("the time has no zone; add Z (UTC, as {{timenow}} gives it) or +05:30")
    if not 2000 <= moment.year < 2200:
        raise ValueError("the year is no year of this market")
    return in_india(moment)


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("control characters are not allowed")
    return text


Name = Annotated[str, BeforeValidator(_name)]
Moment = Annotated[datetime, BeforeValidator(_moment)]
Price = Annotated[Decimal, Field(ge=Decimal("0.01"), le=10_000_000, allow_inf_nan=False)]
Amount = Annotated[Decimal, Field(ge=0, le=1_000_000_000_000, allow_inf_nan=False)]
Timeframe = Annotated[str, Field(max_length=8), AfterValidator(_interval)]
Note = Annotated[str, Field(max_length=200), AfterValidator(_printable)]
Identity = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[\x20-\x7e]+$")]
Secret = Annotated[str, Field(min_length=1, max_length=200)]


class _Payload(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True, allow_inf_nan=False)

    id: Identity | None = None
    key: Secret | None = None


class SidePayload(_Payload):
    """Bullish or bearish."""

    strategy: Name
    symbol: Name
    side: Annotated[Literal["BUY", "SELL"], BeforeValidator(_side)]
    timeframe: Timeframe
    price: Price
    timestamp: Moment


class ActionPayload(_Payload):
    """Open a call or a put, or close what is held."""

    strategy: Name
    symbol: Name
    action: Literal["BUY_CALL", "BUY_PUT", "SELL_CALL", "SELL_PUT"]
    timestamp: Moment


class TargetPayload(_Payload):
    """The position to be in, as a TradingView strategy says it."""

    strategy: Name
    symbol: Name
    position: Literal["long", "short", "flat"]
    timestamp: Moment
    prev_position: Literal["long", "short", "flat"] | None = None
    order_id: Note | None = None
    qty_pct: Annotated[Decimal, Field(gt=0, le=100, allow_inf_nan=False)] | None = None
    sl: Price | None = None
    tp: Price | None = None
    price: Price | None = None
    interval: Timeframe | None = None
    exchange: Name | None = None


class EntryPayload(_Payload):
    """Enter a named contract."""

    signal: Name
    action: Literal["ENTRY"]
    strike: Price
    option_type: Literal["CE", "PE"]
    spot_price: Price
    timestamp: Moment


class ExitPayload(_Payload):
    """Leave a named contract; the time is optional."""

    signal: Name
    action: Literal["EXIT"]
    strike: Price
    option_type: Literal["CE", "PE"]
    spot_price: Price | None = None
    timestamp: Moment | None = None
    message: Note | None = None


class HourlyPayload(_Payload):
    """A closed hourly bar, which may stand in for a missing one."""

    ticker: Name
    timestamp: Moment
    open: Price
    high: Price
    low: Price
    close: Price
    volume: Amount


Payload = SidePayload | ActionPayload | TargetPayload | EntryPayload | ExitPayload | HourlyPayload


def read_payload(body: bytes, kind: str = "") -> Payload:
    """Read an alert's body.

    Parameters
    ----------
    body : bytes
        At most 8 KB.
    kind : {"", "entry", "exit", "hourly"}
        The one shape that a route takes; empty: found by the payload's own keys.

    Raises
    ------
    BadAlert
        With what, field and way out.
    """
    value = _parse(body)
    model = _shape(value, kind)
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise _refusal(error, model) from None


def _parse(body: bytes) -> dict[str, Any]:
    if len(body) > MOST_BYTES:
        raise BadAlert(
            f"the body is larger than {MOST_BYTES} bytes", way_out="send the alert's fields only", status=413
        )
    try:
        text = body.decode("utf-8")
        if _depth(text) > _DEEPEST:
            raise BadAlert("the body is nested", way_out="send one flat JSON object", status=400)
        value = json.loads(
            text,
            parse_float=_decimal,
            parse_int=_decimal,
            parse_constant=_no_constant,
            object_pairs_hook=_no_doubles,
        )
    except (UnicodeDecodeError, json.JSONDecodeError):
        raise BadAlert("the body is not JSON", way_out="send one JSON object", status=400) from None
    if not isinstance(value, dict):
        raise BadAlert("the body is not a JSON object", way_out='send {"strategy": ..., ...}', status=400)
    return value


def _depth(text: str) -> int:
    """Deepest nesting by brackets; those inside of strings count too, which no honest alert has many of."""
    depth = deepest = 0
    for mark in text:
        if mark in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif mark in "]}":
            depth -= 1
    return deepest


def _decimal(text: str) -> Decimal:
    if len(text) > 40:
        raise BadAlert("a number has more than 40 digits", way_out="send a price such as 25012.5", status=400)
    try:
        return Decimal(text)
    except InvalidOperation:  # an exponent beyond what a decimal can hold
        raise BadAlert("a number is out of range", way_out="send a price such as 25012.5", status=400) from None


def _no_constant(text: str) -> None:
    raise BadAlert(f"{text} is not a number", way_out="send a price such as 25012.5", status=400)


def _no_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise BadAlert("a field stands twice", field=_shown(key), way_out="send each field once", status=400)
        found[key] = value
    return found


_BY_KIND: dict[str, type[Payload]] = {"entry": EntryPayload, "exit": ExitPayload, "hourly": HourlyPayload}


def _shape(value: dict[str, Any], kind: str) -> type[Payload]:
    """Find the shape by the key that only it has."""
    if kind:
        return _BY_KIND[kind]
    if "position" in value:
        return TargetPayload
    if "side" in value:
        return SidePayload
    if "signal" in value:
        return ExitPayload if value.get("action") == "EXIT" else EntryPayload
    if "action" in value:
        return ActionPayload
    if "ticker" in value:
        return HourlyPayload
    raise BadAlert(
        "a field is missing: one of side, action, position says what to do",
        field="side",
        way_out='for instance "side": "BUY"',
    )


def _refusal(error: ValidationError, model: type[Payload]) -> BadAlert:
    problem = error.errors(include_input=False, include_url=False, include_context=False)[0]
    field = _shown(".".join(str(part) for part in problem["loc"]))
    known = ", ".join(model.model_fields)
    kind = problem["type"]
    if kind == "missing":
        return BadAlert(f"{field} is missing", field=field, way_out=f"the fields of this alert are: {known}")
    if kind == "extra_forbidden":
        return BadAlert(f"{field} is not a field of this alert", field=field, way_out=f"its fields are: {known}")
    told = problem["msg"].removeprefix("Value error, ")
    return BadAlert(f"{field} cannot be read: {told}", field=field, way_out=f"see {field} in docs/tradingview.md")


def _shown(key: str) -> str:
    """A foreign key, safe to print."""
    return re.sub(r"[^A-Za-z0-9_.-]", "?", key)[:40]

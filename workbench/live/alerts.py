"""From a payload to an alert of the engine: whose it is, whether its key fits, whether it is fresh and from our market.

Order: shape, deployment, key, symbol, market, age, price, identity. Each refusal is a `BadAlert` with its way out.
An alert that can only leave is not asked where its price came from.

Invariants: an alert's id names its deployment, so two deployments never share one; a key is compared as hashes of bytes
in constant time and is never kept; price and quantity of an alert bound nothing but sanity.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from workbench.core.bars import Interval
from workbench.core.deployment import Deployment, Mode
from workbench.core.errors import UnknownFact, did_you_mean
from workbench.core.instrument import Right, Segment
from workbench.core.messages import AlertAction, AlertReceived
from workbench.core.plan import AlertTime, Contract
from workbench.core.session import Calendar
from workbench.live.payloads import (
    ActionPayload,
    BadAlert,
    EntryPayload,
    ExitPayload,
    HourlyPayload,
    Payload,
    SidePayload,
    TargetPayload,
    read_payload,
)

FUTURE = timedelta(seconds=10)
OLDEST_EXIT = timedelta(minutes=10)
OLDEST_BAR = timedelta(hours=2)
FAR_PRICE_PCT = Decimal(2)
"""An alert's price further than this from our own spot comes from delayed or foreign data."""

PRACTICE_CLOCK = "practice has the clock of its simulated market: workbench alert test sends one through this door"
SEE_DEPLOYMENTS = "see: workbench deployments; what was promoted since the start runs from the next workbench up on"

_ACTIONS = {
    "BUY": AlertAction.BULLISH,
    "SELL": AlertAction.BEARISH,
    "BUY_CALL": AlertAction.OPEN_CALL,
    "BUY_PUT": AlertAction.OPEN_PUT,
    "SELL_CALL": AlertAction.CLOSE_CALL,
    "SELL_PUT": AlertAction.CLOSE_PUT,
    "long": AlertAction.TARGET_LONG,
    "short": AlertAction.TARGET_SHORT,
    "flat": AlertAction.TARGET_FLAT,
    "ENTRY": AlertAction.ENTRY_GIVEN,
    "EXIT": AlertAction.EXIT_GIVEN,
}
_EXITS = (AlertAction.CLOSE_CALL, AlertAction.CLOSE_PUT, AlertAction.TARGET_FLAT, AlertAction.EXIT_GIVEN)


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertDesk:
    """What alerts are judged by.

    Parameters
    ----------
    mode : Mode
        Paper and live need a key.
    max_age_s : float
        Oldest entry, market seconds after firing.
    spot : callable
        Our own last price of an underlying, None while unknown.
    scope : str
        Stands before every id. Empty for paper and live; a practice market that is played again has another one, so
        that the same alerts can be tried again.
    """

    deployments: Sequence[Deployment]
    mode: Mode
    calendar: Calendar
    max_age_s: float
    spot: Callable[[str], Decimal | None]
    scope: str = ""

    def by_link(self, link: str) -> Deployment | None:
        """Deployment of a webhook link."""
        return next((item for item in self.deployments if item.webhook_link == link), None) if link else None

    def by_name(self, name: str) -> Deployment | None:
        """Deployment by name."""
        return next((item for item in self.deployments if item.name == name), None)

    def by_symbol(self, symbol: str) -> Deployment | None:
        """First deployment on a symbol."""
        return next((item for item in self.deployments if item.symbol == symbol), None)


def read_alert(body: bytes, desk: AlertDesk, *, now: datetime, link: str = "", kind: str = "") -> AlertReceived:
    """Read, authenticate and judge one alert.

    Parameters
    ----------
    link : str
        The last part of the address it came to; empty for the routes that name their deployment in the body.
    kind : {"", "entry", "exit", "hourly"}
        What such a route takes.

    Raises
    ------
    BadAlert
    """
    at_link = desk.by_link(link)
    if link and at_link is None:
        raise BadAlert(
            "no deployment that runs has this webhook link", field="link", way_out=SEE_DEPLOYMENTS, status=404
        )
    payload = read_payload(body, kind)
    deployment = _deployment(payload, desk, at_link)
    _authenticate(payload, deployment, desk.mode)
    symbol = _symbol(payload, deployment)
    fired_at = _fired_at(payload, deployment)
    action = _action(payload)
    _market_open(deployment, desk.calendar, now)
    _fresh(action, fired_at, now, desk)
    price = _price(payload)
    if action not in _EXITS:
        _timely(payload)
        _near(price, symbol, desk)
    given = payload if isinstance(payload, EntryPayload | ExitPayload) else None
    identity = payload.id or _derived_id(payload, deployment, action, now)
    return AlertReceived(
        alert_id=f"{desk.scope}{deployment.name}:{identity}",
        deployment=deployment.name,
        action=action,
        symbol=symbol,
        received_at=now,
        fired_at=fired_at,
        price=price,
        given_strike=None if given is None else given.strike,
        given_right=None if given is None else Right(given.option_type),
        text=shown(payload),
    )


def shown(payload: Payload) -> str:
    """Give the payload as one line without its key, for the record."""
    body = payload.model_dump(mode="json", exclude={"key"}, exclude_none=True)
    return json.dumps(body, separators=(",", ":"))[:400]


def _deployment(payload: Payload, desk: AlertDesk, at_link: Deployment | None) -> Deployment:
    if isinstance(payload, HourlyPayload):
        found = at_link or desk.by_symbol(_bare(payload.ticker))
        if found is None:
            raise BadAlert(
                f"no deployment trades {payload.ticker}",
                field="ticker",
                way_out=SEE_DEPLOYMENTS,
                status=404,
            )
        return found
    named = payload.signal if isinstance(payload, EntryPayload | ExitPayload) else payload.strategy
    field = "signal" if isinstance(payload, EntryPayload | ExitPayload) else "strategy"
    if at_link is not None:
        if named != at_link.name:
            raise BadAlert(
                f"{field} {named!r} is not the deployment of this link", field=field, way_out=f"send {at_link.name!r}"
            )
        return at_link
    found = desk.by_name(named)
    if found is None:
        hint = did_you_mean(named, [item.name for item in desk.deployments])
        raise BadAlert(f"no deployment is called {named!r}{hint}", field=field, way_out=SEE_DEPLOYMENTS, status=404)
    return found


def _authenticate(payload: Payload, deployment: Deployment, mode: Mode) -> None:
    """Check the key; the link alone is a routing name."""
    needed = mode in (Mode.PAPER, Mode.LIVE)
    if not needed and payload.key is None:
        return
    if not deployment.key_sha256:
        if needed:
            raise BadAlert(
                "this deployment has no alert key, and paper and live need one",
                field="key",
                way_out=f"workbench deployments {deployment.name} --new-key",
                status=401,
            )
        return
    given = hashlib.sha256((payload.key or "").encode()).digest()
    if not hmac.compare_digest(given, bytes.fromhex(deployment.key_sha256)):
        raise BadAlert(
            "the key is missing or wrong",
            field="key",
            way_out='send the secret as "key"; it was shown once',
            status=401,
        )


def _bare(symbol: str) -> str:
    """``NSE:NIFTY`` is NIFTY."""
    return symbol.rpartition(":")[2]


def _timely(payload: Payload) -> None:
    """Refuse data of a delayed exchange. What leaves is taken from any: late to leave is better than not at all."""
    if isinstance(payload, TargetPayload) and payload.exchange is not None:
        _not_delayed(payload.exchange, "exchange")
    if isinstance(payload, HourlyPayload):
        _not_delayed(payload.ticker.rpartition(":")[0], "ticker")
    elif not isinstance(payload, EntryPayload | ExitPayload):
        _not_delayed(payload.symbol.rpartition(":")[0], "symbol")


def _not_delayed(exchange: str, field: str) -> None:
    if exchange.upper().endswith(("_DL", "_DLY")):
        raise BadAlert(
            f"delayed_data: {exchange} is a delayed exchange",
            field=field,
            way_out="subscribe to real-time data of that exchange and set the alert anew",
        )


def _symbol(payload: Payload, deployment: Deployment) -> str:
    if isinstance(payload, EntryPayload | ExitPayload):
        return deployment.symbol
    if isinstance(payload, HourlyPayload):
        field, symbol = "ticker", payload.ticker
    else:
        field, symbol = "symbol", payload.symbol
    if _bare(symbol) != deployment.symbol:
        raise BadAlert(
            f"{field} {symbol!r} is not what {deployment.name} trades",
            field=field,
            way_out=f"send {deployment.symbol!r}; docs/tradingview.md lists symbols that differ",
        )
    return deployment.symbol


def _action(payload: Payload) -> AlertAction:
    match payload:
        case HourlyPayload():
            return AlertAction.HOURLY
        case SidePayload():
            return _ACTIONS[payload.side]
        case TargetPayload():
            return _ACTIONS[payload.position]
        case ActionPayload() | EntryPayload() | ExitPayload():
            return _ACTIONS[payload.action]


def _interval(payload: Payload) -> Interval | None:
    text = ""
    if isinstance(payload, SidePayload):
        text = payload.timeframe
    elif isinstance(payload, TargetPayload):
        text = payload.interval or ""
    return Interval.parse(text) if text else None


def _fired_at(payload: Payload, deployment: Deployment) -> datetime | None:
    """When it fired; a timestamp that is the open of its bar means the bar's close."""
    if payload.timestamp is None:
        return None
    if isinstance(payload, HourlyPayload):
        return payload.timestamp
    if deployment.plan.alert_time is AlertTime.BAR_OPEN:
        return payload.timestamp + (_interval(payload) or Interval.parse(deployment.interval)).delta
    return payload.timestamp


def _market_open(deployment: Deployment, calendar: Calendar, now: datetime) -> None:
    segment = Segment.NSE_EQ if deployment.plan.contract is Contract.UNDERLYING else Segment.NSE_FNO
    try:
        session = calendar.session(segment, now.date())
    except UnknownFact as error:
        raise BadAlert(f"the market's hours are not known: {error}", status=409) from None
    if session is None or not session.contains(now):
        hours = "no session today" if session is None else f"open {session.open:%H:%M} to {session.trading_end:%H:%M}"
        raise BadAlert(
            f"the market is closed at {now:%Y-%m-%d %H:%M:%S} ({hours})",
            way_out="send alerts while the market is open",
            status=409,
        )


def _fresh(action: AlertAction, fired_at: datetime | None, now: datetime, desk: AlertDesk) -> None:
    if fired_at is None:
        return
    age, max_age = now - fired_at, timedelta(seconds=desk.max_age_s)
    in_practice = PRACTICE_CLOCK if desk.mode is Mode.PRACTICE else ""
    if age < -FUTURE:
        raise BadAlert(
            f"the alert is {-age.total_seconds():.0f} s in the future (it is {now.isoformat(timespec='seconds')})",
            field="timestamp",
            way_out=in_practice or "send {{timenow}}; with {{time}} set alert_time: bar_open in the plan",
        )
    limit = OLDEST_BAR if action is AlertAction.HOURLY else OLDEST_EXIT if action in _EXITS else max_age
    if age > limit:
        raise BadAlert(
            f"the alert is stale: {age.total_seconds():.0f} s old, at most {limit.total_seconds():.0f} s",
            field="timestamp",
            way_out=in_practice or f"it is {now.isoformat(timespec='seconds')}; send {{{{timenow}}}} when it fires",
        )


def _price(payload: Payload) -> Decimal | None:
    match payload:
        case SidePayload() | TargetPayload():
            return payload.price
        case EntryPayload() | ExitPayload():
            return payload.spot_price
        case HourlyPayload():
            return payload.close
        case ActionPayload():
            return None


def _near(price: Decimal | None, symbol: str, desk: AlertDesk) -> None:
    spot = desk.spot(symbol)
    if price is None or spot is None or not spot:
        return
    away = abs(price - spot) * 100 / spot
    if away > FAR_PRICE_PCT:
        raise BadAlert(
            f"delayed_data: the price {price} is {away:.1f} % from ours ({spot})",
            field="price",
            way_out=f"at most {FAR_PRICE_PCT} % is taken; is the chart delayed, or of another symbol?",
        )


def _derived_id(payload: Payload, deployment: Deployment, action: AlertAction, now: datetime) -> str:
    """Identity of an alert that brings none: strategy, symbol, action, order id and its bar.

    The bar is known where the payload names its interval; else the time itself stands for it. An exit without a time
    counts at the second in which it came: a second exit finds nothing to leave.
    """
    moment = payload.timestamp or now.replace(microsecond=0)
    interval = _interval(payload)
    if interval is not None:
        anchor = moment.replace(hour=9, minute=15, second=0, microsecond=0)
        moment = interval.opens_at(moment, anchor)
    order_id = payload.order_id or "" if isinstance(payload, TargetPayload) else ""
    contract = f"{payload.strike}{payload.option_type}" if isinstance(payload, EntryPayload | ExitPayload) else ""
    parts = (deployment.name, deployment.symbol, action.value, order_id, contract, moment.isoformat())
    return hashlib.sha256("|".join(parts).encode()).hexdigest()[:24]

"""Alerts: every payload of the design is read, and everything else is refused with what, where and the way out."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.core.deployment import Deployment, Mode
from workbench.core.instrument import Right
from workbench.core.messages import AlertAction, AlertReceived
from workbench.core.plan import NAMED_PLANS, AlertTime
from workbench.core.session import IST
from workbench.live.alerts import AlertDesk, read_alert
from workbench.live.payloads import BadAlert, read_payload
from workbench.reference import calendar

NOW = datetime(2022, 6, 15, 10, 3, 20, tzinfo=IST)
PLAN = NAMED_PLANS["scalp_atm"]
SCALP = Deployment(name="SCALP_ATM", symbol="NIFTY", plan=PLAN, webhook_link="link-1")
SIDE: dict[str, Any] = {
    "strategy": "SCALP_ATM",
    "symbol": "NIFTY",
    "side": "BUY",
    "timeframe": "5m",
    "price": 15700.5,
    "timestamp": "2022-06-15T04:33:15Z",
}
TARGET: dict[str, Any] = {
    "strategy": "SCALP_ATM",
    "symbol": "NIFTY",
    "position": "flat",
    "timestamp": "2022-06-15T10:03:10+05:30",
}
ENTRY: dict[str, Any] = {
    "signal": "SCALP_ATM",
    "action": "ENTRY",
    "strike": 15700,
    "option_type": "PE",
    "spot_price": 15712.5,
    "timestamp": "2022-06-15T10:03:10+05:30",
}


def desk(
    *,
    mode: Mode = Mode.PRACTICE,
    deployment: Deployment = SCALP,
    spot: Decimal | None = Decimal(15700),
    scope: str = "",
) -> AlertDesk:
    return AlertDesk(
        deployments=(deployment,), mode=mode, calendar=calendar(), max_age_s=60, spot=lambda _: spot, scope=scope
    )


def read(body: dict[str, Any] | bytes, *, at: datetime = NOW, link: str = "link-1", **changes: Any) -> AlertReceived:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    kind = changes.pop("kind", "")
    return read_alert(raw, desk(**changes), now=at, link=link, kind=kind)


def refused(body: dict[str, Any] | bytes, **changes: Any) -> BadAlert:
    with pytest.raises(BadAlert) as caught:
        read(body, **changes)
    assert 400 <= caught.value.status < 500
    return caught.value


@pytest.mark.parametrize(
    ("changes", "action"),
    [
        ({}, AlertAction.BULLISH),
        ({"side": "SELL"}, AlertAction.BEARISH),
        ({"side": "buy"}, AlertAction.BULLISH),
        ({"side": "sell", "timeframe": "5"}, AlertAction.BEARISH),
        ({"timeframe": "60"}, AlertAction.BULLISH),
    ],
)
def test_a_side_alert_is_bullish_or_bearish(changes: dict[str, Any], action: AlertAction) -> None:
    alert = read(SIDE | changes)
    assert alert.action is action
    assert alert.price == Decimal("15700.5")
    assert alert.fired_at == datetime(2022, 6, 15, 10, 3, 15, tzinfo=IST)


@pytest.mark.parametrize(
    ("word", "action"),
    [
        ("BUY_CALL", AlertAction.OPEN_CALL),
        ("BUY_PUT", AlertAction.OPEN_PUT),
        ("SELL_CALL", AlertAction.CLOSE_CALL),
        ("SELL_PUT", AlertAction.CLOSE_PUT),
    ],
)
def test_an_action_alert_opens_long_or_closes(word: str, action: AlertAction) -> None:
    body = {"strategy": "SCALP_ATM", "symbol": "NIFTY", "action": word, "timestamp": "2022-06-15T04:33:15Z"}
    assert read(body).action is action


@pytest.mark.parametrize(
    ("word", "action"),
    [("long", AlertAction.TARGET_LONG), ("short", AlertAction.TARGET_SHORT), ("flat", AlertAction.TARGET_FLAT)],
)
def test_a_position_alert_names_the_target(word: str, action: AlertAction) -> None:
    extras = {"prev_position": "long", "order_id": "Long entry", "qty_pct": 100, "sl": 15650, "tp": 15800.5}
    more = {"price": 15701, "interval": "5", "exchange": "NSE"}
    assert read(TARGET | {"position": word} | extras | more).action is action


def test_the_payloads_of_a_named_contract_and_of_an_hour_are_read() -> None:
    entry = read(ENTRY, link="", kind="entry")
    assert (entry.action, entry.given_strike, entry.given_right) == (AlertAction.ENTRY_GIVEN, Decimal(15700), Right.PE)
    gone = {key: value for key, value in ENTRY.items() if key not in ("timestamp", "spot_price")}
    left = read(gone | {"action": "EXIT", "message": "SL hit"}, link="", kind="exit")
    assert (left.action, left.fired_at) == (AlertAction.EXIT_GIVEN, None)
    bar = {"open": 15700, "high": 15710, "low": 15690, "close": 15705.5, "volume": 0}
    hour = {"ticker": "NSE:NIFTY", "timestamp": "2022-06-15T09:15:00+05:30", **bar}
    assert read(hour, link="", kind="hourly").action is AlertAction.HOURLY


def test_every_missing_field_is_named() -> None:
    for field in SIDE:
        body = {key: value for key, value in SIDE.items() if key != field}
        refusal = refused(body)
        assert refusal.field == field
        assert "missing" in refusal.what
        assert refusal.way_out


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"price": "15700"}, "price"),
        ({"price": True}, "price"),
        ({"price": None}, "price"),
        ({"price": 0}, "price"),
        ({"price": -5}, "price"),
        ({"price": [1]}, "price"),
        ({"side": "HOLD"}, "side"),
        ({"side": 1}, "side"),
        ({"side": "Buy"}, "side"),
        ({"timeframe": "5x"}, "timeframe"),
        ({"timeframe": 5}, "timeframe"),
        ({"timestamp": 1655267595}, "timestamp"),
        ({"timestamp": "2022-06-15T10:03:15"}, "timestamp"),
        ({"timestamp": "yesterday"}, "timestamp"),
        ({"timestamp": "٢٠٢٢-06-15T04:33:15Z"}, "timestamp"),
        ({"strategy": "SCАLP_ATM"}, "strategy"),
        ({"strategy": "../etc"}, "strategy"),
        ({"strategy": "X" * 50}, "strategy"),
        ({"symbol": "ＮＩＦＴＹ"}, "symbol"),
        ({"symbol": "NIFTY\u202e"}, "symbol"),
        ({"extra": 1}, "extra"),
        ({"quantity": 50}, "quantity"),
        ({"id": ""}, "id"),
        ({"id": "a\tb"}, "id"),
        ({"id": "x" * 101}, "id"),
    ],
)
def test_a_mistyped_or_extra_field_is_named(changes: dict[str, Any], field: str) -> None:
    assert refused(SIDE | changes).field == field


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"BUY",
        b"null",
        b"[]",
        b"1",
        b'{"side":"BUY","side":"SELL"}',
        b'{"price": NaN}',
        b'{"price": Infinity}',
        b'{"price": -Infinity}',
        b'{"price": 1e999}',
        b'{"price": ' + b"9" * 5000 + b"}",
        b"[" * 3000,
        b'{"a":' * 1000 + b"1" + b"}" * 1000,
        b'{"side":{"a":{"b":{"c":1}}}}',
        b"\xff\xfe",
        b'{"side":"\\ud800"}',
        b" " * 9000,
        b"x" * 1_000_000,
        b'{"strategy":"SCALP_ATM"}',
    ],
)
def test_a_body_that_is_no_alert_is_refused(body: bytes) -> None:
    refused(body)


def test_numbers_that_are_not_finite_or_without_end_are_refused_inside_of_an_alert() -> None:
    raw = json.dumps(SIDE)
    for number in ("NaN", "Infinity", "1e999", "1e400", "9" * 60, "1e-999999999", "1e-" + "9" * 20):
        refused(raw.replace("15700.5", number).encode())


@pytest.mark.parametrize("moment", ["9999-12-31T23:59:59Z", "0001-01-01T00:00:00+23:59"])
def test_a_time_at_the_end_of_the_calendar_is_refused(moment: str) -> None:
    refused(json.dumps({**SIDE, "timestamp": moment}).encode())


@given(st.binary(max_size=200))
def test_no_bytes_do_anything_but_read_or_be_refused(body: bytes) -> None:
    try:
        read_payload(body)
    except BadAlert:
        return


@given(
    st.dictionaries(
        st.sampled_from([*SIDE, *TARGET, *ENTRY, "id", "key", "open"]),
        st.one_of(
            st.none(),
            st.booleans(),
            st.integers(),
            st.floats(),
            st.text(max_size=20),
            st.sampled_from(list(SIDE.values())),
        ),
    )
)
def test_no_object_does_anything_but_read_or_be_refused(body: dict[str, Any]) -> None:
    try:
        read(json.dumps(body).encode())
    except BadAlert:
        return


def test_stale_and_future_entries_are_refused_and_exits_have_ten_minutes() -> None:
    assert "stale" in refused(SIDE, at=NOW + timedelta(seconds=60)).what
    assert "future" in refused(SIDE, at=NOW - timedelta(seconds=20)).what
    assert read(SIDE, at=NOW - timedelta(seconds=14)).action is AlertAction.BULLISH
    assert read(TARGET, at=NOW + timedelta(minutes=9)).action is AlertAction.TARGET_FLAT
    assert "stale" in refused(TARGET, at=NOW + timedelta(minutes=11)).what


def test_a_timestamp_that_is_the_bars_open_counts_from_its_close() -> None:
    plan = type(PLAN)(name="bars", exits=PLAN.exits, alert_time=AlertTime.BAR_OPEN)
    deployment = Deployment(name="SCALP_ATM", symbol="NIFTY", plan=plan, webhook_link="link-1")
    body = SIDE | {"timestamp": "2022-06-15T09:58:00+05:30"}
    assert read(body, deployment=deployment).fired_at == datetime(2022, 6, 15, 10, 3, tzinfo=IST)


def test_practice_names_its_own_clock_where_paper_asks_for_the_moment_of_firing() -> None:
    late = NOW + timedelta(seconds=60)
    keyed = replace(SCALP, key_sha256=hashlib.sha256(b"k").hexdigest())
    assert "workbench alert test" in refused(SIDE, at=late).way_out
    assert "{{timenow}}" in refused(SIDE | {"key": "k"}, at=late, mode=Mode.PAPER, deployment=keyed).way_out


@pytest.mark.parametrize("at", [NOW.replace(hour=8), NOW.replace(hour=16), NOW + timedelta(days=3)])
def test_a_closed_market_refuses(at: datetime) -> None:
    body = TARGET | {"timestamp": at.isoformat()}
    refusal = refused(body, at=at)
    assert "closed" in refusal.what
    assert refusal.status == 409


def test_delayed_exchanges_and_far_prices_are_delayed_data() -> None:
    for body in (
        TARGET | {"position": "long", "exchange": "NSE_DL"},
        TARGET | {"position": "short", "exchange": "NSE_DLY"},
        SIDE | {"symbol": "NSE_DLY:NIFTY"},
        SIDE | {"price": 14000},
    ):
        assert refused(body).what.startswith("delayed_data")
    assert read(SIDE | {"price": 14000}, spot=None).price == Decimal(14000)


@pytest.mark.parametrize(
    "body",
    [
        TARGET | {"position": "flat", "price": 1},
        TARGET | {"position": "flat", "exchange": "NSE_DLY"},
        {key: TARGET[key] for key in ("strategy", "timestamp")} | {"action": "SELL_CALL", "symbol": "NSE_DL:NIFTY"},
    ],
)
def test_what_can_only_leave_is_taken_from_delayed_data_too(body: dict[str, Any]) -> None:
    assert read(body).action in (AlertAction.TARGET_FLAT, AlertAction.CLOSE_CALL)


def test_an_exit_with_its_contract_is_taken_whatever_spot_it_names() -> None:
    assert read(ENTRY | {"action": "EXIT", "spot_price": 1}, link="", kind="exit").action is AlertAction.EXIT_GIVEN


def test_links_names_and_symbols_must_fit_together() -> None:
    assert refused(SIDE, link="wrong").status == 404
    assert refused(SIDE | {"strategy": "OTHER"}).field == "strategy"
    assert refused(SIDE | {"symbol": "BANKNIFTY"}).field == "symbol"
    refusal = refused(ENTRY | {"signal": "SCALP_AMT"}, link="", kind="entry")
    assert refusal.status == 404
    assert "did you mean 'SCALP_ATM'" in refusal.what


@pytest.mark.parametrize("mode", [Mode.PAPER, Mode.LIVE])
def test_paper_and_live_need_the_key(mode: Mode) -> None:
    secret = "a secret of 256 bits"
    digest = hashlib.sha256(secret.encode()).hexdigest()
    keyed = Deployment(name="SCALP_ATM", symbol="NIFTY", plan=PLAN, webhook_link="link-1", key_sha256=digest)
    assert refused(SIDE, mode=mode).status == 401
    assert refused(SIDE, mode=mode, deployment=keyed).status == 401
    assert refused(SIDE | {"key": "wrong"}, mode=mode, deployment=keyed).status == 401
    assert refused(SIDE | {"key": "ä"}, mode=mode, deployment=keyed).status == 401
    alert = read(SIDE | {"key": secret}, mode=mode, deployment=keyed)
    assert secret not in repr(alert)


def test_the_identity_is_the_given_id_or_the_bar() -> None:
    assert read(SIDE | {"id": "tv-1"}).alert_id == "SCALP_ATM:tv-1"
    assert read(SIDE | {"id": "tv-1"}, scope="run-7/").alert_id == "run-7/SCALP_ATM:tv-1"
    first = read(SIDE).alert_id
    assert read(SIDE | {"timestamp": "2022-06-15T04:33:10Z"}).alert_id == first, "the same bar"
    assert read(SIDE | {"side": "SELL"}).alert_id != first
    assert read(SIDE | {"timeframe": "1", "timestamp": "2022-06-15T04:32:50Z"}).alert_id != first
    flat = read(TARGET).alert_id
    assert read(TARGET | {"timestamp": "2022-06-15T10:03:11+05:30"}).alert_id != flat
    assert read(TARGET | {"order_id": "x"}).alert_id != flat


def test_two_exits_without_a_time_on_two_days_are_two() -> None:
    body = {"signal": "SCALP_ATM", "action": "EXIT", "strike": 15700, "option_type": "CE"}
    one = read(body, link="", kind="exit")
    assert read(body, link="", kind="exit", at=NOW + timedelta(days=1)).alert_id != one.alert_id

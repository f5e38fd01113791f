"""How long the token lives, and the profile as a check of the login."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import dhanhq
import pytest
import requests

from workbench.brokers.dhan import login
from workbench.brokers.dhan.login_wire import LIVE_URL, LoginRefused, LoginWire, NeverLeft
from workbench.core.errors import BrokerUnavailable
from workbench.core.session import IST
from workbench.testing.wire_stub import Reply, WireStub, free_port, http

NOW = datetime(2026, 11, 20, 9, 0, tzinfo=IST)


def token(claims: object) -> str:
    parts = ({"alg": "HS512"}, claims, "signature")
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts)


@pytest.fixture
def stub() -> Iterator[WireStub]:
    with WireStub() as server:
        yield server


def test_the_hours_left_are_read_from_the_token_itself() -> None:
    ends = NOW + timedelta(hours=6.5)
    assert login.token_expiry(token({"exp": int(ends.timestamp())})) == ends
    assert login.token_hours_left(token({"exp": int(ends.timestamp())}), NOW) == pytest.approx(6.5)
    assert login.token_hours_left(token({"exp": int((NOW - timedelta(hours=1)).timestamp())}), NOW) == pytest.approx(-1)


@pytest.mark.parametrize(
    "unreadable",
    ["practice-token", "", "a.b.c", "a.@@@@.c", token([1]), token({}), token({"exp": True}), token({"exp": "soon"})],
)
def test_an_end_that_cannot_be_read_is_not_guessed(unreadable: str) -> None:
    assert login.token_hours_left(unreadable, NOW) is None


def test_the_profile_is_asked_through_the_library(stub: WireStub) -> None:
    stub.replies.append(
        http(
            200,
            {
                "dhanClientId": "1000000001",
                "tokenValidity": "20/11/2026 15:37",
                "activeSegment": "E, D, C, M, ",
                "dataPlan": "Active",
            },
        )
    )
    profile = login.read_profile("1000000001", "tok", base_url=stub.url)
    assert profile.token_valid_until == datetime(2026, 11, 20, 15, 37, tzinfo=IST)
    assert (profile.segments, profile.data_plan) == (("E", "D", "C", "M"), "Active")
    assert (stub.requests[0].path, stub.requests[0].headers["access-token"]) == ("/v2/profile", "tok")


@pytest.mark.parametrize(
    ("reply", "kind", "told"),
    [
        (
            http(401, {"errorCode": "DH-901", "errorMessage": "token expired"}),
            LoginRefused,
            "token expired .HTTP 401, DH",
        ),
        (http(200, {"status": "error", "message": "no such secret-token"}), LoginRefused, "no such …"),
        (http(200, {"dhanClientId": "2"}), LoginRefused, "another client id"),
        (http(500, {"errorMessage": "down"}), BrokerUnavailable, "down"),
        (http(429, {"errorCode": "DH-904", "errorMessage": "slow"}), BrokerUnavailable, "slow"),
        (http(200, []), BrokerUnavailable, "no profile"),
        (http(200, b"<html>"), BrokerUnavailable, "no JSON"),
        (http(202, b""), BrokerUnavailable, "no JSON"),
        (Reply(close=True), BrokerUnavailable, "ConnectionError"),
    ],
)
def test_what_is_no_profile_of_ours_is_refused_without_the_token(
    stub: WireStub, reply: Reply, kind: type[Exception], told: str
) -> None:
    stub.replies.append(reply)
    with pytest.raises(kind, match=told) as caught:
        login.read_profile("1000000001", "secret-token", base_url=stub.url)
    assert "secret-token" not in str(caught.value)


def test_a_redirect_is_not_followed_with_the_token(stub: WireStub) -> None:
    stub.replies.append(http(307, {}, extra=f"Location: {stub.url}/elsewhere\r\n"))
    with pytest.raises(BrokerUnavailable, match="HTTP 307"):
        login.read_profile("1000000001", "tok", base_url=stub.url)
    assert len(stub.requests) == 1


@pytest.mark.parametrize("reply", [Reply(wait=True), Reply(raw=b"HTTP/1.1 200 X\r\n\r\n", drip_s=0.02)])
def test_a_login_that_never_answers_is_given_up(stub: WireStub, reply: Reply) -> None:
    stub.replies.append(reply)
    wire = LoginWire("1", base_url=stub.url, timeouts_s=(0.1, 0.1))
    with pytest.raises(BrokerUnavailable, match="did not answer the profile"):
        wire.profile("t")


def test_a_machine_that_is_not_there_is_told() -> None:
    with pytest.raises(NeverLeft, match="ConnectionError"):
        login.read_profile("1", "t", base_url=f"http://127.0.0.1:{free_port()}/v2")


def test_i10_pin_and_password_are_in_no_log_and_no_error(stub: WireStub, caplog: pytest.LogCaptureFixture) -> None:
    wire = LoginWire("1000000001", base_url=stub.url, auth_url=stub.url.removesuffix("/v2"))
    stub.replies.append(http(400, {"errorMessage": "bad pin 482913 for totp 777123"}))
    stub.replies.append(http(200, b"<html>482913"))
    stub.replies.append(Reply(reset=True))
    with caplog.at_level(logging.DEBUG):
        for kind in (LoginRefused, BrokerUnavailable, BrokerUnavailable):
            with pytest.raises(kind) as caught:
                wire.mint("482913", "777123")
            assert "482913" not in repr(caught.value) + str(caught.value.__context__) and "777123" not in str(caught)
    assert "482913" not in caplog.text and "777123" not in caplog.text
    assert not [record for record in caplog.records if record.name == "root"]  # the library would write there
    assert stub.requests[0].path.startswith("/app/generateAccessToken?dhanClientId=1000000001&pin=482913&totp=777123")
    assert "1000000001" not in repr(wire)


def test_the_library_itself_is_left_as_it_is() -> None:
    LoginWire("1")
    assert dhanhq.DhanLogin.API_BASE_URL == LIVE_URL
    assert dhanhq.DhanLogin.user_profile.__globals__["requests"] is requests


@pytest.mark.parametrize(
    ("body", "allowed", "detected"),
    [
        ({"primaryIP": "10.0.0.1", "secondaryIP": "NA", "modifyDatePrimary": "2026-11-20"}, None, ""),
        (
            {"primaryIP": "10.0.0.1", "detectedIP": "10.0.0.1", "ipMatchStatus": "MATCH", "ordersAllowed": True},
            True,
            "10.0.0.1",
        ),
        ({"primaryIP": "10.0.0.1", "detectedIP": "10.0.0.9", "ordersAllowed": False}, False, "10.0.0.9"),
        ({"primaryIP": "10.0.0.1", "detectedIP": "10.0.0.9", "ipMatchStatus": "NOT_MATCHED"}, False, "10.0.0.9"),
        ({"primaryIP": "10.0.0.1", "detectedIP": "10.0.0.9"}, False, "10.0.0.9"),
        ({"primaryIP": "", "secondaryIP": None}, False, ""),
        ([{"message": "Error while fetching IP", "status": "ERROR"}], False, ""),
        ([], False, ""),
    ],
)
def test_r8_the_registered_addresses_are_read_in_every_shape(
    stub: WireStub, body: object, allowed: bool | None, detected: str
) -> None:
    stub.replies.append(http(200, body))
    found = login.addresses_of(LoginWire("1000000001", base_url=stub.url), "tok")
    assert (found.orders_allowed, found.detected) == (allowed, detected)
    assert (stub.requests[0].path, stub.requests[0].headers["access-token"]) == ("/v2/ip/getIP", "tok")


@pytest.mark.parametrize(
    "body", [{"status": "error", "message": "once"}, {"accessToken": ""}, {}, [], {"accessToken": 5}]
)
def test_only_an_answer_with_a_token_is_a_token(body: object) -> None:
    with pytest.raises(LoginRefused):
        login.fresh_token(body, "a token", ())


def test_the_end_of_a_new_token_is_indian_time() -> None:
    made = login.fresh_token({"accessToken": "a.b.c", "expiryTime": "2026-11-21T09:00:00.000"}, "a token", ())
    assert made.ends_at == NOW + timedelta(days=1)
    assert "a.b.c" not in repr(made)
    named = login.fresh_token({"accessToken": token({"exp": NOW.timestamp()})}, "a token", ())
    assert named.ends_at == NOW


@pytest.mark.parametrize("ahead_s", [0.0, 40.0, -40.0])
def test_s9_the_clock_is_compared_with_the_date_of_an_answer(stub: WireStub, ahead_s: float) -> None:
    server = datetime(2026, 11, 20, 3, 30, 0, tzinfo=UTC)
    stub.replies.append(http(200, {"dhanClientId": "1"}, extra="Date: Fri, 20 Nov 2026 03:30:00 GMT\r\n"))
    wire = LoginWire("1", base_url=stub.url)
    wire.profile("t")
    assert wire.server_time is not None and wire.server_time.date == server
    wall = server + timedelta(seconds=0.5 + ahead_s)
    offset = login.clock_offset_s(wire.server_time, wall, wire.server_time.read_at)
    assert offset == pytest.approx(ahead_s, abs=0.5)


@pytest.mark.parametrize("odd", ["an-access-token\u2026", "an-access-\ntoken"])
def test_i10_a_token_that_no_header_can_carry_is_refused_and_not_shown(stub: WireStub, odd: str) -> None:
    with pytest.raises(LoginRefused, match="copy it anew") as refused:
        login.profile_of(LoginWire("1", base_url=stub.url), odd)
    assert "an-access" not in str(refused.value)
    assert not stub.requests

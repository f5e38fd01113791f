"""How long the token lives, and the profile as a check of the login."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest

from workbench.brokers.dhan import login
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
    "reply",
    [
        http(401, {"errorCode": "DH-901"}),
        http(200, {"status": "error", "message": "Token can be generated once every 2 minutes."}),
        http(200, {"dhanClientId": "2"}),
        http(200, b"<html>"),
        Reply(close=True),
    ],
)
def test_what_is_no_profile_of_ours_is_refused_without_the_token(stub: WireStub, reply: Reply) -> None:
    stub.replies.append(reply)
    with pytest.raises(BrokerUnavailable) as caught:
        login.read_profile("1000000001", "secret-token", base_url=stub.url)
    assert "secret-token" not in str(caught.value)


def test_a_login_that_never_answers_is_given_up(stub: WireStub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(login, "_PROFILE_TIMEOUT_S", 0.1)
    stub.replies.append(Reply(wait=True))
    with pytest.raises(BrokerUnavailable, match="no answer"):
        login.read_profile("1", "t", base_url=stub.url)


def test_a_machine_that_is_not_there_is_told() -> None:
    with pytest.raises(BrokerUnavailable, match="ConnectionError"):
        login.read_profile("1", "t", base_url=f"http://127.0.0.1:{free_port()}/v2")

"""Tokens, the door and the registered addresses, moved by hand."""

from __future__ import annotations

import base64
import json
from datetime import date, datetime, timedelta
from typing import Any

import pyotp
import pytest

from workbench.core.errors import BadInput
from workbench.core.session import IST
from workbench.simulator.addresses import ELSEWHERE, HERE, Addresses
from workbench.simulator.doors import Doors
from workbench.simulator.limits import RateLimits
from workbench.simulator.tokens import Login, Token, TokenKind, Tokens

SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
CLIENT = "1000000001"
TODAY = date(2026, 11, 16)


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 11, 16, 8, 0, 1, tzinfo=IST)

    def __call__(self) -> datetime:
        return self.now

    def pass_(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def made(clock: Clock, kind: TokenKind = TokenKind.PRACTICE, **login: Any) -> Tokens:
    return Tokens(CLIENT, "practice-token", kind=kind, login=Login(pin="4321", totp_secret=SECRET, **login), now=clock)


def code(clock: Clock) -> str:
    return pyotp.TOTP(SECRET).at(clock.now)


def test_a_minted_token_is_a_jwt_and_kills_the_one_before(clock: Clock) -> None:
    tokens = made(clock)
    told: list[str] = []
    tokens.on_change.append(lambda: told.append(tokens.current.text))
    minted = tokens.mint(CLIENT, "4321", code(clock))
    assert isinstance(minted, Token)
    assert tokens.check(minted.text)
    assert not tokens.check("practice-token")
    assert tokens.has_ended("practice-token")
    assert told == [minted.text]
    claims = json.loads(base64.urlsafe_b64decode(minted.text.split(".")[1] + "=="))
    assert claims["exp"] == int((clock.now + timedelta(hours=24)).timestamp())
    assert claims["dhanClientId"] == CLIENT


@pytest.mark.parametrize(
    ("client", "pin", "totp", "words"),
    [
        (CLIENT, "0000", None, "Invalid Pin"),
        (CLIENT, "4321", "000000", "Invalid TOTP"),
        ("2", "4321", None, "Invalid Client ID"),
    ],
)
def test_who_shows_the_wrong_thing_gets_no_token(
    clock: Clock, client: str, pin: str, totp: str | None, words: str
) -> None:
    tokens = made(clock)
    assert tokens.mint(client, pin, totp or code(clock)) == words
    assert tokens.check("practice-token")


def test_the_last_windows_code_is_refused_and_the_next_one_taken(clock: Clock) -> None:
    tokens, old = made(clock), code(clock)
    clock.pass_(30)
    assert tokens.mint(CLIENT, "4321", old) == "Invalid TOTP"
    assert isinstance(tokens.mint(CLIENT, "4321", code(clock)), Token)


def test_a_token_can_be_minted_once_in_two_minutes(clock: Clock) -> None:
    tokens = made(clock)
    first = tokens.mint(CLIENT, "4321", code(clock))
    clock.pass_(119.9)
    assert tokens.mint(CLIENT, "4321", code(clock)) == "Token can be generated once every 2 minutes."
    assert isinstance(first, Token)
    assert tokens.check(first.text)
    clock.pass_(0.1)
    assert isinstance(tokens.mint(CLIENT, "4321", code(clock)), Token)


def test_nobody_can_mint_where_no_pin_is_set(clock: Clock) -> None:
    assert Tokens(CLIENT, "practice-token", now=clock).mint(CLIENT, "", "") == "Invalid Pin"


def test_a_token_dies_of_age(clock: Clock) -> None:
    tokens = made(clock, TokenKind.WEB, life_s=60.0)
    text = tokens.current.text
    clock.pass_(59.9)
    assert tokens.check(text)
    clock.pass_(0.1)
    assert not tokens.check(text)
    assert tokens.has_ended(text)
    assert not tokens.has_ended("never seen")


def test_only_a_token_of_the_web_page_is_renewed(clock: Clock) -> None:
    web = made(clock, TokenKind.WEB)
    old = web.current.text
    renewed = web.renew()
    assert isinstance(renewed, Token)
    assert renewed.text != old
    assert (web.check(renewed.text), web.check(old)) == (True, False)
    by_code = made(clock, TokenKind.TOTP)
    assert isinstance(by_code.renew(), str)
    practice = made(clock)
    assert practice.renew() == practice.current


def test_a_token_can_be_ended_before_its_time(clock: Clock) -> None:
    tokens = made(clock)
    tokens.expire()
    assert not tokens.check("practice-token")
    assert tokens.has_ended("practice-token")


@pytest.mark.parametrize("secret", ["short", "not base 32!"])
def test_a_secret_that_makes_no_code_is_refused_at_once(secret: str) -> None:
    with pytest.raises(BadInput, match="base-32"):
        Login(pin="4321", totp_secret=secret)


def test_secrets_stay_out_of_the_text_of_a_login() -> None:
    assert SECRET not in repr(Login(pin="4321", totp_secret=SECRET))
    assert "4321" not in repr(Login(pin="4321", totp_secret=SECRET))


def doors(clock: Clock, *, allowed: bool = True, plan: str = "Active") -> Doors:
    return Doors(
        CLIENT, tokens=made(clock), limits=RateLimits(None), addresses=Addresses(allowed=allowed), data_plan=plan
    )


GOOD = {"access-token": "practice-token", "client-id": CLIENT}


def test_the_door_wants_the_living_token_and_its_client(clock: Clock) -> None:
    door = doors(clock)
    assert door.refused("GET", "/v2/orders", GOOD, b"") is None
    assert door.refused("GET", "/v2/RenewToken", GOOD | {"dhanclientid": CLIENT}, b"") is None
    for headers in ({}, {"access-token": "other"}, GOOD | {"client-id": "2"}):
        refused = door.refused("GET", "/v2/orders", headers, b"")
        assert refused is not None
        assert (refused[0], refused[1]["errorCode"]) == (401, "DH-901")


def test_r9_orders_from_a_wrong_address_are_refused_and_reads_work(clock: Clock) -> None:
    door = doors(clock, allowed=False)
    for method, path in (("POST", "/v2/orders"), ("PUT", "/v2/orders/1"), ("DELETE", "/v2/super/orders/1/ENTRY_LEG")):
        refused = door.refused(method, path, GOOD, b"")
        assert refused is not None
        assert (refused[0], refused[1]["errorCode"], refused[1]["errorMessage"]) == (400, "DH-905", "Invalid IP")
    assert door.refused("GET", "/v2/orders", GOOD, b"") is None
    assert door.refused("POST", "/v2/charts/intraday", GOOD, b"") is None


def test_market_data_needs_the_plan(clock: Clock) -> None:
    door = doors(clock, plan="Deactive")
    candles = door.refused("POST", "/v2/charts/intraday", GOOD, b"")
    quotes = door.refused("POST", "/v2/marketfeed/ltp", GOOD, b"")
    assert candles is not None
    assert quotes is not None
    assert candles[1]["errorCode"] == "DH-902"
    assert list(quotes[1]["data"]) == ["806"]
    assert door.refused("POST", "/v2/orders", GOOD, b"") is None


def test_an_address_is_frozen_for_a_week() -> None:
    listed = Addresses(allowed=False)
    assert listed.listed()[1]["primaryIP"] == ELSEWHERE
    assert not listed.may_write
    assert listed.set({"ipFlag": "PRIMARY", "ip": HERE}, TODAY, change=False)[0] == 400
    assert listed.set({"ipFlag": "PRIMARY", "ip": HERE}, TODAY, change=True)[0] == 200
    assert listed.may_write
    shown = listed.listed()[1]
    assert (shown["ipMatchStatus"], shown["ordersAllowed"], shown["modifyDatePrimary"]) == ("MATCH", True, "2026-11-16")
    change = {"ipFlag": "PRIMARY", "ip": "203.0.113.9"}
    assert listed.set(change, TODAY + timedelta(days=6), change=True)[0] == 400
    assert listed.set(change, TODAY + timedelta(days=7), change=True)[0] == 200
    assert not listed.may_write


@pytest.mark.parametrize("body", [{}, {"ipFlag": "PRIMARY", "ip": "home"}, {"ipFlag": "THIRD", "ip": HERE}])
def test_what_is_no_address_is_refused(body: dict[str, Any]) -> None:
    assert Addresses().set(body, TODAY, change=True)[0] == 400


def test_no_address_at_all_is_an_error_in_an_http_200() -> None:
    listed = Addresses()
    listed.use(None)
    status, body = listed.listed()
    assert (status, body[0]["status"]) == (200, "ERROR")
    assert not listed.may_write

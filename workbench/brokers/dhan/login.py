"""Who we are at Dhan, and for how long: the access token's end, and the profile as a check of the login.

An access token lives 24 hours at most, so "hours left" stands on every page and a token that ends before the session
does refuses live trading. The end is read from the token itself (a JWT) without asking anybody.

Invariant: no token is ever part of a message; an end that cannot be read is None, not a guess.
"""

from __future__ import annotations

import base64
import binascii
import json
import threading
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import dhanhq

from workbench.core.errors import BrokerUnavailable
from workbench.core.session import IST

LIVE_URL = "https://api.dhan.co/v2"
_PROFILE_TIMEOUT_S = 8.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What Dhan says about the account."""

    token_valid_until: datetime | None
    segments: tuple[str, ...]
    data_plan: str


def token_expiry(token: str) -> datetime | None:
    """Give the moment (Indian time) at which a token ends, from its ``exp`` claim; None if it names none."""
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (binascii.Error, ValueError):
        return None
    ends = claims.get("exp") if isinstance(claims, dict) else None
    if isinstance(ends, bool) or not isinstance(ends, int | float) or not 0 < ends < 1e11:
        return None
    return datetime.fromtimestamp(ends, IST)


def token_hours_left(token: str, now: datetime) -> float | None:
    """Give the hours until the token ends (below zero: it has ended); None if it does not say."""
    ends = token_expiry(token)
    return None if ends is None else (ends - now).total_seconds() / 3600


def read_profile(client_id: str, token: str, *, base_url: str = LIVE_URL) -> Profile:
    """Ask Dhan who the token belongs to.

    Raises
    ------
    BrokerUnavailable
        No answer in eight seconds, a refusal, or an answer that is no profile.
    """
    login = dhanhq.DhanLogin(client_id)
    login.API_BASE_URL = base_url.rstrip("/")
    document = _in_time(lambda: login.user_profile(token))
    if not isinstance(document, dict) or not document.get("dhanClientId"):
        raise BrokerUnavailable("the answer to the profile request is no profile; renew the access token and try again")
    if str(document["dhanClientId"]) != client_id:
        raise BrokerUnavailable("the access token belongs to another client id; set both anew")
    segments = tuple(part.strip() for part in str(document.get("activeSegment") or "").split(",") if part.strip())
    return Profile(
        token_valid_until=_validity(document.get("tokenValidity")),
        segments=segments,
        data_plan=str(document.get("dataPlan") or ""),
    )


def _in_time(call: Any) -> Any:
    # The library's login calls have no time-out and raise bare exceptions: both end here, in a thread of their own.
    result: list[Any] = []

    def work() -> None:
        result.append(call())

    faults: list[str] = []
    thread = threading.Thread(target=_quietly, args=(work, faults), name="dhan-profile", daemon=True)
    thread.start()
    thread.join(_PROFILE_TIMEOUT_S)
    if not result:
        why = faults[0] if faults else f"no answer in {_PROFILE_TIMEOUT_S:g} s"
        raise BrokerUnavailable(f"Dhan's profile cannot be read ({why}); check the access token and the connection")
    return result[0]


def _quietly(work: Any, faults: list[str]) -> None:
    try:
        work()
    except Exception as error:  # noqa: BLE001 - the library raises bare Exception
        faults.append(type(error).__name__)


def _validity(value: object) -> datetime | None:
    """Read ``30/03/2025 15:37``."""
    try:
        return datetime.strptime(str(value), "%d/%m/%Y %H:%M").replace(tzinfo=IST)
    except ValueError:
        return None

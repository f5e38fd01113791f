"""Who we are at Dhan, and for how long: the access token's end, the profile, the registered addresses, Dhan's clock.

An access token lives 24 hours at most, so "hours left" stands on every page and a token that ends before the session
does refuses live trading. The end is read from the token itself (a JWT) without asking anybody, and from the profile.

Invariant: no token is ever part of a message; what cannot be read is None, not a guess.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from workbench.brokers.dhan.login_wire import LIVE_URL, LoginRefused, LoginWire
from workbench.brokers.dhan.server_time import clock_offset_s
from workbench.core.errors import BrokerUnavailable
from workbench.core.session import IST

__all__ = [
    "LIVE_URL",
    "Addresses",
    "FreshToken",
    "Profile",
    "addresses_of",
    "clock_offset_s",
    "fresh_token",
    "profile_of",
    "read_profile",
    "refuse_if_told",
    "token_expiry",
    "token_hours_left",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What Dhan says about the account."""

    token_valid_until: datetime | None
    segments: tuple[str, ...]
    data_plan: str
    ddpi: str = ""
    """Whether Dhan may take sold shares out of the demat account by itself: "Active", "Deactive", "" when not told."""

    @property
    def has_data(self) -> bool:
        """The plan for market data is paid for."""
        return self.data_plan.strip().lower() == "active"


@dataclass(frozen=True, slots=True, kw_only=True)
class FreshToken:
    """A token that Dhan has just made; its ``repr`` does not show it."""

    value: str = field(repr=False)
    ends_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """The addresses from which Dhan takes orders.

    Parameters
    ----------
    registered : tuple of str
        Primary, then secondary.
    detected : str
        Where Dhan saw our request come from; empty where it does not tell.
    orders_allowed : bool or None
        None where nothing in the answer proves it either way.
    said : str
        Dhan's words where it gave no addresses.
    """

    registered: tuple[str, ...] = ()
    detected: str = ""
    orders_allowed: bool | None = None
    said: str = ""


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
    LoginRefused
        Dhan refused the token.
    BrokerUnavailable
        No answer in time, or an answer that is no profile of this client.
    """
    return profile_of(LoginWire(client_id, base_url=base_url), token)


def profile_of(wire: LoginWire, token: str) -> Profile:
    """As `read_profile`, over a wire that exists."""
    document = wire.profile(token)
    refuse_if_told("the profile", document, (token, wire.client_id))
    if not isinstance(document, dict) or not document.get("dhanClientId"):
        raise BrokerUnavailable("the answer to the profile request is no profile; try again later")
    if str(document["dhanClientId"]) != wire.client_id:
        raise LoginRefused("the profile", "the access token belongs to another client id; set both anew")
    segments = tuple(part.strip() for part in str(document.get("activeSegment") or "").split(",") if part.strip())
    return Profile(
        token_valid_until=_validity(document.get("tokenValidity")),
        segments=segments,
        data_plan=str(document.get("dataPlan") or ""),
        ddpi=str(document.get("ddpi") or ""),
    )


def addresses_of(wire: LoginWire, token: str) -> Addresses:
    """Ask from which addresses orders are taken.

    The documented answer has only the addresses; the observed one says also what was detected and whether orders are
    allowed; a refusal is a list, with HTTP 200.
    """
    document = wire.ip(token)
    if isinstance(document, list):
        first = document[0] if document and isinstance(document[0], dict) else {}
        said = str(first.get("message") or first.get("status") or "an empty list")
        return Addresses(orders_allowed=False, said=said)
    if not isinstance(document, dict):
        raise BrokerUnavailable("the answer about the registered addresses cannot be read; try again later")
    refuse_if_told("the registered addresses", document, (token, wire.client_id))
    low = {str(key).lower(): value for key, value in document.items()}
    registered = tuple(str(low[key]) for key in ("primaryip", "secondaryip") if _is_address(low.get(key)))
    detected = str(low["detectedip"]) if _is_address(low.get("detectedip")) else ""
    allowed = _truth(low.get("ordersallowed"))
    if allowed is None:
        allowed = _match(low.get("ipmatchstatus"))
    if allowed is None and not registered:
        allowed = False
    if allowed is None and detected:
        allowed = detected in registered
    return Addresses(registered=registered, detected=detected, orders_allowed=allowed)


def fresh_token(document: Any, what: str, secrets: tuple[str, ...]) -> FreshToken:
    """Read the answer to minting or renewal; a refusal comes with HTTP 200 too, so only a token is a yes.

    Raises
    ------
    LoginRefused
        No token in the answer.
    """
    refuse_if_told(what, document, secrets)
    value = document.get("accessToken") or document.get("token") if isinstance(document, dict) else None
    if not isinstance(value, str) or not value or not value.isascii():
        raise LoginRefused(what, "the answer holds no access token")
    return FreshToken(value=value, ends_at=_expiry_time(document.get("expiryTime")) or token_expiry(value))


def refuse_if_told(what: str, document: Any, secrets: tuple[str, ...]) -> None:
    """Raise `LoginRefused` for a refusal that came with HTTP 200: ``{"status": "error", "message": …}``."""
    if not isinstance(document, dict):
        return
    refused = str(document.get("status") or "").lower() in ("error", "failed", "failure")
    if not refused and not document.get("errorCode"):
        return
    said = str(document.get("message") or document.get("errorMessage") or document.get("remarks") or "no reason")
    for secret in secrets:
        said = said.replace(secret, "…") if secret else said
    raise LoginRefused(what, " ".join(said.split())[:200], code=str(document.get("errorCode") or "")[:20])


def _truth(value: object) -> bool | None:
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower() if value is not None else ""
    return {"true": True, "y": True, "yes": True, "false": False, "n": False, "no": False}.get(word)


def _match(value: object) -> bool | None:
    word = str(value or "").strip().lower().replace("-", "_").replace(" ", "_")
    if word in ("match", "matched", "true", "yes", "ok", "primary_match", "secondary_match", "success"):
        return True
    return False if any(part in word for part in ("no", "mis", "fail", "false", "un")) else None


def _is_address(value: object) -> bool:
    return isinstance(value, str) and value.strip().lower() not in ("", "na", "none", "null", "0.0.0.0")  # noqa: S104


def _validity(value: object) -> datetime | None:
    """Read ``30/03/2025 15:37``."""
    try:
        return datetime.strptime(str(value), "%d/%m/%Y %H:%M").replace(tzinfo=IST)
    except ValueError:
        return None


def _expiry_time(value: object) -> datetime | None:
    """Read ``2026-01-01T00:00:00.000``, which is Indian time."""
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return moment.replace(tzinfo=IST) if moment.tzinfo is None else moment.astimezone(IST)

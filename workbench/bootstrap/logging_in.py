"""Joins configuration, keyring and Dhan's login: the token of a process, and ``workbench login``.

Invariant: a token is shown to nobody; one is made only where it can be kept or used.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from workbench.bootstrap.broker_checks import wall_clock
from workbench.brokers.dhan.login import profile_of, token_expiry
from workbench.brokers.dhan.login_wire import LoginRefused, LoginWire
from workbench.brokers.dhan.minting import Minter, TooSoon
from workbench.brokers.dhan.token_store import NoKeyring, TokenStore
from workbench.brokers.dhan.token_ways import FoundToken, NoWay, TokenSource, TokenWays
from workbench.config import Secrets, load
from workbench.core.errors import BadInput, WorkbenchError
from workbench.core.instrument import Segment
from workbench.core.session import IST, Calendar

HOLD_AFTER_CLOSE = timedelta(minutes=5)
"""A token must outlive the session by this much: 15:45 for one that closes at 15:40."""


def token_ways(secrets: Secrets, data: Path, *, rest: str, auth: str, store: TokenStore | None = None) -> TokenWays:
    """Give all ways to a token of the client in the environment.

    Raises
    ------
    BadInput
        No client id, or a PIN or TOTP secret that cannot be one.
    """
    client_id, pin, totp = _plain(secrets.dhan_client_id), _plain(secrets.dhan_pin), _plain(secrets.dhan_totp_secret)
    if not client_id:
        raise BadInput("the client id of Dhan is missing; set DHAN_CLIENT_ID in the environment or in .env")
    if bool(pin) != bool(totp):
        raise BadInput("DHAN_PIN and DHAN_TOTP_SECRET make a token only together; set both or neither")
    wire = LoginWire(client_id, base_url=rest, auth_url=auth)
    minter = Minter(wire, pin, totp, folder=data / "journal") if pin and totp else None
    return TokenWays(wire, store or TokenStore(client_id), minter, given_now=_given_now)


def given_token(secrets: Secrets) -> str | None:
    """Give the token of the environment or ``.env``."""
    return _plain(secrets.dhan_access_token)


def token_to_start_with(
    ways: TokenWays, given: str | None, *, sleep: Callable[[float], None] = time.sleep
) -> FoundToken:
    """Give a token that Dhan takes, waiting out the two minutes between two mintings once.

    A process that ends early and has no keyring needs a new token, and must not be latched for that.
    """
    try:
        return ways.good(given)
    except TooSoon as error:
        sleep(error.seconds_left)
        return ways.good(given)


def needed_until(calendar: Calendar, now: datetime) -> datetime | None:
    """Give until when a token must hold today; None on a day without a session, or after it."""
    moment = now.astimezone(IST)
    if not calendar.knows(Segment.NSE_FNO, moment.date()):
        return None
    session = calendar.session(Segment.NSE_FNO, moment.date())
    return None if session is None or moment >= session.close else session.close + HOLD_AFTER_CLOSE


def hold_until(calendar: Calendar) -> Callable[[datetime], datetime | None]:
    """As `needed_until`, for the keeper: it renews before the open, and not in the middle of a session."""

    def needed(now: datetime) -> datetime | None:
        until = needed_until(calendar, now)
        session = calendar.session(Segment.NSE_FNO, now.astimezone(IST).date()) if until is not None else None
        return until if session is not None and now < session.open else None

    return needed


def log_in(
    ways: TokenWays,
    given: str | None,
    *,
    new: bool = False,
    now: Callable[[], datetime] = wall_clock,
) -> dict[str, object]:
    """Find or make a good token, keep it in the keyring, and tell about it without showing it.

    Parameters
    ----------
    new : bool
        Make one though the present one is good; that one is dead from then on.

    Raises
    ------
    NoKeyring
        One would have to be made and could not be kept: whoever uses it would have to make his own.
    BrokerError
        No way to a token, or Dhan refused.
    """
    kept = why_not = ""
    try:
        kept = ways.store.prove()
    except NoKeyring as error:
        if new:
            raise
        why_not = str(error)
    found = (
        FoundToken(value=ways.mint().value, source=TokenSource.MINTED)
        if new
        else _present(ways, given, can_keep=bool(kept))
    )
    profile = profile_of(ways.wire, found.value)
    if kept and found.source is TokenSource.GIVEN:
        ways.store.write(found.value)
    ends = token_expiry(found.value) or profile.token_valid_until
    if ends is not None and ends <= now():
        ends = None  # Dhan has just taken it: that end was told in another clock
    return {
        "client": f"…{ways.wire.client_id[-3:]}",
        "token": "good",
        "from": found.source.value,
        "ends_at": None if ends is None else ends.isoformat(),
        "hours_left": None if ends is None else round((ends - now()).total_seconds() / 3600, 2),
        "data_plan": profile.data_plan,
        "kept_in": kept or f"not kept: {why_not}",
    }


def _present(ways: TokenWays, given: str | None, *, can_keep: bool) -> FoundToken:
    if can_keep or not ways.can_mint:
        return ways.good(given)
    try:
        return ways.without_minting().good(given)
    except (NoWay, LoginRefused):
        raise NoKeyring(
            "a token made now could not be kept, for this machine has no keyring; the engine makes its own when it "
            "starts with DHAN_PIN and DHAN_TOTP_SECRET, or put one made at web.dhan.co into DHAN_ACCESS_TOKEN"
        ) from None


def _given_now() -> str | None:
    """Read ``.env`` anew; settings that somebody is just editing give nothing."""
    try:
        return given_token(load().secrets)
    except (WorkbenchError, OSError, UnicodeDecodeError):
        return None


def _plain(secret: object) -> str | None:
    reveal = getattr(secret, "get_secret_value", None)
    return str(reveal()) if reveal is not None else None

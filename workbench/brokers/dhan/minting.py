"""A new access token from PIN and one-time password, at most once in two minutes on this machine.

Dhan mints once in two minutes and ends the former token with each new one; a wrong PIN again and again locks the
account. So the time of the last attempt is kept in a small file that all processes of a data folder share, one of them
mints at a time, and a refusal here says how many seconds are left.

Invariants: the attempt is noted before it leaves; PIN, secret and password are in no message, log, ``repr`` or file.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path

import pyotp
from filelock import FileLock, Timeout

from workbench.brokers.dhan.login import FreshToken, fresh_token
from workbench.brokers.dhan.login_wire import LoginRefused, LoginWire, NeverLeft
from workbench.core.errors import BadInput, BrokerError

MINT_EVERY_S = 120.0
TOTP_STEP_S = 30
_EDGE_S = 3.0
_LOCK_S = 60.0
_WHAT = "a new access token"


class TooSoon(BrokerError):
    """A token was minted, or tried, less than two minutes ago.

    Parameters
    ----------
    seconds_left : float
    """

    def __init__(self, seconds_left: float) -> None:
        super().__init__(
            f"Dhan makes a token once in two minutes and the last was asked for just now; "
            f"try again in {max(1, round(seconds_left))} seconds"
        )
        self.seconds_left = seconds_left


class _OneTimePassword(pyotp.TOTP):
    """The library's, for keys of any length: it refuses those below 112 bits, and 80 bits are often given out."""

    def byte_secret(self) -> bytes:
        key = base64.b32decode(self.secret + "=" * (-len(self.secret) % 8), casefold=True)
        if not key:
            raise ValueError("an empty key")
        return key


class Minter:
    """Makes tokens with PIN and one-time password.

    Parameters
    ----------
    wire : LoginWire
    pin, totp_secret : str
        `totp_secret` is the base-32 text that Dhan shows when the second factor is set up.
    folder : Path
        Where the time of the last attempt is kept (the data folder's ``journal``).
    wall, sleep : callable
        Seconds since 1970 by this machine's clock, and how to wait; the one-time password is made of them.
    """

    def __init__(
        self,
        wire: LoginWire,
        pin: str,
        totp_secret: str,
        *,
        folder: Path,
        wall: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if not (pin.isascii() and pin.isdigit()):
            raise BadInput("DHAN_PIN is not made of digits; give the PIN with which you log in at Dhan")
        try:
            self._totp = _OneTimePassword("".join(totp_secret.split()), interval=TOTP_STEP_S)
        except (binascii.Error, ValueError):
            raise BadInput(
                "DHAN_TOTP_SECRET is no base-32 text; give the key that Dhan shows under 'set up TOTP', not a code"
            ) from None
        self._wire, self._pin = wire, pin
        self._wall, self._sleep = wall, sleep
        name = hashlib.sha256(wire.client_id.encode()).hexdigest()[:8]
        self._mark = folder / f"token-{name}.json"
        self._lock = FileLock(folder / f"token-{name}.lock")

    def __repr__(self) -> str:
        return f"Minter({self._wire!r})"

    def seconds_left(self) -> float:
        """Give how long Dhan would still refuse."""
        try:
            at = float(json.loads(self._mark.read_text(encoding="utf-8"))["asked_at"])
        except (OSError, ValueError, TypeError, KeyError):
            return 0.0
        since = self._wall() - at
        # A time in the future is a clock that was set back: the limit is two minutes whatever the file says.
        return min(MINT_EVERY_S, max(0.0, MINT_EVERY_S - since))

    def mint(self) -> FreshToken:
        """Ask for a token, once.

        Raises
        ------
        TooSoon
            Two minutes have not passed; nothing was sent.
        LoginRefused
            Dhan said no: wrong PIN, wrong one-time password, too soon.
        BrokerUnavailable
            No answer; a token may have been made all the same, so two minutes are waited.
        """
        self._mark.parent.mkdir(parents=True, exist_ok=True)
        try:
            with self._lock.acquire(timeout=_LOCK_S):
                left = self.seconds_left()
                if left > 0:
                    raise TooSoon(left)
                code = self._code()
                self._note()
                return fresh_token(self._wire.mint(self._pin, code), _WHAT, (self._pin, code, self._wire.client_id))
        except NeverLeft:
            self._mark.unlink(missing_ok=True)
            raise
        except Timeout:
            raise TooSoon(MINT_EVERY_S) from None
        except LoginRefused as refused:
            raise _explained(refused) from None

    def _code(self) -> str:
        """Give a one-time password that will still hold when Dhan reads it."""
        left = TOTP_STEP_S - self._wall() % TOTP_STEP_S
        if left < _EDGE_S:
            self._sleep(left + 0.5)
        return self._totp.at(int(self._wall()))

    def _note(self) -> None:
        self._mark.write_text(json.dumps({"asked_at": self._wall()}), encoding="utf-8")


def is_hopeless(refused: LoginRefused) -> bool:
    """Say whether asking again with the same PIN and secret cannot help, and may lock the account."""
    said = refused.said.lower()
    return ("pin" in said and "invalid" in said) or any(word in said for word in ("locked", "blocked", "not enabled"))


def _explained(refused: LoginRefused) -> LoginRefused:
    said, lower = refused.said, refused.said.lower()
    if "totp" in lower or "otp" in lower.split():
        said += "; check DHAN_TOTP_SECRET and this machine's clock, of which the one-time password is made"
    elif "pin" in lower:
        said += "; check DHAN_PIN before you try again: wrong ones lock the account"
    elif "2 minutes" in lower:
        said += "; another machine or page has just made one: wait two minutes, or use that token"
    else:
        said += "; look at web.dhan.co, where access to the API and TOTP are set up"
    return LoginRefused(refused.what, said, code=refused.code, status=refused.status)

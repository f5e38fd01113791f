"""Access tokens of the simulated broker: one is alive at a time, and a new one kills the one before it.

A token is minted by PIN and TOTP (at most once in two minutes; a refusal is an HTTP 200 with an error in it) or made on
the broker's web page, and lives 24 hours. Only a token of the web page can be renewed. The practice token is no secret,
lives as long as the process and is its own renewal.

Invariant: `check` is true for one text at most; whoever is in `on_change` hears of every token that began or was ended.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

import orjson
import pyotp

from workbench.core.errors import BadInput
from workbench.core.session import IST

LIFE_S = 86_400.0
MINT_EVERY_S = 120.0


class TokenKind(StrEnum):
    """Where a token comes from."""

    PRACTICE = "practice"
    WEB = "web"
    TOTP = "totp"


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """What mints a token (while PIN and secret are empty, nobody can), how long it lives, how often: real seconds."""

    pin: str = field(default="", repr=False)
    totp_secret: str = field(default="", repr=False)
    life_s: float = LIFE_S
    mint_every_s: float = MINT_EVERY_S

    def __post_init__(self) -> None:
        if self.totp_secret:
            try:
                pyotp.TOTP(self.totp_secret)
            except ValueError:
                # The text of the error could hold the secret, so it is not quoted.
                raise BadInput("the TOTP secret is no base-32 text of at least 112 bits") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """One token; without `expires_at` it lives on."""

    text: str
    kind: TokenKind
    expires_at: datetime | None = None


class Tokens:
    """The client's one living token.

    Parameters
    ----------
    client_id : str
    practice : str
        The token of practice.
    kind : TokenKind
        Of the first token: the practice one, or one as Dhan makes them (a JWT with its end in `exp`).
    login : Login
    now : callable, optional
        The wall clock: tokens are a matter of the wire, not of the market's time.
    """

    def __init__(
        self,
        client_id: str,
        practice: str,
        *,
        kind: TokenKind = TokenKind.PRACTICE,
        login: Login = Login(),
        now: Callable[[], datetime] = lambda: datetime.now(IST),
    ) -> None:
        self._client_id, self._login = client_id, login
        self._now = now
        self._made = 0
        self._minted_at: datetime | None = None
        self._ended: set[str] = set()
        self.on_change: list[Callable[[], None]] = []
        first = Token(text=practice, kind=TokenKind.PRACTICE)
        self.current = first if kind is TokenKind.PRACTICE else self._make(kind)

    def check(self, text: str | None) -> bool:
        """Say whether a token opens the doors now."""
        return text == self.current.text and not self.has_ended(text)

    def has_ended(self, text: str | None) -> bool:
        """Say whether a token was good once and is no more (Dhan tells 807 from 809)."""
        end = self.current.expires_at
        out_of_time = text == self.current.text and end is not None and self._now() >= end
        return out_of_time or text in self._ended

    def expire(self) -> None:
        """End the living token before its time."""
        self._ended.add(self.current.text)
        self._tell()

    def mint(self, client_id: str, pin: str, totp: str) -> Token | str:
        """Make a token for whoever shows PIN and TOTP, or say why not."""
        now = self._now()
        if self._minted_at is not None and now - self._minted_at < timedelta(seconds=self._login.mint_every_s):
            return "Token can be generated once every 2 minutes."
        if client_id != self._client_id:
            return "Invalid Client ID"
        if not self._login.pin or pin != self._login.pin:
            return "Invalid Pin"
        if not self._login.totp_secret or not pyotp.TOTP(self._login.totp_secret).verify(totp, for_time=now):
            return "Invalid TOTP"
        self._minted_at = now
        return self._replace(TokenKind.TOTP)

    def renew(self) -> Token | str:
        """Give a new token for the living one, or say why not."""
        match self.current.kind:
            case TokenKind.PRACTICE:
                return self.current
            case TokenKind.WEB:
                return self._replace(TokenKind.WEB)
            case TokenKind.TOTP:
                return "Only tokens generated from Dhan Web can be renewed"

    def _replace(self, kind: TokenKind) -> Token:
        self._ended.add(self.current.text)
        self.current = self._make(kind)
        self._tell()
        return self.current

    def _make(self, kind: TokenKind) -> Token:
        self._made += 1
        now = self._now()
        end = now + timedelta(seconds=self._login.life_s)
        body = {
            "iss": "dhan", "partnerId": "", "exp": int(end.timestamp()), "iat": int(now.timestamp()),
            "tokenConsumerType": "SELF", "webhookUrl": "", "dhanClientId": self._client_id,
        }  # fmt: skip
        parts = [_base64(orjson.dumps(each)) for each in ({"typ": "JWT", "alg": "HS512"}, body)]
        # Two tokens of one second must differ: the count is in the signature, which nobody can check anyway.
        signature = hashlib.sha512(f"{'.'.join(parts)}#{self._made}".encode()).digest()
        return Token(text=".".join([*parts, _base64(signature)]), kind=kind, expires_at=end)

    def _tell(self) -> None:
        for each in self.on_change:
            each()


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

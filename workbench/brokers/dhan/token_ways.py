"""The ways to an access token: given, kept in the keyring, renewed, or made with PIN and one-time password.

Invariant: only a token that was made on Dhan's page is renewed, and only while it lives; every other is made anew.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from workbench.brokers.dhan.login import FreshToken, fresh_token, profile_of, token_expiry
from workbench.brokers.dhan.login_wire import LoginRefused, LoginWire
from workbench.brokers.dhan.minting import Minter
from workbench.brokers.dhan.token_store import NoKeyring, TokenStore
from workbench.core.errors import BrokerError

log = logging.getLogger(__name__)


NOTHING_THERE = (
    "there is no access token of Dhan; set DHAN_ACCESS_TOKEN (made at web.dhan.co, valid for a day), or DHAN_PIN and "
    "DHAN_TOTP_SECRET, then run workbench login"
)


class NoWay(BrokerError):
    """There is no token, and nothing to make one with."""


class TokenSource(StrEnum):
    """Where a token was found."""

    GIVEN = "DHAN_ACCESS_TOKEN"
    KEYRING = "keyring"
    MINTED = "PIN and one-time password"


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundToken:
    """A token and where it was found; its ``repr`` does not show it."""

    value: str = field(repr=False)
    source: TokenSource


class TokenWays:
    """All ways of one client id; implements `tokens.TokenMaker`.

    Parameters
    ----------
    wire : LoginWire
    store : TokenStore
    minter : Minter, optional
        With PIN and TOTP secret only.
    given_now : callable, optional
        Reads the given token anew: a machine without a keyring has only its ``.env`` to put another one down.
    """

    def __init__(
        self,
        wire: LoginWire,
        store: TokenStore,
        minter: Minter | None = None,
        *,
        given_now: Callable[[], str | None] = lambda: None,
    ) -> None:
        self.wire, self.store, self._minter, self._given_now = wire, store, minter, given_now
        self._minted: set[str] = set()
        self._dead: set[str] = set()

    def __repr__(self) -> str:
        return f"TokenWays({self.wire!r}, can mint: {self._minter is not None})"

    @property
    def can_mint(self) -> bool:
        """PIN and TOTP secret are there."""
        return self._minter is not None

    def without_minting(self) -> TokenWays:
        """Give the ways that make no token."""
        return TokenWays(self.wire, self.store)

    def look(self, given: str | None, now: datetime) -> FoundToken | None:
        """Give the first token that has not ended, as far as it says itself; else an ended one; asks nobody."""
        there = self._there(given)
        living = (each for each in there if (ends := token_expiry(each.value)) is None or ends > now)
        return next(living, there[0] if there else None)

    def good(self, given: str | None) -> FoundToken:
        """Give the first token that Dhan takes: given, kept in the keyring, or made now.

        Raises
        ------
        NoWay
            There is none and nothing to make one with.
        BrokerError
            Dhan refused the last of them, or did not answer.
        """
        refused: LoginRefused | None = None
        for found in self._there(given):
            try:
                self.check(found.value)
            except LoginRefused as error:
                refused = error
            else:
                return found
        if self._minter is not None:
            return FoundToken(value=self.mint().value, source=TokenSource.MINTED)
        raise refused or NoWay(NOTHING_THERE)

    def _there(self, given: str | None) -> list[FoundToken]:
        both = ((given, TokenSource.GIVEN), (self.store.read(), TokenSource.KEYRING))
        return [FoundToken(value=value, source=source) for value, source in both if value]

    def check(self, token: str) -> datetime | None:
        """Give a token's end as Dhan tells it; raises `LoginRefused` for a dead one."""
        return profile_of(self.wire, token).token_valid_until

    def fresh(self, token: str, *, is_alive: bool) -> FreshToken:
        """Renew a token made on Dhan's page while it lives; else make one."""
        refused = ""
        if is_alive and token not in self._minted:
            try:
                made = fresh_token(self.wire.renew(token), "the renewal of the access token", (token,))
            except LoginRefused as error:
                # A token made with PIN and one-time password is never renewed, and nothing in it tells which it is.
                refused = error.said
            else:
                self._keep(made)
                return made
        if self._minter is None:
            because = f" ({refused})" if refused else ""
            raise NoWay(
                f"the access token cannot be renewed{because}; make one at web.dhan.co and run workbench login with it "
                "in DHAN_ACCESS_TOKEN, or set DHAN_PIN and DHAN_TOTP_SECRET"
            )
        return self.mint()

    def elsewhere(self, token: str) -> FreshToken | None:
        """Give another token than this one that somebody has put down, if Dhan takes it."""
        for found in self._there(self._given_now()):
            if found.value == token or found.value in self._dead:
                continue
            try:
                ends_at = self.check(found.value)
            except LoginRefused:
                self._dead.add(found.value)
            else:
                return FreshToken(value=found.value, ends_at=ends_at)
        return None

    def mint(self) -> FreshToken:
        """Make a token with PIN and one-time password; the former one is dead from then on."""
        if self._minter is None:
            raise NoWay("no token can be made: set DHAN_PIN and DHAN_TOTP_SECRET")
        made = self._minter.mint()
        self._minted.add(made.value)
        self._keep(made)
        return made

    def _keep(self, made: FreshToken) -> None:
        try:
            self.store.write(made.value)
        except NoKeyring as error:
            log.info("the new token is kept by this process only: %s", error)

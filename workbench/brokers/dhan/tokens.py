"""The access token of a running process: known ahead to end, renewed before it does, and given to everybody at once.

A token lives a day, and Dhan ends it early when another is made. Whoever is refused for his token tells the keeper;
one thread of the keeper looks whether the token is really dead, gets another and hands it to all clients. Until then
`is_good` is false, and entries are not let through; stops rest at the broker and are not touched.

Invariants: however many are refused at once, one renewal runs; a refusal of the former token that arrives late renews
nothing; refused logins end after three, since wrong ones lock the account; no token is in a reason, log or ``repr``.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from workbench.brokers.dhan.login import FreshToken, token_expiry
from workbench.brokers.dhan.login_wire import LoginRefused
from workbench.brokers.dhan.minting import TooSoon, is_hopeless
from workbench.core.errors import WorkbenchError

log = logging.getLogger(__name__)

RENEW_BEFORE = timedelta(hours=2)
MOST_REFUSALS = 3
_STUBBORN = 3
_STUBBORN_S = 120.0
_STUBBORN_AGAIN_S = 3600.0
_SETTLES_S = 10.0

_PUT_DOWN = "another process or a person has put down a new access token"

OnToken = Callable[[str], None]
OnState = Callable[[bool, str], None]
OnAlarm = Callable[[str, str], None]


class TokenMaker(Protocol):
    """Where the keeper asks; `token_ways.TokenWays` is the real one."""

    def check(self, token: str) -> datetime | None:
        """Give a token's end as Dhan tells it; raises `LoginRefused` for a dead one."""
        ...

    def fresh(self, token: str, *, is_alive: bool) -> FreshToken:
        """Give a good token in the place of this one, which may be dead already."""
        ...

    def elsewhere(self, token: str) -> FreshToken | None:
        """Give a good token that somebody else has put down since, if there is one."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping:
    """When the keeper does what; lengths in real seconds but `renew_before`.

    Parameters
    ----------
    renew_before : timedelta
        How long before its end a token is renewed.
    beat_s : float
        How often the end is looked at.
    backoff_s : (float, float)
        First and longest pause after a renewal that failed.
    """

    renew_before: timedelta = RENEW_BEFORE
    beat_s: float = 15.0
    backoff_s: tuple[float, float] = (5.0, 300.0)


@dataclass(slots=True)
class _Trouble:
    """What stands between us and a good token."""

    refused_logins: int = 0
    failures: int = 0
    not_before: float = 0.0
    late_refusals: list[float] = field(default_factory=list)
    told: set[str] = field(default_factory=set)


class TokenKeeper:
    """Keeps one client id's token good; `start` begins, `close` ends its thread.

    Parameters
    ----------
    token : str
    maker : TokenMaker
    now : callable
        The clock in which tokens end.
    hold_until : callable, optional
        Given a moment, until when a token is needed that day (15:45 before a session); None: not today.
    on_alarm : callable, optional
        ``on_alarm(level, text)``, level ``info | warning | alarm``.
    keeping : Keeping

    Notes
    -----
    All callbacks come in the keeper's own thread; a client that lives on an event loop wraps its own in
    ``loop.call_soon_threadsafe``. They must not raise.
    """

    def __init__(
        self,
        token: str,
        maker: TokenMaker,
        *,
        now: Callable[[], datetime],
        hold_until: Callable[[datetime], datetime | None] = lambda _: None,
        on_alarm: OnAlarm = lambda _level, _text: None,
        keeping: Keeping = Keeping(),
    ) -> None:
        self._token, self._ends_at = token, token_expiry(token)
        self._maker, self._now, self._hold_until, self._alarm = maker, now, hold_until, on_alarm
        self._keeping = keeping
        self._wake = threading.Condition()
        self._subscribers: list[OnToken] = []
        self._states: list[OnState] = []
        self._told_good = True
        self._reason = ""
        self._was_refused = False
        self._asked = False
        self._closed = False
        self._trouble = _Trouble()
        self._taken_at = self._stubborn_at = self._ahead_not_before = float("-inf")
        self.renewals = 0
        self._thread = threading.Thread(target=self._run, name="dhan-token", daemon=True)

    def __repr__(self) -> str:
        return f"TokenKeeper(good={self.is_good}, ends_at={self._ends_at})"

    # --- what everybody may ask ---------------------------------------------------------------------------------------

    @property
    def token(self) -> str:
        """The token of this moment."""
        return self._token

    @property
    def ends_at(self) -> datetime | None:
        """When it ends; None if neither token nor profile said."""
        return self._ends_at

    @property
    def is_good(self) -> bool:
        """Nobody was refused for it since it was last found good."""
        return not self._reason

    @property
    def reason(self) -> str:
        """Why it is not good; empty if it is."""
        return self._reason

    def hours_left(self, now: datetime | None = None) -> float | None:
        """Give the hours until the token ends, below zero if it has; None where that is not known."""
        ends = self._ends_at
        return None if ends is None else (ends - (now or self._now())).total_seconds() / 3600

    def subscribe(self, callback: OnToken) -> None:
        """Call back with every new token."""
        self._subscribers.append(callback)

    def on_state(self, callback: OnState) -> None:
        """Call back with ``(good, reason)`` at every change: entries are frozen while it is not good."""
        self._states.append(callback)

    def refused(self, reason: str) -> None:
        """Take in that Dhan refused the token (DH-901, 807 to 809); from any thread, returns at once."""
        with self._wake:
            if self._closed:
                return
            if self.is_good:
                self._reason = reason or "the access token was refused"
                self._trouble.not_before = 0.0
                self._was_refused = True
                self._wake.notify_all()

    def renew(self) -> None:
        """Ask for a renewal now, whatever the end; it runs in the background."""
        with self._wake:
            self._asked = True
            self._trouble.refused_logins, self._trouble.not_before = 0, 0.0
            self._wake.notify_all()

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def close(self) -> None:
        """End the thread; a request on its way is left behind (it is a daemon's)."""
        with self._wake:
            self._closed = True
            self._wake.notify_all()
        if self._thread.is_alive() and threading.current_thread() is not self._thread:
            self._thread.join(2.0)

    # --- the keeper's thread ------------------------------------------------------------------------------------------

    def _run(self) -> None:
        if self._ends_at is None:
            self._learn_the_end()
        while True:
            with self._wake:
                if not (self._closed or self._was_refused or self._asked):
                    self._wake.wait(self._keeping.beat_s)
                if self._closed:
                    return
                asked, self._asked, self._was_refused = self._asked, False, False
            self._tell_state()
            self._turn(asked)
            self._tell_state()

    def _turn(self, asked: bool) -> None:
        if time.monotonic() >= self._trouble.not_before:
            if not self.is_good:
                self._examine()
            elif asked or (self._is_due() and time.monotonic() >= self._ahead_not_before):
                self._replace(is_alive=True)
        elif not self.is_good:
            self._look_elsewhere()
        self._warn_of_the_end()

    def _examine(self) -> None:
        """See whether the refused token is dead, or whether an old refusal came late; only a dead one is replaced."""
        try:
            ends_at = self._maker.check(self._token)
        except LoginRefused:
            self._replace(is_alive=False)
            return
        except (WorkbenchError, OSError) as error:
            self._failed(error)
            return
        if self._is_stubborn():
            # The profile takes what another door of Dhan's keeps refusing: another token tells whether it is the token.
            self._alarm("warning", f"the profile takes the access token, yet it is refused again: {self._reason}")
            if time.monotonic() - self._stubborn_at > _STUBBORN_AGAIN_S:
                self._stubborn_at = time.monotonic()
                self._replace(is_alive=True)
                return
        self._ends_at = self._believed(ends_at) or self._believed(self._ends_at)
        self._found_good()

    def _is_stubborn(self) -> bool:
        now, trouble = time.monotonic(), self._trouble
        if now - self._taken_at < _SETTLES_S:
            return False  # the former token's refusals are still coming in
        trouble.late_refusals = [*(at for at in trouble.late_refusals if now - at < _STUBBORN_S), now]
        if len(trouble.late_refusals) < _STUBBORN:
            return False
        trouble.late_refusals = []
        return True

    def _replace(self, *, is_alive: bool) -> None:
        try:
            found = self._maker.elsewhere(self._token)
            if found is not None:
                self._take(found, _PUT_DOWN)
            elif self._trouble.refused_logins >= MOST_REFUSALS:
                self._pause(self._keeping.backoff_s[1])
            else:
                self._take(self._maker.fresh(self._token, is_alive=is_alive), "the access token was renewed")
        except TooSoon as error:
            self._pause(error.seconds_left)
            self._tell_once("info", str(error))
        except (WorkbenchError, OSError) as error:
            # A disk without room cannot note an attempt: that ends this try, and never the thread.
            self._failed(error)

    def _look_elsewhere(self) -> None:
        """While a pause lasts: a person who puts down a token is not kept waiting for its end."""
        try:
            found = self._maker.elsewhere(self._token)
        except (WorkbenchError, OSError) as error:
            log.info("another access token is there, and Dhan cannot be asked about it: %s", error)
            return
        if found is not None:
            self._take(found, _PUT_DOWN)

    def _failed(self, error: WorkbenchError | OSError) -> None:
        trouble = self._trouble
        trouble.failures += 1
        first, longest = self._keeping.backoff_s
        self._pause(min(longest, first * 2 ** min(trouble.failures - 1, 10)))
        if isinstance(error, LoginRefused):
            trouble.refused_logins = MOST_REFUSALS if is_hopeless(error) else trouble.refused_logins + 1
        if trouble.refused_logins >= MOST_REFUSALS:
            self._tell_once("alarm", f"no further try at a new access token is made; run workbench login: {error}")
        else:
            self._tell_once("alarm", f"the access token could not be renewed; it is tried again: {error}")

    def _learn_the_end(self) -> None:
        try:
            self._ends_at = self._believed(self._maker.check(self._token))
        except LoginRefused as error:
            self.refused(error.said)
        except (WorkbenchError, OSError) as error:
            log.warning("when the access token ends is not known: %s", error)

    def _pause(self, seconds: float) -> None:
        self._trouble.not_before = time.monotonic() + seconds

    def _take(self, made: FreshToken, how: str) -> None:
        self._token, self._ends_at = made.value, self._believed(made.ends_at or token_expiry(made.value))
        self._taken_at = time.monotonic()
        self.renewals += 1
        # Before anybody has it: what is refused from here on may be the new one.
        self._found_good()
        for callback in tuple(self._subscribers):
            callback(made.value)
        if self._is_due():
            # It ends as early as the former one did: nothing is gained by asking again and again.
            self._ahead_not_before = time.monotonic() + self._keeping.backoff_s[1]
        until = f", good until {self._ends_at:%Y-%m-%d %H:%M}" if self._ends_at else ""
        self._alarm("info", f"{how}{until}")

    def _found_good(self) -> None:
        self._trouble = _Trouble(late_refusals=self._trouble.late_refusals)
        with self._wake:
            # What was refused while the former one was in use says nothing about this one.
            self._was_refused = False
            self._reason = ""

    def _believed(self, ends_at: datetime | None) -> datetime | None:
        """Give an end that was told for a token that is taken: one that has passed was told in another clock."""
        return ends_at if ends_at is not None and ends_at > self._now() else None

    def _is_due(self) -> bool:
        ends, now = self._ends_at, self._now()
        if ends is None:
            return False
        needed = self._hold_until(now)
        return ends - now <= self._keeping.renew_before or (needed is not None and ends < needed)

    def _warn_of_the_end(self) -> None:
        left = self.hours_left()
        if left is None or left > self._keeping.renew_before.total_seconds() / 3600:
            return
        if left <= 0:
            self._tell_once("alarm", "the access token has ended; run workbench login")
        else:
            self._tell_once("warning", "less than two hours are left of the access token; run workbench login")

    def _tell_once(self, level: str, text: str) -> None:
        """Tell a person once in each trouble, not at each try."""
        kind = f"{level}: {text.split(';', 1)[0].split('(', 1)[0]}"
        if kind not in self._trouble.told:
            self._trouble.told.add(kind)
            self._alarm(level, text)

    def _tell_state(self) -> None:
        good, reason = self.is_good, self._reason
        if good != self._told_good:
            self._told_good = good
            if not good:
                self._alarm("alarm", f"Dhan refuses the access token: {reason}; no entries until there is another")
            for callback in tuple(self._states):
                callback(good, reason)

"""What paper and live have in common: Dhan's prices, Dhan's login, and time as it passes.

With `WORKBENCH_DHAN_URL` a simulator stands in Dhan's place, and its time runs as its own clock says: the same path is
rehearsed at another speed. Nobody waits for us there, as nobody does at Dhan.

Invariant: while Dhan refuses the token no entry is let through, and all that holds the token gets the new one.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import logging
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from workbench import strategies
from workbench.bootstrap import deployments as promoted
from workbench.bootstrap.logging_in import given_token, hold_until, token_to_start_with, token_ways
from workbench.bootstrap.places import Places
from workbench.bootstrap.venue import Ears, Host, Login, Moved, Wires
from workbench.brokers.dhan.login import profile_of
from workbench.brokers.dhan.server_time import ServerTime
from workbench.brokers.dhan.token_ways import TokenWays
from workbench.brokers.dhan.tokens import TokenKeeper
from workbench.config import Config
from workbench.core.deployment import Deployment, Mode
from workbench.core.errors import BadInput, BrokerError, BrokerUnavailable
from workbench.core.instrument import Segment
from workbench.core.legs import Listings
from workbench.core.messages import Level
from workbench.core.plan import ProtectionRule
from workbench.core.ports import Clock
from workbench.core.session import Session
from workbench.data.master_day import daily_master, practice_master
from workbench.live.clock import AffineClock
from workbench.live.feed_supervisor import FeedSupervisor
from workbench.live.system import MARKET
from workbench.live.trusted_clock import TrustedClock, watch_time
from workbench.live.wall import WallBeat
from workbench.reference import calendar, contract_table

log = logging.getLogger(__name__)

STALE_AFTER_S = 5.0
_ANCHOR_EVERY_S = 0.5
_QUICKEST_BEAT_S = 0.05


class DhanVenue:
    """The market's side of a paper or live account; `paper` and `live_start` add the orders' side.

    Parameters
    ----------
    config : Config
    data : Path
    places : Places
        Dhan, or a simulator that plays it.
    """

    mode: Mode
    wires: Wires
    scope = ""
    stale_after_s: float | None = STALE_AFTER_S

    def __init__(self, config: Config, data: Path, places: Places) -> None:
        self._config, self._data, self._places = config, data, places
        self._clock: TrustedClock | AffineClock | None = None
        self._told: dict[str, Any] = {}
        self._keeper: TokenKeeper | None = None
        self._supervisor: FeedSupervisor | None = None

    @property
    def clock(self) -> Clock:
        """Market time."""
        if self._clock is None:
            raise BadInput("the venue has not begun; there is no market time yet")
        return self._clock

    def choose(self) -> tuple[Deployment, ...]:
        """Read the account's deployments; refuse what may not trade beyond practice."""
        chosen = self._on_account()
        for item in chosen:
            refuse_beyond_practice(item)
        return chosen

    def _on_account(self) -> tuple[Deployment, ...]:
        self._ways()  # without a client id nothing else is worth reading
        chosen = tuple(item for item in promoted.load_all(self._data) if item.account == self.mode.value)
        if not chosen:
            raise BadInput(
                f"no deployment is on the {self.mode.value} account; point one at it: "
                f"workbench deployments NAME --account {self.mode.value}"
            )
        return chosen

    def begin(self) -> str:
        """Take the machine's time, with Dhan's as a witness, or that of the simulator which plays Dhan."""
        if not self._places.is_simulated:
            self._clock = TrustedClock()
            return f"{self.mode.value} account"
        self._told = self._places.clock_facts()
        if self._told["speed"] == "max":
            raise BadInput(f"{self._places.name} runs in lockstep and cannot play Dhan; start it with --speed N")
        self._clock = AffineClock(dt.datetime.fromisoformat(self._told["now"]))
        self._anchor(self._clock, self._told)
        return f"{self.mode.value} account, rehearsed on {self._places.name}"

    def log_in(self) -> str:
        """Find or make a token that Dhan takes, and read the profile."""
        ways = self._ways()
        found = token_to_start_with(ways, given_token(self._config.secrets))
        profile = profile_of(ways.wire, found.value)
        self._take_time(ways.wire.server_time, at_start=True)
        self._login = Login(client_id=ways.wire.client_id, token=found.value)
        if not profile.has_data:
            raise BrokerUnavailable(
                f"Dhan's data plan is {profile.data_plan or 'not told'}: no prices; subscribe to it at web.dhan.co"
            )
        return f"{self._login!r} at {self._places.name}, token from {found.source.value}"

    def load_listings(self, symbols: Sequence[str], day: dt.date) -> Listings:
        """Give the day's master, fetched and verified by a process of its own; without one nothing is traded."""
        fetch = practice_master if self._places.is_simulated else daily_master
        outcome = fetch(self._data / "instruments", day, self._places.master, symbols)
        for finding in outcome.findings:
            _on(self._loop, partial(self._host.notifier.send, Level.WARNING.value, finding))
        return Listings(outcome.required(), contract_table())

    def mover(self, moved: Moved) -> WallBeat:
        """Give the beat of real time."""
        watch, notifier = self._host.watch, self._host.notifier

        def on_trouble(reason: str) -> None:
            if not reason:
                watch.let_go("day")
                return
            watch.hold("day", reason)
            notifier.send(Level.ALARM.value, reason)

        return WallBeat(
            clock=self.clock,
            calendar=calendar(),
            enqueue=moved.enqueue,
            on_second=moved.on_second,
            on_state=moved.on_state,
            on_trouble=on_trouble,
            every_s=max(_QUICKEST_BEAT_S, 1.0 / max(1.0, self.speed())),
        )

    def speed(self) -> float:
        """Market seconds in a real second."""
        return float(self._told["speed"]) if self._places.is_simulated else 1.0

    def facts(self) -> dict[str, Any]:
        """Give what stands in the day's export about the market."""
        market = self._told.get("facts", {}) if self._places.is_simulated else {"market": "dhan"}
        return {"market": market, "speed": self.speed(), "prices_of": self._places.name, "dry_run": self.dry_run}

    def hours_left(self) -> float | None:
        """Hours until the token ends; None where it does not say."""
        return None if self._keeper is None else self._keeper.hours_left()

    def close(self) -> None:
        """End the token's thread."""
        if self._keeper is not None:
            self._keeper.close()

    # --- for the two kinds ----------------------------------------------------------------------------------------

    dry_run = False

    def _ways(self) -> TokenWays:
        return token_ways(self._config.secrets, self._data, rest=self._places.rest, auth=self._places.auth)

    def _keep_the_token(self, host: Host) -> TokenKeeper:
        """Begin to watch the token; while it is refused entries wait, exits and stops go on."""
        loop = self._loop = asyncio.get_running_loop()
        self._host = host

        def on_state(good: bool, reason: str) -> None:
            _on(loop, lambda: self._token_state(good, reason))

        def on_alarm(level: str, text: str) -> None:
            _on(loop, lambda: host.notifier.send(level, text))

        self._keeper = TokenKeeper(
            self._login.token, self._ways(), now=self.clock.now, hold_until=hold_until(calendar()), on_alarm=on_alarm
        )
        self._keeper.on_state(on_state)
        return self._keeper

    def _share_the_token(self, keeper: TokenKeeper, *, with_orders: bool) -> None:
        """Give every new token to what holds it, and start the keeper."""
        loop, wires = asyncio.get_running_loop(), self.wires
        keeper.subscribe(wires.data.renew_token)
        keeper.subscribe(lambda token: _on(loop, lambda: wires.feed.renew_token(token)))
        if with_orders:
            keeper.subscribe(wires.broker.renew_token)
            keeper.subscribe(lambda token: _on(loop, lambda: wires.updates.renew_token(token)))
        keeper.start()

    def _ears(self, keeper: TokenKeeper) -> Ears:
        def disconnected(code: int, reason: str) -> None:
            if self._supervisor is not None:
                self._supervisor.take_disconnect(code, reason)

        def status(segment: Segment) -> None:
            if self._supervisor is not None:
                self._supervisor.take_status(segment)

        return Ears(refused=keeper.refused, disconnected=disconnected, status=status, time=self._take_time)

    def _begin_beside(self, host: Host, keeper: TokenKeeper, *, with_orders: bool) -> None:
        """Start what runs beside the process: the token's keeper, the feed's supervision, a rehearsal's clock."""
        self._share_the_token(keeper, with_orders=with_orders)
        supervisor = FeedSupervisor(
            self.wires.feed,
            host.watch,
            session=self._session,
            market_now=self.clock.now,
            notifier=host.notifier,
        )
        self._supervisor = supervisor
        host.start(supervisor.run())
        clock = self._clock
        if isinstance(clock, TrustedClock):
            host.start(watch_time(clock, host.watch, host.notifier, self._ask_the_time))
        else:
            host.start(self._follow_the_clock())

    @property
    def _token(self) -> str:
        """The access token of now: that of the start is dead after a day."""
        return self._login.token if self._keeper is None else self._keeper.token

    def _session(self) -> Session | None:
        day = self.clock.now().date()
        return calendar().session(MARKET, day) if calendar().knows(MARKET, day) else None

    def _token_state(self, good: bool, reason: str) -> None:
        if good:
            self._host.watch.let_go("token")
            self._host.notifier.send(Level.INFO.value, "Dhan takes the access token again; entries are allowed")
            return
        self._host.watch.hold("token", f"Dhan refuses the access token: {reason}")
        self._host.notifier.send(
            Level.ALARM.value, f"Dhan refuses the access token, no entry is sent until it is renewed: {reason}"
        )

    def _take_time(self, told: ServerTime | None, *, at_start: bool = False) -> None:
        if told is not None and isinstance(self._clock, TrustedClock):
            self._clock.hear(told.moment, at=told.at, unsure_s=told.unsure_s, at_start=at_start)

    async def _ask_the_time(self) -> None:
        """Ask who we are, for the answer's date: only while this machine's clock is in doubt."""
        wire = self._ways().wire
        try:
            await asyncio.to_thread(wire.profile, self._token)
        except BrokerError as error:
            log.warning("Dhan does not tell his time: %s", error)
        self._take_time(wire.server_time)

    async def _follow_the_clock(self) -> None:
        """Anchor the time again and again: a simulator may be later than its speed says, or stand."""
        clock = self._clock
        while isinstance(clock, AffineClock):
            await asyncio.sleep(_ANCHOR_EVERY_S)
            try:
                told = await asyncio.to_thread(self._places.clock_facts, 2.0)
                self._anchor(clock, told)
                self._told = told
            except (BrokerUnavailable, ValueError, KeyError) as error:
                log.warning("%s does not tell its time: %s", self._places.name, error)

    @staticmethod
    def _anchor(clock: AffineClock, told: dict[str, Any]) -> None:
        moves = told["state"] == "open"
        clock.anchor(dt.datetime.fromisoformat(told["now"]), float(told["speed"]) if moves else 0.0)


def _on(loop: asyncio.AbstractEventLoop, work: Callable[[], None]) -> None:
    """Do something on the loop, from the token's thread; a loop that has ended needs nothing any more."""
    try:
        loop.call_soon_threadsafe(work)
    except RuntimeError:
        log.info("the loop has ended before the token's news reached it")


def refuse_beyond_practice(deployment: Deployment) -> None:
    """Refuse a deployment that may not leave practice.

    Raises
    ------
    BadInput
        It trades what nobody can buy, only alerts without a key drive it, or its code is not the promoted one.
    """
    name = deployment.name
    if deployment.plan.is_synthetic:
        raise BadInput(f"{name} trades the index as if it were a future, which nobody can buy; leave it on practice")
    if deployment.strategy is None and not is_key(deployment.key_sha256):
        raise BadInput(
            f"{name} is driven by alerts and has no alert key; make one: workbench deployments {name} --new-key"
        )
    if deployment.strategy is not None:
        code = strategies.code_hash(strategies.get(deployment.strategy))
        if deployment.strategy_hash != code:
            raise BadInput(
                f"the code of {deployment.strategy} is not the code that {name} was promoted with; promote again"
            )


def refuse_super_order(deployment: Deployment, config: Config) -> None:
    """Refuse a live deployment that protects by super orders, unless a person has allowed them.

    Raises
    ------
    BadInput
        It does, and ``dhan.allow_super_orders`` is not set.
    """
    if deployment.plan.protection is ProtectionRule.SUPER_ORDER and not config.dhan.allow_super_orders:
        raise BadInput(
            f"deployment {deployment.name!r} has protection super_order, and no answer of Dhan about one was ever "
            "recorded: try it on paper, then set dhan.allow_super_orders: true, or write stop_and_target"
        )


def is_key(text: str) -> bool:
    """Say whether a text is the SHA-256 of an alert key."""
    return len(text) == 2 * hashlib.sha256().digest_size

"""Live: Dhan's prices and Dhan's orders, behind a gate that a person opens anew at every start.

The gate: a typed sentence, a fresh look at Dhan, a day whose hours are known, deployments of the promoted code with
alert keys, one lot in a deployment's first five sessions, and `dry_run` until it is switched off. Nothing remembers
that live was on: whoever starts without the sentence gets exits only, and that only where a position is still open.

Invariants: without the sentence no entry leaves; with `dry_run` nothing leaves at all; while a position is open no
refusal of the gate keeps the engine from watching it: then it starts with exits only.
"""

from __future__ import annotations

import logging
import math
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import Any

from workbench.bootstrap.broker_checks import examine_broker, wall_clock
from workbench.bootstrap.day_checks import master
from workbench.bootstrap.dhan_venue import DhanVenue, refuse_beyond_practice, refuse_super_order
from workbench.bootstrap.findings import Blocks, Finding, Readiness, checked, told
from workbench.bootstrap.logging_in import needed_until
from workbench.bootstrap.morning import PAUSE_S, MorningDoctor
from workbench.bootstrap.places import Places
from workbench.bootstrap.practice import show
from workbench.bootstrap.safekeeping import latch_halt
from workbench.bootstrap.venue import DRY_RUN_VARIABLE, Host, Moved, wires_of
from workbench.bootstrap.venues import journal_name
from workbench.config import Config
from workbench.config import Mode as ConfigMode
from workbench.core.book import Book
from workbench.core.deployment import Deployment, Mode
from workbench.core.errors import BadInput, CorruptData
from workbench.core.messages import Event, FillBooked, Level, PositionPlanned
from workbench.live.loss_guard import LossGuard, products_of
from workbench.live.system import MARKET
from workbench.live.wall import WallBeat
from workbench.reference import calendar
from workbench.storage.journal import SqliteJournal
from workbench.storage.journal_archive import archives, damaged

log = logging.getLogger(__name__)

CAREFUL_SESSIONS = 5
"""A deployment trades one lot in that many sessions with a live fill."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Permit:
    """What a start of live may do.

    Parameters
    ----------
    sentence : str
        As it was typed; empty for exits only.
    held : int
        Live positions that the journal knows to be open.
    began_sending : bool
        The `workbench up` that this engine belongs to began with orders being sent.
    """

    sentence: str
    held: int
    began_sending: bool = False

    @property
    def exits_only(self) -> bool:
        """No sentence was typed: what is open is watched and left, nothing is entered."""
        return not self.sentence


class LiveVenue(DhanVenue):
    """The live account; implements `venue.Venue`.

    Parameters
    ----------
    config : Config
    data : Path
    permit : Permit
    places : Places, optional
        Dhan, or what `WORKBENCH_DHAN_URL` names.
    """

    mode = Mode.LIVE

    def __init__(self, config: Config, data: Path, permit: Permit, places: Places | None = None) -> None:
        super().__init__(config, data, places or Places.of_environment())
        self._permit = permit
        # An engine that dies in a dry run is not to come back with orders because the file was edited meanwhile.
        began_dry = bool(os.environ.get(DRY_RUN_VARIABLE))
        self.dry_run = config.dhan.dry_run or began_dry
        self.account_id = account_of(config)
        self.id_prefix = "l"
        self._exits_only = ["live was started without its sentence"] if permit.exits_only else []
        self._lost_days: Sequence[str] = ()
        if self.dry_run and not began_dry and permit.began_sending and permit.held:
            # The file was edited under an open position, and this engine is the restart after a death: who really
            # holds something is watched, and left when it is time. Nothing is entered.
            self.dry_run = False
            self._exits_only.append("dhan.dry_run was switched on while a live position is open")

    def choose(self) -> tuple[Deployment, ...]:
        """Read the live deployments; one that is new to live trades one lot."""
        if self.dry_run and self._permit.held:
            raise BadInput(
                f"{self._permit.held} live positions are open, and with dry_run no exit would be sent for them; "
                "set dhan.dry_run: false in workbench.yaml, or close them in Dhan's own app first"
            )
        chosen = self._on_account()
        for item in chosen:
            for refuse in (refuse_beyond_practice, partial(refuse_super_order, config=self._config)):
                try:
                    refuse(item)
                except BadInput as error:
                    self._restrict(str(error))
        self._products = products_of(chosen)
        self._lost_days = _lost_days(self._data)
        for why in self._lost_days:
            show(f"CAUTION: {why}")
        lives = _fills_by_session(self._data, self.account_id)
        return tuple(self._small(item, sum(item.name in names for names in lives)) for item in chosen)

    def begin(self) -> str:
        """Take the time, and refuse a day whose hours are not known."""
        words = super().begin()
        day = self.clock.now().date()
        session = calendar().session(MARKET, day)  # a year without rows raises, with the way out
        if session is not None and not session.times_confirmed:
            self._restrict(f"the hours of {day} are not confirmed; live trading is refused on it, use --mode paper")
        return words + (", DRY RUN: nothing is sent" if self.dry_run else ", ORDERS ARE SENT")

    def log_in(self) -> str:
        """Log in, and look at Dhan afresh: token, its end, segments, data plan, registered address, clock."""
        words = super().log_in()
        if stops := Readiness(mode=ConfigMode.LIVE, findings=self._ask_dhan(self._login.token)).stops:
            self._restrict(f"live is not started: {told(stops)}")
            return f"{words}; EXITS ONLY"
        return f"{words}; the doctor found nothing that stops live"

    async def connect(self, host: Host) -> None:
        """Make the clients; without the sentence entries are held back for good."""
        keeper = self._keep_the_token(host)
        self.wires = wires_of(
            self._places, self._places, self._login, self._login, now=self.clock.now, scale=self.speed(),
            ears=self._ears(keeper), read_timeout_s=self._config.dhan.timeout_s,
        )  # fmt: skip
        self._tell_what_is_held_back(host)
        self._begin_beside(host, keeper, with_orders=True)
        if not self.dry_run:
            guard = LossGuard(
                self.wires.broker.control,
                loss=self._config.risk.max_daily_loss,
                products=self._products,
                session=self._session,
                now=self.clock.now,
                notifier=host.notifier,
            )
            host.start(guard.run())

    def mover(self, moved: Moved) -> WallBeat:
        """Give the beat of real time, which holds entries back on a day whose hours are not confirmed.

        The start refuses such a day; an engine that runs on over the night comes upon it without a start. So it has
        its doctor each morning.
        """
        folder = self._data / "journal"
        doctor = MorningDoctor(
            self._look_at,
            watch=self._host.watch,
            notifier=self._host.notifier,
            halt=lambda reason: latch_halt(folder, moved.enqueue, reason, who="doctor"),
            seen=self.clock.now().date(),
            pause_s=PAUSE_S / max(1.0, self.speed()),
        )
        self._host.start(doctor.run())

        async def on_state(state: str, moment: datetime) -> None:
            if state != "closed":
                doctor.begins(moment.date())
            session = self._session()
            if session is not None and not session.times_confirmed:
                self._host.watch.hold("hours", f"the hours of {moment.date()} are not confirmed; no entries in live")
            else:
                self._host.watch.let_go("hours")
            await moved.on_state(state, moment)
            if state != "closed":
                doctor.opened(moment.date())

        return super().mover(replace(moved, on_state=on_state))

    def facts(self) -> dict[str, Any]:
        """Give what stands in the day's export about the market."""
        return {**super().facts(), "orders": self._places.name}

    def _small(self, deployment: Deployment, sessions: int) -> Deployment:
        """Give the deployment as it may trade; one that cannot be made small enters nothing and is watched as it is."""
        try:
            return _careful(deployment, sessions)
        except BadInput as error:
            self._restrict(f"{deployment.name} cannot be held to one lot in its first sessions: {error}")
            return deployment

    def _ask_dhan(self, token: str) -> Sequence[Finding]:
        until = needed_until(calendar(), wall_clock())
        return examine_broker(self._ways().wire, token, base_url=self._places.rest, needed_until=until)

    def _look_at(self, day: date) -> Sequence[Finding]:
        """Look at a new day as a start does (blocking), with the token that is in use now."""
        folder, is_simulated = self._data / "instruments", self._places.is_simulated
        listed = checked(
            "instrument master", lambda: master(calendar(), day, folder, is_simulated=is_simulated), Blocks.LIVE
        )
        return [listed, *self._ask_dhan(self._token)]

    def _tell_what_is_held_back(self, host: Host) -> None:
        if self._exits_only:
            reason = f"exits only: {'; '.join(self._exits_only)}"
            host.watch.hold("gate", reason)
            host.notifier.send(Level.ALARM.value, reason)
        for why in self._lost_days:
            host.notifier.send(Level.ALARM.value, why)
        if self.dry_run:
            host.notifier.send(Level.WARNING.value, "dry run: every order stands in the journal, and none is sent")

    def _restrict(self, reason: str) -> None:
        """Refuse to start; but what is open must be watched, so with an open position only entries are refused."""
        if not self._permit.held:
            raise BadInput(reason)
        self._exits_only.append(reason)


def account_of(config: Config) -> str:
    """Give the live account's name in journal and tape."""
    return f"live-{_client(config)[-3:]}"


def sentence_of(config: Config) -> str:
    """Give what a person types to trade real money."""
    return f"I trade real money on {_client(config)[-3:]}"


def permit(config: Config, data: Path, typed: str | None) -> Permit:
    """Give what a start may do.

    Parameters
    ----------
    typed : str or None
        From ``--confirm``; None asks on a terminal.

    Raises
    ------
    BadInput
        The sentence is wrong, or there is none and nothing is open that would need watching.
    """
    wanted = sentence_of(config)
    held = open_positions(data, account_of(config))
    if typed is None and sys.stdin is not None and sys.stdin.isatty():
        show(f"To trade live, type: {wanted}\n(an empty line: {'exits only' if held else 'do not start'})")
        typed = sys.stdin.readline()
    typed = " ".join((typed or "").split())
    if typed and typed != wanted:
        raise BadInput(f'the sentence is not right; live starts with: --confirm "{wanted}"')
    if not typed and not held:
        raise BadInput(f'live needs its sentence: --confirm "{wanted}"; without it: --mode paper')
    return Permit(sentence=typed, held=held)


def live_venue(config: Config, data: Path, *, confirmed: str | None, began_sending: bool = False) -> LiveVenue:
    """Give the live venue, or refuse."""
    given = permit(config, data, confirmed)
    return LiveVenue(config, data, replace(given, began_sending=began_sending))


def open_positions(data: Path, account_id: str) -> int:
    """Count the positions that the account's journal leaves open; a damaged one may hold a position, and counts as one.

    The engine takes from it what reads and latches HALT; a start that is refused would leave that position unwatched.
    """
    try:
        days = _days(data, account_id)
    except CorruptData as damage:
        log.error("what is open is not known: %s", damage)
        return 1
    if not days:
        return 0
    book = Book()
    book.apply_all(days[max(days)])
    return len(book.live_positions())


def _lost_days(data: Path) -> Sequence[str]:
    """Say which old days of the live journal do not read any more.

    They are history: what is held today is watched all the same, and whoever is not seen to be experienced is new.
    """
    bad = damaged(data / "journal" / journal_name(Mode.LIVE))
    return [
        f"{why}; deployments count only the sessions that read, and trade one lot meanwhile" for why in bad.values()
    ]


def _fills_by_session(data: Path, account_id: str) -> list[set[str]]:
    """Give the deployments that had a fill, for each session of the account."""
    path = data / "journal" / journal_name(Mode.LIVE)
    found = {day: set(names) for each in archives(path) for day, names in each.fills.get(account_id, {}).items()}
    try:
        days = _days(data, account_id)
    except CorruptData:
        return []  # whoever cannot be seen to be experienced is new
    for day, events in days.items():
        owners = {item.position_id: item.deployment for item in events if isinstance(item, PositionPlanned)}
        found[day] = {
            owners[item.position_id] for item in events if isinstance(item, FillBooked) and item.position_id in owners
        }
    return list(found.values())


def _days(data: Path, account_id: str) -> dict[date, Sequence[Event]]:
    path = data / "journal" / journal_name(Mode.LIVE)
    if not path.is_file():
        return {}
    journal = SqliteJournal(path)
    try:
        days = journal.days(account_id)
        return {
            day: tuple(event for entry in journal.read_day(account_id, day) for event in entry.events) for day in days
        }
    finally:
        journal.close()


def _careful(deployment: Deployment, sessions: int) -> Deployment:
    """Hold a deployment to one lot while it is new to live.

    One lot is one share where shares are traded. Legs come down together, for a hedge is one by its ratio; and nothing
    is added to the first entry.
    """
    plan = deployment.plan
    ratio = math.gcd(*(leg.lots for leg in plan.legs)) or 1
    legs = tuple(replace(leg, lots=leg.lots // ratio) for leg in plan.legs)
    small = replace(plan, lots=1, risk_share_pct=None, value=None, legs=legs, pyramiding=0)
    if sessions >= CAREFUL_SESSIONS or small == plan:
        return deployment
    most = max((leg.lots for leg in small.legs), default=1)
    size = "one lot" if most == 1 else f"legs of {', '.join(str(leg.lots) for leg in small.legs)} lots"
    show(f"{deployment.name}: {size}; {sessions} of its first {CAREFUL_SESSIONS} live sessions are done")
    return replace(deployment, plan=small)


def _client(config: Config) -> str:
    given = config.secrets.dhan_client_id
    if given is None:
        raise BadInput("the client id of Dhan is missing; set DHAN_CLIENT_ID in the environment or in .env")
    return given.get_secret_value()

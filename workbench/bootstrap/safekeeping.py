"""What the engine process does so that a fault of the machine costs no money: journal, disk, clock, second engines.

Invariant: each of these faults stops entries and none of them stops an exit.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import logging
import secrets
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from filelock import FileLock, Timeout

from workbench.bootstrap.places import Places
from workbench.bootstrap.venues import journal_name
from workbench.config import Config
from workbench.core.deployment import Mode
from workbench.core.errors import BadInput, CorruptData
from workbench.core.messages import Level, Message, Operator, OperatorOrdered
from workbench.core.ports import JournalEntry, Notifier
from workbench.core.session import IST
from workbench.live.awake import KeepAwake, SleepNotInhibitedError
from workbench.live.clock_watch import LOOK_EVERY_S, ClockWatch
from workbench.live.foreign import ForeignOrders
from workbench.live.runner import Runner
from workbench.live.supervise import read_latch, set_latch
from workbench.live.system import FeedWatch
from workbench.storage.journal import SqliteJournal
from workbench.storage.salvage import salvage
from workbench.storage.space import Space
from workbench.storage.tape import archive_old, limit_simulated

log = logging.getLogger("workbench.engine")

AWAKE_LOOK_S, AWAKE_AGAIN_S = 5.0, 300.0
"""Real seconds between two looks at whether the machine is to be kept awake, and after a refusal."""

LOCKS = Path(".workbench")
"""Below the user's home: the same for every data folder of this machine."""


def new_instance() -> str:
    """Give what tells the order ids of this start from those of every other one, on whatever machine or old journal."""
    return secrets.token_hex(2)


def client_lock(mode: Mode, config: Config, home: Path | None = None) -> FileLock | None:
    """Take the lock of a client id for a mode, whatever the data folder; None in practice.

    Raises
    ------
    BadInput
        Another engine of this machine has it.
    """
    client = config.secrets.dhan_client_id
    if mode is Mode.PRACTICE or client is None:
        return None
    places = Places.of_environment()
    name = hashlib.sha256(f"{places.rest} {client.get_secret_value()}".encode()).hexdigest()[:16]
    # A rehearsal on a simulator leaves nothing in the user's home.
    folder = (home or (Path(tempfile.gettempdir()) if places.is_simulated else Path.home())) / LOCKS
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(str(folder / f"{mode.value}-{name}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise BadInput(
            f"another {mode.value} engine of this machine trades for the same client id, from another data folder; "
            "stop that one first"
        ) from None
    return lock


def open_journal(
    folder: Path, mode: Mode, account_id: str, today: dt.date, notifier: Notifier
) -> tuple[SqliteJournal, dt.date, Sequence[JournalEntry]]:
    """Open the journal and read the newest day of it; of a damaged one what reads is taken, and HALT is latched.

    Returns
    -------
    tuple
        The journal, the newest day that was opened, and its entries.
    """
    path = folder / journal_name(mode)
    try:
        return _open(path, account_id, today)
    except CorruptData as damage:
        saved = salvage(path, str(damage), dt.datetime.now(IST))
        log.error("%s", saved.words)
        notifier.send(Level.ALARM.value, saved.words)
        set_latch(folder, saved.words)
        return _open(path, account_id, today)


def _open(path: Path, account_id: str, today: dt.date) -> tuple[SqliteJournal, dt.date, Sequence[JournalEntry]]:
    journal = SqliteJournal(path)
    try:
        # The newest day that was opened: after a night's downtime yesterday's book is carried into today.
        last = max((day for day in journal.days(account_id) if day <= today), default=today)
        return journal, last, journal.read_day(account_id, last)
    except BaseException:
        journal.close()
        raise


def pack_old_tapes(folder: Path, today: dt.date) -> None:
    """Pack the tapes of days long past and drop simulated ones beyond a limit; a disk that refuses stops no start."""
    try:
        archive_old(folder, today, wall=dt.datetime.now(IST))
        limit_simulated(folder)
    except OSError as error:
        log.warning("old tapes could not be packed: %s", error)


def watched_space(folder: Path, loop: asyncio.AbstractEventLoop, watch: FeedWatch, notifier: Notifier) -> Space:
    """Give the disk's watch: too little room holds entries back until there is enough."""

    def turned(reason: str) -> None:
        if reason:
            watch.hold("disk", reason)
            notifier.send(Level.ALARM.value, reason)
        else:
            watch.let_go("disk")
            notifier.send(Level.INFO.value, "there is room on the disk again")

    def on_change(reason: str) -> None:
        loop.call_soon_threadsafe(turned, reason)

    return Space(folder, on_change)


def latch_halt(folder: Path, enqueue: Callable[[Message], None], reason: str, *, who: str) -> None:
    """Halt over every restart until a person resumes; where entries stand already the first reason stays."""
    if read_latch(folder) is None:
        set_latch(folder, reason)
        enqueue(OperatorOrdered(command=Operator.HALT, reason=reason, who=who))


def foreign_orders(runner: Runner, prefix: str, latch_folder: Path) -> ForeignOrders:
    """Give who halts the account when an order bears our mark and is not ours."""

    def found(tag: str) -> None:
        reason = (
            f"the broker has order {tag}, which bears our mark and is not in our journal: a second engine trades this "
            "account, or the journal is an old copy. Stop the other one, compare positions, then: workbench resume"
        )
        runner.notifier.send(Level.ALARM.value, reason)
        latch_halt(latch_folder, runner.enqueue, reason, who="foreign order")

    return ForeignOrders(prefix, lambda: runner.engine.book, found)


async def stay_awake(
    awake: KeepAwake, wanted: Callable[[], bool], tell: Callable[[str], None], *, look_every_s: float = AWAKE_LOOK_S
) -> None:
    """Keep the machine awake while it is wanted; until cancelled.

    Parameters
    ----------
    awake : KeepAwake
    wanted : callable
        Asked every few seconds.
    tell : callable
        Told why the machine may fall asleep, once for each reason.
    """
    told, not_before = "", float("-inf")
    loop = asyncio.get_running_loop()
    try:
        while True:
            if awake.is_held and not wanted():
                await asyncio.to_thread(awake.let_go)
            elif wanted() and not awake.is_held and loop.time() >= not_before:
                try:
                    log.info("kept awake: %s", await asyncio.to_thread(awake.hold))
                except SleepNotInhibitedError as refused:
                    not_before = loop.time() + AWAKE_AGAIN_S
                    if str(refused) != told:
                        told = str(refused)
                        tell(told)
            await asyncio.sleep(look_every_s)
    finally:
        await asyncio.to_thread(awake.let_go)


async def watch_clock(
    watch: FeedWatch, notifier: Notifier, reconcile: Callable[[], Awaitable[bool]], clocks: ClockWatch | None = None
) -> None:
    """Treat lost time as a restart: hold entries, reconcile, and go on when the broker was read; until cancelled."""
    clocks = clocks or ClockWatch()
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        if reason := clocks.look():
            watch.hold("clock", f"{reason}; entries wait until the broker's book was read")
            notifier.send(Level.WARNING.value, f"{reason}; reading the broker's book as after a restart")
        if "clock" in watch.held and await reconcile():
            watch.let_go("clock")

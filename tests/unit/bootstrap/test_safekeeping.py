"""What the engine's process does about locks, damaged journals, disks and foreign orders (P3, P5, P8, P9)."""

from __future__ import annotations

import asyncio
import datetime as dt
from decimal import Decimal
from pathlib import Path

import pytest
from pydantic import SecretStr

from tests.unit.storage.builders import DAY, a_trade, opened
from tests.unit.storage.test_journal import write
from workbench.bootstrap import safekeeping
from workbench.config import Config, Secrets
from workbench.core.book import Book
from workbench.core.deployment import Mode
from workbench.core.errors import BadInput
from workbench.core.messages import BrokerOrder, DayOpened, OrderUpdated
from workbench.core.order import OrderState
from workbench.core.signal import Side
from workbench.live.awake import KeepAwake, SleepNotInhibitedError
from workbench.live.foreign import ForeignOrders
from workbench.live.supervise import read_latch
from workbench.live.system import FeedWatch


class Notices:
    """Keeps what is sent."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str]] = []

    def send(self, level: str, text: str) -> None:
        self.sent.append((level, text))


def config(client: str) -> Config:
    return Config(secrets=Secrets(dhan_client_id=SecretStr(client)))


def test_p8_a_client_id_is_traded_by_one_engine_whatever_its_data_folder(tmp_path: Path) -> None:
    first = safekeeping.client_lock(Mode.LIVE, config("1000000001"), home=tmp_path)
    assert first is not None
    with pytest.raises(BadInput, match="another live engine"):
        safekeeping.client_lock(Mode.LIVE, config("1000000001"), home=tmp_path)
    others = [
        safekeeping.client_lock(mode, config(client), home=tmp_path)
        for mode, client in ((Mode.PAPER, "1000000001"), (Mode.LIVE, "1000000002"))
    ]
    first.release()
    again = safekeeping.client_lock(Mode.LIVE, config("1000000001"), home=tmp_path)
    for lock in (again, *others):
        assert lock is not None
        lock.release()
    assert "1000000001" not in " ".join(str(path) for path in tmp_path.rglob("*"))


def test_p8_practice_needs_no_lock_outside_its_folder(tmp_path: Path) -> None:
    assert safekeeping.client_lock(Mode.PRACTICE, config("1000000001"), home=tmp_path) is None
    assert list(tmp_path.iterdir()) == []


def test_p5_a_damaged_journal_latches_halt_and_what_reads_is_taken(tmp_path: Path) -> None:
    write(tmp_path / "journal.db", [opened(), *a_trade()])
    (tmp_path / "journal.db").write_bytes(b"no database" * 1000)
    notices = Notices()
    journal, day, entries = safekeeping.open_journal(tmp_path, Mode.PRACTICE, "practice", DAY, notices)
    journal.close()
    assert (day, len(entries)) == (DAY, 0)
    assert "damaged" in str(read_latch(tmp_path))
    assert [level for level, _ in notices.sent] == ["alarm"]


def test_p5_a_sound_journal_gives_its_newest_day_and_no_notice(tmp_path: Path) -> None:
    write(tmp_path / "journal.db", [opened(), *a_trade()])
    notices = Notices()
    journal, day, entries = safekeeping.open_journal(
        tmp_path, Mode.PRACTICE, "practice", DAY + dt.timedelta(days=3), notices
    )
    journal.close()
    assert day == DAY
    assert list(entries) == [opened(), *a_trade()]
    assert notices.sent == []
    assert read_latch(tmp_path) is None


def test_p3_a_full_disk_holds_entries_until_there_is_room(tmp_path: Path) -> None:
    watch, notices = FeedWatch(), Notices()

    async def run() -> None:
        space = safekeeping.watched_space(tmp_path, asyncio.get_running_loop(), watch, notices)
        space.reserve_bytes, space.low_bytes = 4096, 0
        space.look()
        await asyncio.to_thread(space.give_up_reserve)
        await asyncio.sleep(0.01)
        assert "full" in watch.held["disk"]
        space._not_before = float("-inf")
        await asyncio.to_thread(space.look)
        await asyncio.sleep(0.01)

    asyncio.run(run())
    assert watch.held == {}
    assert [level for level, _ in notices.sent] == ["alarm", "info"]


def order(tag: str) -> OrderUpdated:
    row = BrokerOrder(
        order_id=tag, correlation_id=tag, state=OrderState.WORKING, raw_status="PENDING", quantity=50,
        filled_quantity=0, average_price=Decimal(0), segment="NSE_FNO", security_id="40001", side=Side.BUY,
    )  # fmt: skip
    return OrderUpdated(order=row)


@pytest.mark.parametrize(
    ("tag", "is_told"),
    [
        ("l2206150 0001E", False),
        ("lbeef22061500001E", True),
        ("l22061500001E", True),
        ("lbeef22061400001E", False),  # of another day: carried over
        ("qbeef22061500001E", False),  # of another mode
        ("my own order", False),
        ("", False),
    ],
)
def test_p9_only_an_order_with_our_mark_and_of_today_is_foreign(tag: str, is_told: bool) -> None:
    book, told = Book(), list[str]()
    book.apply(DayOpened(day=DAY))
    foreign = ForeignOrders("l", lambda: book, told.append)
    for _ in range(2):
        foreign.listen(order(tag), None)
    assert told == ([tag] if is_told else [])


class Drowsy(KeepAwake):
    """A machine that is kept awake, or refuses to be."""

    def __init__(self) -> None:
        super().__init__(system="nothing")
        self.held, self.refusal, self.asked = False, "", 0

    @property
    def is_held(self) -> bool:
        return self.held

    def hold(self) -> str:
        self.asked += 1
        if self.refusal:
            raise SleepNotInhibitedError(self.refusal)
        self.held = True
        return "by a stand-in"

    def let_go(self) -> None:
        self.held = False


def test_s10_the_machine_is_kept_awake_while_that_is_wanted_and_let_go_with_the_process() -> None:
    async def run() -> None:
        machine, wish, told = Drowsy(), [True], list[str]()
        task = asyncio.create_task(
            safekeeping.stay_awake(machine, lambda: wish[0], told.append, look_every_s=0.001), name="awake"
        )
        async with asyncio.timeout(10):
            for wanted in (True, False, True):
                wish[0] = wanted
                while machine.held is not wanted:
                    await asyncio.sleep(0.001)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert not machine.held and told == []

    asyncio.run(run())


def test_s10_a_refusal_is_told_once_and_asked_again_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(safekeeping, "AWAKE_AGAIN_S", 0.005)

    async def run() -> None:
        machine, told = Drowsy(), list[str]()
        machine.refusal = "it may sleep"
        task = asyncio.create_task(safekeeping.stay_awake(machine, lambda: True, told.append, look_every_s=0.001))
        async with asyncio.timeout(10):
            while machine.asked < 4:
                await asyncio.sleep(0.001)
            assert told == ["it may sleep"]
            machine.refusal = ""
            while not machine.held:
                await asyncio.sleep(0.001)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(run())

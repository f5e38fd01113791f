"""Faults S3, S4, S5, S8, S11: a feed that is silent, dead, taken away, too fast, or that contradicts the calendar."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from workbench.core.bars import Quote
from workbench.core.instrument import Segment
from workbench.core.session import IST, Session
from workbench.live.feed_supervisor import FeedSupervisor
from workbench.live.quote_gate import BEHIND_S, MOST, MOST_A_TURN, QuoteGate
from workbench.live.system import FeedWatch
from workbench.reference import calendar

OPEN = datetime(2026, 11, 20, 9, 15, tzinfo=IST)


@dataclass
class World:
    """Wire time, market time, a feed double and what a person was told."""

    at: float = 1000.0
    now: datetime = OPEN - timedelta(minutes=5)
    connected: bool = True
    connections: int = 1
    last_packet_at: float | None = None
    answers: bool = True
    pings: int = 0
    reconnects: int = 0
    told: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.watch = FeedWatch(5.0, monotonic=lambda: self.at)
        self.watch.feed_state(True, "")
        self.supervisor = FeedSupervisor(
            self,
            self.watch,
            session=self.session,
            market_now=lambda: self.now,
            notifier=self,
            witness=self.witness,
            monotonic=lambda: self.at,
        )

    def session(self) -> Session | None:
        return calendar().session(Segment.NSE_FNO, self.now.date())

    def send(self, level: str, text: str) -> None:
        self.told.append((level, text))

    async def reconnect(self) -> None:
        self.reconnects += 1
        self.connections += 1

    async def pong(self, timeout_s: float) -> bool:
        self.pings += 1
        return self.answers

    async def witness(self) -> str:
        return "REST has 25001.05 of 10:01:02"

    def quote(self) -> None:
        self.last_packet_at = self.at
        self.watch.saw_quote(self.at)

    def passing(self, seconds: int, quotes: bool = False, packets: bool = False) -> None:
        """Let seconds pass, looking at each."""

        async def checks() -> None:
            for _ in range(seconds):
                self.at += 1
                self.now += timedelta(seconds=1)
                if quotes:
                    self.quote()
                if packets:
                    self.last_packet_at = self.at
                await self.supervisor.check()

        asyncio.run(checks())

    def alive(self) -> bool | None:
        judged = self.watch.judge(market_open=self.now >= OPEN)
        return None if judged is None else judged.alive


def trading() -> World:
    world = World(now=OPEN - timedelta(seconds=2))
    world.passing(60, quotes=True)
    assert world.alive()
    return world


def test_s3_a_silent_feed_freezes_entries_after_five_seconds_and_is_made_anew_after_fifteen() -> None:
    world = trading()
    world.passing(6)
    assert world.alive() is False
    assert world.reconnects == 0
    world.passing(10)
    assert (world.reconnects, world.supervisor.stalls) == (1, 1)
    assert world.told[0][0] == "alarm"
    assert "no market data for 16 s (the connection is open): entries are frozen" in world.told[0][1]
    assert world.told[1] == ("warning", "while the feed is silent: REST has 25001.05 of 10:01:02")
    world.passing(2, quotes=True)
    assert world.alive()
    assert world.told[2] == ("info", "market data is back 1 s after the alarm")


def test_s3_frames_without_a_believable_quote_are_silence_too() -> None:
    world = trading()
    world.passing(16, packets=True)
    assert (world.reconnects, world.pings) == (1, 0)


def test_s3_a_market_that_stands_still_is_not_knocked_at_in_a_storm() -> None:
    world = trading()
    world.passing(600)
    assert world.reconnects <= 6
    assert sum(level == "alarm" for level, _ in world.told) == 1


def test_s3_the_first_quote_after_the_open_is_waited_for_as_long_as_any_other() -> None:
    world = World()
    world.passing(300)
    assert world.reconnects == 0, "a closed market sends nothing"
    world.passing(14)
    assert world.reconnects == 0
    world.passing(3)
    assert world.reconnects == 1


def test_s3_a_feed_that_is_lost_is_told_and_left_to_its_own_reconnecting() -> None:
    world = trading()
    world.connected = False
    world.watch.feed_state(False, "HTTP 429")
    world.passing(60)
    assert world.reconnects == 0
    assert [level for level, _ in world.told] == ["alarm"]
    assert "HTTP 429" in world.told[0][1]


def test_s4_a_server_that_answers_no_ping_is_left_also_when_the_market_is_closed() -> None:
    world = World()
    world.passing(30)
    assert (world.reconnects, world.supervisor.half_open) == (0, 0)
    assert 1 <= world.pings <= 6
    world.answers = False
    world.passing(6)
    assert (world.reconnects, world.supervisor.half_open) == (1, 1)


def test_s4_a_feed_with_frames_is_not_asked() -> None:
    world = trading()
    assert world.pings == 0


def test_s5_a_second_instance_and_a_missing_plan_are_told_once_with_the_way_out() -> None:
    world = trading()
    for _ in range(3):
        world.supervisor.take_disconnect(805, "too many connections")
    world.supervisor.take_disconnect(806, "no data plan")
    world.supervisor.take_disconnect(807, "access token expired")
    assert [level for level, _ in world.told] == ["alarm", "alarm"]
    assert "another program or engine uses this account's feed; end it" in world.told[0][1]
    assert "subscribe to the data APIs" in world.told[1][1]
    world.passing(2, quotes=True)
    world.supervisor.take_disconnect(805, "too many connections")
    assert len(world.told) == 3, "it has come back and is lost again"


@pytest.mark.parametrize(("minutes", "alarms"), [(-10, 0), (3, 0), (120, 1), (375, 0), (384, 0), (600, 0)])
def test_s11_a_change_of_status_that_the_calendar_does_not_know_is_an_alarm(minutes: int, alarms: int) -> None:
    world = World(now=OPEN + timedelta(minutes=minutes))
    world.supervisor.take_status(Segment.NSE_FNO)
    assert len(world.told) == alarms


def test_s11_a_change_of_status_on_a_day_without_session_is_told() -> None:
    world = World(now=OPEN + timedelta(days=1))
    world.supervisor.take_status(Segment.NSE_FNO)
    assert world.told[0][0] == "warning"
    assert "the calendar says no session today" in world.told[0][1]


def test_s3_a_liquid_instrument_that_is_silent_makes_the_feed_stale_though_others_tick() -> None:
    world, is_due = trading(), True
    world.watch.must_tick(["IDX_I:NIFTY"], lambda: is_due)
    assert world.alive() is False, "it has not ticked yet"
    world.watch.saw_quote(world.at, "IDX_I:NIFTY")
    assert world.alive()
    world.at += 6
    world.watch.saw_quote(world.at, "NSE_FNO:NIFTY:1")
    assert world.alive() is False
    is_due = False
    assert world.alive(), "the index has ended for the day, its options have not"


def test_s3_silence_is_no_fault_when_the_index_has_ended_and_nothing_is_held() -> None:
    world, is_held = trading(), False
    world.watch.must_tick(["IDX_I:NIFTY"], lambda: False, lambda: is_held)
    told = len(world.told)
    world.passing(300)
    assert (world.alive(), world.supervisor.stalls, len(world.told)) == (None, 0, told)
    assert world.watch.lives() == (True, "")
    is_held = True
    world.passing(300)
    assert world.alive() is False
    assert world.supervisor.stalls > 0, "an option that is held has to tick to the end"
    assert len(world.told) > told


def test_a_feed_that_was_lost_and_is_back_before_anybody_looked_has_a_gap() -> None:
    world = trading()
    world.watch.feed_state(False, "closed by the server")
    world.watch.feed_state(True, "")
    assert world.alive(), "told again, so that bars with missing ticks are repaired"
    assert world.alive() is None


# --- S8 ---------------------------------------------------------------------------------------------------------


def quote(key: str, number: int) -> Quote:
    return Quote(key, OPEN, Decimal(number), Decimal(number), Decimal(number))


def gated(work: Callable[[QuoteGate, list[float]], None]) -> tuple[QuoteGate, list[Quote]]:
    """Do something with a gate on a loop and let it hand on."""
    given: list[Quote] = []

    async def scenario() -> QuoteGate:
        clock = [0.0]
        gate = QuoteGate(given.append, monotonic=lambda: clock[0])
        work(gate, clock)
        while gate.waiting:
            await asyncio.sleep(0)
        return gate

    return asyncio.run(scenario()), given


def test_s8_in_ordinary_times_every_quote_passes_in_its_order() -> None:
    def work(gate: QuoteGate, _clock: list[float]) -> None:
        for number in range(1000):
            gate.take(quote(f"k{number % 3}", number + 1), 0.0001 * number % BEHIND_S)

    gate, given = gated(work)
    assert [int(each.last) for each in given] == list(range(1, 1001))
    assert (gate.handed_on, gate.conflated) == (1000, 0)


def test_s8_behind_only_the_newest_quote_of_an_instrument_is_handed_on() -> None:
    def work(gate: QuoteGate, clock: list[float]) -> None:
        gate.take(quote("a", 1), 0.0)
        gate.take(quote("b", 1), 0.0)
        for number in range(2, 500):
            clock[0] = BEHIND_S + number
            gate.take(quote("a", number), clock[0])
            gate.take(quote("b", number), clock[0])
            assert gate.waiting == 2
        gate.take(quote("c", 1), clock[0])

    gate, given = gated(work)
    assert [(each.key, int(each.last)) for each in given] == [("a", 499), ("b", 499), ("c", 1)]
    assert gate.conflated == 2 * 498


def test_s8_what_waits_is_bounded_however_fast_it_comes() -> None:
    def work(gate: QuoteGate, _clock: list[float]) -> None:
        for number in range(3 * MOST):
            gate.take(quote(f"k{number % 10}", number + 1), 0.0)
            assert gate.waiting <= MOST + 10

    gate, given = gated(work)
    assert {each.key: int(each.last) for each in given} == {
        f"k{key}": max(n + 1 for n in range(3 * MOST) if n % 10 == key) for key in range(10)
    }
    assert gate.handed_on + gate.conflated == 3 * MOST


def test_s8_an_order_update_is_not_behind_all_quotes() -> None:
    async def scenario() -> int:
        given: list[Quote] = []
        gate = QuoteGate(given.append)
        for number in range(MOST):
            gate.take(quote(f"k{number}", 1), 0.0)
        await asyncio.sleep(0)
        return len(given)

    assert asyncio.run(scenario()) <= MOST_A_TURN

"""Every fault of a stream, of its packets and of the token, with money at risk: stops stay, nobody enters blindly."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyotp
import pytest

from tests.simulation.faults.books import (
    assert_books_agree,
    assert_flat,
    assert_protected,
    net_at_broker,
    our_orders,
)
from tests.simulation.faults.moments import LOT, is_protected
from tests.simulation.faults.rig import Trading, playing_dhan, trading
from workbench.core.messages import AlertAction
from workbench.core.position import PositionState
from workbench.live.feed_supervisor import FeedSupervisor, Patience
from workbench.live.system import MARKET
from workbench.reference import calendar
from workbench.simulator.faults import BAD_TICKS
from workbench.simulator.tokens import TokenKind
from workbench.testing.simulator import RunningSimulator

Story = Callable[[RunningSimulator, Trading], Awaitable[None]]
STALE_S = 1.5
SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


def tell(folder: Path, story: Story, *, stale_after_s: float | None = None, **options: Any) -> None:
    """Let a story happen to an account that holds a protected position, and leave at its end."""

    async def day(sim: RunningSimulator) -> None:
        async with trading(sim, folder, stale_after_s=stale_after_s) as it:
            await it.alert(AlertAction.BULLISH)
            await it.until(lambda: is_protected(it), "a stop at the broker")
            await story(sim, it)
            sim.clear_faults()
            await it.flatten()
            await it.until(lambda: not net_at_broker(sim) and not it.positions(), "being flat")
            await it.pass_s(15)
            assert_flat(sim, it)

    with playing_dhan(**options) as sim:
        asyncio.run(day(sim))


async def refused_entry(it: Trading) -> str:
    """Try to turn the position round, and say what the engine answered."""
    before = len(it.engine.book.decisions)
    await it.alert(AlertAction.BEARISH)
    return " ".join(f"{each.fate} {each.gate} {each.reason}" for each in it.engine.book.decisions[before:])


def supervisor_of(it: Trading) -> FeedSupervisor:
    return FeedSupervisor(
        it.feed,
        it.watch,
        session=lambda: calendar().session(MARKET, it.clock.now().date()),
        market_now=it.clock.now,
        notifier=it.notifier,
        patience=Patience(reconnect_after_s=STALE_S, ask_after_s=0.5, answer_s=0.5),
    )


def test_s3_a_feed_that_falls_silent_freezes_entries_and_is_made_anew(tmp_path: Path) -> None:
    async def story(sim: RunningSimulator, it: Trading) -> None:
        supervisor = supervisor_of(it)
        await supervisor.check()
        sim.fault("feed_silent", seconds=60)
        await it.second()
        connections = it.feed.connections

        froze = False
        give_up = time.monotonic() + 20
        while it.feed.connections == connections and time.monotonic() < give_up:
            await it.second()
            froze = froze or not it.engine.book.feed_alive
            await supervisor.check()
            await asyncio.sleep(0.02)
        assert froze
        assert it.feed.connections > connections and supervisor.stalls >= 1
        assert any("entries are frozen, stops at the broker stay" in text for text in it.alarms)
        assert_protected(sim, LOT)
        assert_books_agree(sim, it)
        await it.until(lambda: it.engine.book.feed_alive, "quotes again")

    tell(tmp_path, story, stale_after_s=STALE_S)


def test_s3_no_entry_is_made_while_the_feed_is_silent(tmp_path: Path) -> None:
    async def story(sim: RunningSimulator, it: Trading) -> None:
        await it.alert(AlertAction.TARGET_FLAT)
        await it.until(lambda: not it.positions(), "being flat")
        sim.fault("feed_silent", seconds=60)
        await it.second()
        await it.for_real(lambda: (it.watch.age_s or 0) > STALE_S, "a stale feed")
        await it.second()
        assert not it.engine.book.feed_alive
        assert "stale_feed" in await refused_entry(it)
        assert net_at_broker(sim) == {}

    tell(tmp_path, story, stale_after_s=STALE_S)


@pytest.mark.parametrize("stream", ["feed", "updates"])
def test_s4_a_line_that_is_half_open_is_left_and_made_anew(tmp_path: Path, stream: str) -> None:
    async def story(sim: RunningSimulator, it: Trading) -> None:
        sim.fault("feed_half_open", match=stream, seconds=60)
        await it.second()
        lost: list[str] = []
        await it.for_real(lambda: _lost(it, stream, lost), "the end of the dead line")
        await it.for_real(lambda: it.watch.connected and it.watch.orders_connected, "a new line")
        await it.pass_s(3)
        assert_protected(sim, LOT)
        assert_books_agree(sim, it)
        assert it.engine.book.feed_alive

    tell(tmp_path, story)


def _lost(it: Trading, stream: str, seen: list[str]) -> bool:
    reason = it.watch.reason if stream == "feed" else it.watch.orders_reason
    if reason:
        seen.append(reason)
    return bool(seen)


@pytest.mark.parametrize("kind", ["feed_half_open", "feed_silent", "disconnect"])
def test_s1_s4_what_trades_while_the_order_socket_is_dead_is_read_from_the_book(tmp_path: Path, kind: str) -> None:
    async def story(sim: RunningSimulator, it: Trading) -> None:
        sim.fault(kind, match="updates", seconds=60)
        await it.second()
        await it.alert(AlertAction.TARGET_FLAT)
        await it.until(lambda: not net_at_broker(sim), "the exit at the broker", seconds=30)
        await it.until(lambda: not it.positions(), "the exit in our book", seconds=30)
        assert_flat(sim, it)
        await it.alert(AlertAction.BEARISH)
        await it.pass_s(40)
        assert_books_agree(sim, it)
        assert_protected(sim, LOT)

    tell(tmp_path, story)


@pytest.mark.parametrize("code", [805, 806, 807, 808, 809, 810])
def test_s5_a_goodbye_with_a_reason_freezes_entries_and_reaches_whom_it_concerns(tmp_path: Path, code: int) -> None:
    async def story(sim: RunningSimulator, it: Trading) -> None:
        closed: list[int] = []
        supervisor = supervisor_of(it)

        def on_disconnect(number: int, reason: str) -> None:
            closed.append(number)
            supervisor.take_disconnect(number, reason)

        it.feed._on_disconnect = on_disconnect
        sim.fault("disconnect", match="feed", reason=str(code))
        await it.second()
        await it.for_real(lambda: closed and it.watch.connected, "the goodbye and a new line")
        assert closed == [code]
        is_token = code in (807, 808, 809)
        assert (it.refused != []) is is_token
        assert any(str(code) in text for text in it.alarms) is not is_token
        await it.second()
        assert it.engine.book.feed_alive
        assert_protected(sim, LOT)
        assert_books_agree(sim, it)

    tell(tmp_path, story)


def test_s5_a_feed_whose_upgrade_is_refused_comes_back_later(tmp_path: Path) -> None:
    async def story(sim: RunningSimulator, it: Trading) -> None:
        before = it.feed.connections
        sim.fault("feed_refused_429", match="feed", count=2)
        sim.fault("disconnect", match="feed", reason="805")
        await it.second()
        await it.for_real(lambda: it.feed.connections > before, "a new line")
        assert [each["kind"] for each in sim.fired()].count("feed_refused_429") == 2
        await it.second()
        assert_protected(sim, LOT)
        assert_books_agree(sim, it)

    tell(tmp_path, story)


@pytest.mark.parametrize("of_index", [False, True], ids=["of_what_is_held", "of_the_index"])
@pytest.mark.parametrize("what", BAD_TICKS)
def test_s6_s7_a_bad_tick_moves_no_order_and_chooses_no_contract(tmp_path: Path, what: str, of_index: bool) -> None:
    async def story(sim: RunningSimulator, it: Trading) -> None:
        (position,) = it.positions()
        stop, orders = position.stop, len(our_orders(sim))
        struck = "13" if of_index else position.plan.instrument.security_id
        sim.fault("bad_ticks", what=what, security_id=struck, count=5)
        for _ in range(20):
            await it.second()
            assert len(our_orders(sim)) == orders
            assert Decimal(-3000) < it.engine.open_pnl() < Decimal(3000)
        assert len(sim.fired()) == 5
        (after,) = it.positions()
        assert (after.state, after.stop) == (PositionState.OPEN, stop)
        assert_protected(sim, LOT)
        await it.alert(AlertAction.BEARISH)
        await it.until(lambda: len(our_orders(sim)) == orders + 2 and is_protected(it), "the position turned round")
        (turned,) = it.positions()
        spot = Decimal(repr(sim.call(lambda: sim.simulator.board.spot("NIFTY"))))
        assert abs((turned.plan.instrument.strike or Decimal(0)) - spot) <= 50
        assert_books_agree(sim, it)

    tell(tmp_path, story)


def test_r7_a_token_that_ends_leaves_the_stop_where_it_is_and_the_exit_goes_with_the_next_one(tmp_path: Path) -> None:
    async def story(sim: RunningSimulator, it: Trading) -> None:
        sim.fault("token_expired")
        await it.second()
        await it.for_real(lambda: not it.watch.connected and not it.watch.orders_connected, "the end of both sockets")
        await it.alert(AlertAction.TARGET_FLAT)
        await it.pass_s(20)
        assert it.refused
        assert_protected(sim, LOT)
        assert not it.engine.book.feed_alive
        assert it.alarms
        token = sim.call(lambda: sim.simulator.tokens.mint(sim.client_id, "4321", pyotp.TOTP(SECRET).now()))
        assert not isinstance(token, str), token
        for each in (it.broker, it.feed, it.updates):
            each.renew_token(sim.token)
        await it.for_real(lambda: it.watch.connected and it.watch.orders_connected, "both sockets")
        await it.until(lambda: not net_at_broker(sim) and not it.positions(), "being flat")

    tell(tmp_path, story, token_kind=TokenKind.TOTP, pin="4321", totp_secret=SECRET)

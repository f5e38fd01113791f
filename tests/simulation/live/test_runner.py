"""The runner: one order, nothing before it is durable, faults that stay small."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.simulation.live.rig import DAY, NINE_THIRTY, Rig, rig
from workbench.core.engine import Decision, Engine
from workbench.core.messages import (
    AlertAction,
    AlertReceived,
    Operator,
    OperatorOrdered,
    OrderSubmitted,
    Outcome,
    SnapshotTaken,
    TimerBeat,
)
from workbench.core.order import OrderState, OrderTicket, Purpose
from workbench.core.ports import WriteReply
from workbench.core.position import Protection
from workbench.live.runner import NotDurableError
from workbench.storage.journal import JournalError
from workbench.storage.tape import TapeRecord, read_tape, tape_path


def alert(action: AlertAction = AlertAction.BULLISH, alert_id: str = "SCALP_ATM:1") -> AlertReceived:
    return AlertReceived(
        alert_id=alert_id,
        deployment="SCALP_ATM",
        action=action,
        symbol="NIFTY",
        received_at=NINE_THIRTY,
        fired_at=NINE_THIRTY,
    )


async def bought(it: Rig, order_id: str = "o1") -> OrderTicket:
    """Buy by an alert and fill the entry."""
    await it.quotes()
    await it.runner.put_alert(alert())
    await it.runner.drained()
    (entry,) = it.broker.of(Purpose.ENTRY)
    await it.fill(entry, order_id, "100.15")
    return entry


def test_an_alert_becomes_one_order_with_its_stop_at_the_broker(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            entry = await bought(it)
            assert entry.instrument.name == "NIFTY 16 JUN 15700 CALL"
            assert entry.quantity == 50
            (stop,) = it.broker.of(Purpose.STOP)
            assert stop.trigger_price == Decimal("85.15")
            (position,) = it.runner.engine.book.live_positions()
            assert position.protection is Protection.AT_BROKER
            assert position.target == Decimal("130.15")

    asyncio.run(run())


def test_twenty_identical_alerts_at_once_are_one_order(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            await it.quotes()
            answers = await asyncio.gather(*(it.runner.put_alert(alert()) for _ in range(20)))
            await it.runner.drained()
            assert sum(answer is not None for answer in answers) == 1
            assert len(it.broker.placed) == 1

    asyncio.run(run())


def test_the_same_alert_after_a_restart_is_known(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            await it.quotes()
            await it.runner.put_alert(alert())
        async with rig(tmp_path) as it:
            await it.quotes()
            assert await it.runner.put_alert(alert()) is None
            await it.runner.drained()
            assert it.broker.placed == []

    asyncio.run(run())


def test_an_order_is_on_the_disk_before_it_leaves(tmp_path: Path) -> None:
    """Fault P1 at its heart: what the broker sees is in the journal already, read by another connection."""
    seen: list[bool] = []

    async def run() -> None:
        async with rig(tmp_path) as it:

            def look() -> None:
                events = [event for entry in it.journal.read_day("practice", DAY) for event in entry.events]
                seen.append(any(isinstance(event, OrderSubmitted) for event in events))

            it.broker.before_place = look
            await it.quotes()
            await it.runner.put_alert(alert())
            await it.runner.drained()

    asyncio.run(run())
    assert seen == [True]


def test_p1_a_restart_knows_position_stop_and_target_and_sends_nothing_again(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            await bought(it)
            before = it.runner.engine.book.live_positions()
            trades = it.runner.ledger.trades
        async with rig(tmp_path) as it:
            assert it.runner.engine.book.live_positions() == before
            assert it.runner.ledger.trades == trades
            await it.quotes()
            await it.beats(3)
            assert it.broker.of(Purpose.ENTRY) == []

    asyncio.run(run())


def test_quotes_and_idle_beats_go_to_the_tape_and_not_to_the_journal(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            await it.quotes()
            await it.beats(5)
            journalled = it.journal.read_day("practice", DAY)
            assert not [entry for entry in journalled if isinstance(entry.message, TimerBeat) and not entry.events]
            tape = [
                item
                for item in read_tape(tape_path(tmp_path / "tape", "practice", DAY))
                if isinstance(item, TapeRecord)
            ]
            assert sum(item.quote is None for item in tape) >= 4
            assert any(item.quote is not None for item in tape)
            seqs = sorted([item.seq for item in tape] + [entry.seq for entry in journalled])
            assert seqs == list(range(seqs[0], seqs[0] + len(seqs)))

    asyncio.run(run())


def test_a_look_that_finds_all_as_it_was_is_not_journalled(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            look = SnapshotTaken(taken_at=it.clock.now(), available_funds=Decimal(1_000_000))
            await it.runner.put(look)
            journalled = len(it.journal.read_day("practice", DAY))
            for _ in range(5):
                await it.runner.put(look)
            assert len(it.journal.read_day("practice", DAY)) == journalled

    asyncio.run(run())


def test_r1_an_unanswered_order_is_unknown_and_is_not_sent_again(tmp_path: Path) -> None:
    def silent(ticket: OrderTicket) -> WriteReply:
        return WriteReply(outcome=Outcome.UNKNOWN, reason="no answer in 5 s")

    async def run() -> None:
        async with rig(tmp_path) as it:
            it.broker.on_place = silent
            await it.quotes()
            await it.runner.put_alert(alert())
            await it.runner.drained()
            await it.beats(5)
            assert len(it.broker.placed) == 1
            (order,) = it.runner.engine.book.orders.values()
            assert order.state is OrderState.UNKNOWN

    asyncio.run(run())


def test_a_lane_that_breaks_leaves_the_order_unknown(tmp_path: Path) -> None:
    def broken(ticket: OrderTicket) -> WriteReply:
        raise ZeroDivisionError("a bug in an adapter")

    async def run() -> None:
        async with rig(tmp_path) as it:
            it.broker.on_place = broken
            await it.quotes()
            await it.runner.put_alert(alert())
            await it.runner.drained()
            (order,) = it.runner.engine.book.orders.values()
            assert order.state is OrderState.UNKNOWN
            assert "ZeroDivisionError" in order.reason

    asyncio.run(run())


def test_s8_a_slow_entry_does_not_hold_an_exit_up(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            entry = await bought(it)
            it.broker.on_place = lambda ticket: _slow(ticket, entry)
            it.clock.pass_s(1)
            started = time.monotonic()
            await it.runner.put(OperatorOrdered(command=Operator.FLATTEN))
            async with asyncio.timeout(5):
                while not it.broker.changes and not it.broker.of(Purpose.EXIT):
                    await asyncio.sleep(0.001)
            assert time.monotonic() - started < 0.2
            await it.runner.drained()

    def _slow(ticket: OrderTicket, entry: OrderTicket) -> WriteReply:
        if ticket.purpose is Purpose.ENTRY:
            time.sleep(0.3)
        return WriteReply(outcome=Outcome.ACCEPTED, order_id="o9", state=OrderState.WORKING)

    asyncio.run(run())


class Brittle(Engine):
    """An engine whose beat breaks once, in the middle of a turn."""

    breaks = 0

    def handle(self, message: Any, *, now: Any) -> Decision:
        decision = super().handle(message, now=now)
        if isinstance(message, OperatorOrdered) and message.command is Operator.HALT and Brittle.breaks:
            Brittle.breaks -= 1
            raise RuntimeError("a bug in the engine")
        return decision


def test_p12_a_fault_of_the_engine_freezes_the_account_and_keeps_its_book(tmp_path: Path) -> None:
    async def run() -> None:
        Brittle.breaks = 1
        async with rig(tmp_path, make_engine=Brittle) as it:
            await bought(it)
            before = it.runner.engine.book.live_positions()
            await it.runner.put(OperatorOrdered(command=Operator.HALT))
            await it.runner.drained()
            book = it.runner.engine.book
            assert "a bug in the engine" in book.frozen[0]
            assert not book.halted, "the half turn that broke never happened"
            assert [item.position_id for item in book.live_positions()] == [item.position_id for item in before]
            assert [item.protection for item in book.live_positions()] == [Protection.AT_BROKER]
            assert any(notice.level == "alarm" for notice in it.notifier.notices)
            assert it.broker.snapshots >= 1
        async with rig(tmp_path) as it:
            assert it.runner.engine.book.frozen, "still frozen after a restart"

    asyncio.run(run())


def test_a_dry_run_journals_the_exact_order_and_sends_nothing(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path, dry_run=True) as it:
            await it.quotes()
            await it.runner.put_alert(alert())
            await it.runner.drained()
            assert it.broker.placed == []
            events = [event for entry in it.journal.read_day("practice", DAY) for event in entry.events]
            (submitted,) = [event for event in events if isinstance(event, OrderSubmitted)]
            assert submitted.ticket.quantity == 50
            assert it.runner.engine.book.live_positions() == []

    asyncio.run(run())


def test_without_a_journal_nothing_is_done_and_the_sender_is_told(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            await it.quotes()

            def full(*_: object) -> None:
                raise JournalError("database or disk is full")

            it.journal.append = full  # type: ignore[method-assign, assignment]
            with pytest.raises(NotDurableError, match="full"):
                await it.runner.put_alert(alert())
            await asyncio.sleep(0.01)
            assert it.broker.placed == []
            assert it.runner.stopped_because
            assert it.journal.claim("SCALP_ATM:1"), "the sender may try again"

    asyncio.run(run())


def test_a_closed_trade_has_the_same_pnl_in_book_and_ledger(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            await bought(it)
            it.clock.pass_s(5)
            (stop,) = it.broker.of(Purpose.STOP)
            await it.fill(stop, "o2", "85.00")
            (trade,) = it.runner.ledger.trades
            assert trade.net == it.runner.engine.book.realised() == it.runner.ledger.net
            assert trade.net < Decimal(-700)
            assert it.clock.now() - NINE_THIRTY == timedelta(seconds=5)

    asyncio.run(run())


def test_what_cannot_be_kept_ends_the_engine_loudly_and_answers_its_sender(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: object) -> None:
        raise KeyError("ledger")

    async def run() -> None:
        async with rig(tmp_path) as it:
            await bought(it)
            monkeypatch.setattr(it.runner.ledger, "fold", broken)
            with pytest.raises(NotDurableError):
                await it.runner.put(OperatorOrdered(command=Operator.FLATTEN))
            assert it.runner.stopped.is_set()
            assert it.notifier.notices[-1].level == "alarm"
            assert not it.broker.of(Purpose.EXIT)

    asyncio.run(run())


def test_a_tape_that_cannot_be_written_is_an_alarm_and_trading_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    async def run() -> None:
        async with rig(tmp_path) as it:
            monkeypatch.setattr(it.runner.tape, "write", full)
            await bought(it)
            assert len(it.broker.of(Purpose.STOP)) == 1
            told = [item for item in it.notifier.notices if "not recorded" in item.text]
            assert [item.level for item in told] == ["alarm"]

    asyncio.run(run())

"""When a live engine whose parent died takes its account for flat, while a leg may rest in a list of its own."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from tests.unit.core.test_engine_supers import SuperStand
from workbench.bootstrap.engine_process import orphan
from workbench.core.deployment import Mode
from workbench.core.messages import AlertAction, SnapshotTaken
from workbench.core.order import OrderState


def test_a_live_engine_does_not_end_before_the_list_of_super_orders_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orphan, "LOOK_EVERY_S", 0.0)
    stand = SuperStand()
    stand.alert(AlertAction.BULLISH)
    stand.answer(stand.ticket("E"))
    stand.update(stand.ticket("E"), state=OrderState.CANCELLED)
    assert stand.book.has_super_orders and not stand.book.live_positions()
    unread = SnapshotTaken(taken_at=stand.now, with_legs=True, legs_unread=True)
    looks = [unread, SnapshotTaken(taken_at=stand.now, with_legs=True)]
    asked: list[bool] = []
    said: list[str] = []

    async def read(*, with_legs: bool) -> SnapshotTaken:
        asked.append(with_legs)
        return looks.pop(0)

    async def outlive() -> None:
        gone, ended = asyncio.Event(), asyncio.Event()
        gone.set()
        runner: Any = SimpleNamespace(
            engine=stand.engine,
            lanes=SimpleNamespace(read=read),
            enqueue=lambda _: None,
            notifier=SimpleNamespace(send=lambda _, text: said.append(text)),
        )
        watch: Any = SimpleNamespace(hold=lambda *_: None)
        task = asyncio.create_task(orphan.outlive(gone, runner, watch, mode=Mode.LIVE, end=ended.set))
        await asyncio.wait_for(ended.wait(), 20)
        task.cancel()

    asyncio.run(outlive())
    assert asked == [True, True]
    assert "the list of super orders could not be read" in said[0]
    assert "nothing is held and nothing rests" in said[-1]

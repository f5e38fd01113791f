"""The start of the engine's process: what the broker does not tell is not taken from the journal instead."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.simulation.live.rig import DAY, Rig, rig
from workbench.bootstrap.engine_process import EngineProcess
from workbench.config import Config
from workbench.core.errors import BrokerUnavailable
from workbench.core.messages import SnapshotTaken


class Door:
    """Opens no day."""

    async def open(self, _: date, *, fresh_listings: bool) -> None:
        assert not fresh_listings


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[EngineProcess]:
    """A process whose parts a test puts in itself."""
    for name in ("_build_system", "_follow_the_latch"):
        monkeypatch.setattr(EngineProcess, name, lambda _: None)
    yield EngineProcess(Config(), tmp_path)


async def reconciled(process: EngineProcess, it: Rig, *, known: bool) -> str:
    told = SnapshotTaken(taken_at=it.clock.now(), known=known, reason="" if known else "no answer")
    it.broker.snapshot = lambda: told  # type: ignore[method-assign]
    broker = SimpleNamespace(warm=lambda: True)
    for name, part in (("runner", it.runner), ("clock", it.clock), ("day", Door()), ("broker", broker)):
        setattr(process, name, part)
    return await process._reconcile()


def test_a_restart_does_not_take_an_old_look_for_the_brokers_answer(bare: EngineProcess, tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            assert "agree" in await reconciled(bare, it, known=True)
        async with rig(tmp_path) as it:
            assert it.runner.engine.book.last_reconciled is not None, f"the journal of {DAY} tells of a look"
            with pytest.raises(BrokerUnavailable, match="unknown is not flat"):
                await reconciled(bare, it, known=False)

    asyncio.run(run())

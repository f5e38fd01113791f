"""Over the night: the day is exported, and the next one opens in engine and mirror with fresh listings."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.simulation.paper.running import Dhan, Up, deploy, playing_dhan
from workbench.reference import calendar
from workbench.simulator.market import CLOCK_SEGMENT

pytestmark = pytest.mark.timeout(300)


def stand_near_the_close(dhan: Dhan, seconds: int) -> None:
    """Move near the close and stand there: a slow start must not miss the day's end."""
    hold(dhan, True)
    session = dhan.simulator.simulator.session
    length = int((session.close - session.open).total_seconds())
    dhan.simulator.advance(length - seconds - dhan.simulator.call(lambda: dhan.simulator.simulator.board.second))


def hold(dhan: Dhan, halted: bool) -> None:
    conductor = dhan.simulator.application.conductor
    assert conductor is not None
    dhan.simulator.call(lambda: setattr(conductor, "halted", halted))


def test_a_paper_day_ends_with_its_export_and_the_next_one_trades(tmp_path: Path) -> None:
    with playing_dhan(closing_s=3.0) as dhan:
        first = dhan.simulator.simulator.day
        following = calendar().next_session(CLOCK_SEGMENT, first).date
        stand_near_the_close(dhan, 60)
        deploy(tmp_path / "data", "paper")
        up = Up(tmp_path, dhan.proxy.url, "--mode", "paper")
        try:
            up.wait("the engine", lambda: up.get("/health")["ready"])
            hold(dhan, False)
            account = up.get("/health")["account"]
            up.wait("the export", (up.data / "reports" / str(first) / "day.json").is_file, 90)
            up.wait("the next day", lambda: up.get("/api/status")["phase"]["day"] == str(following), 60)
            up.wait("an open market", lambda: up.get("/health")["market_open"], 60)
            up.wait("a mirror that fills", lambda: not up.get("/simulator/clock", up.simulator_port)["stale"], 60)
            assert up.get("/simulator/clock", up.simulator_port)["day"] == str(following)
            up.wait("a live feed", lambda: up.get("/api/status")["feed"]["alive"])
            assert up.enter()["expiry"] >= str(following)
            assert up.get("/health")["account"] == account
            assert dhan.orders() == []
        finally:
            assert up.stop() == []

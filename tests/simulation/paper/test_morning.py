"""A live engine that runs on over the night, while Dhan forgets the address that orders come from (rows R8, P15)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.simulation.paper.running import SENTENCE, Up, deploy, playing_dhan
from tests.simulation.paper.test_two_days import hold, stand_near_the_close
from workbench.live.supervise import read_latch
from workbench.reference import calendar
from workbench.simulator.market import CLOCK_SEGMENT

pytestmark = pytest.mark.timeout(300)


def test_r8_an_address_that_is_lost_over_night_halts_the_next_morning_until_a_person_resumes(tmp_path: Path) -> None:
    with playing_dhan(closing_s=3.0) as dhan:
        following = calendar().next_session(CLOCK_SEGMENT, dhan.simulator.simulator.day).date
        stand_near_the_close(dhan, 30)
        deploy(tmp_path / "data", "live")
        up = Up(tmp_path, dhan.proxy.url, "--mode", "live", "--confirm", SENTENCE)
        try:
            up.wait("the engine", lambda: up.get("/health")["ready"])
            assert not up.get("/api/status")["halted"]
            dhan.simulator.call(lambda: dhan.simulator.simulator.addresses.use(None))
            hold(dhan, False)
            up.wait("a halt", lambda: up.get("/api/status")["halted"], 90)
            assert up.get("/api/status")["phase"]["day"] == str(following)
            reason = read_latch(up.data / "journal")
            assert reason is not None and f"the doctor of {following}: registered address" in reason
            up.wait("an open market", lambda: up.get("/health")["market_open"], 60)
            up.wait("a spot price", lambda: up.get("/live/spot-price"))
            status, answer = up.buy()
            assert (status, answer["fate"]) == (200, "denied"), answer
            assert up.workbench("resume").returncode == 0
            up.wait("entries again", lambda: not up.get("/api/status")["halted"])
            assert read_latch(up.data / "journal") is None
        finally:
            assert up.stop() == []
        assert dhan.orders() == []

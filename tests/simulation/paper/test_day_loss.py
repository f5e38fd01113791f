"""Limits of a live start: the day's loss at Dhan, and a deployment's own limits from `workbench.yaml`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.simulation.paper.running import NAME, SENTENCE, Dhan, deploy, playing_dhan
from tests.simulation.paper.test_live import SENDING, engine, live
from workbench.live.supervise import REFUSED

pytestmark = pytest.mark.timeout(300)


def rule(dhan: Dhan) -> dict[str, Any]:
    shown: tuple[int, dict[str, Any]] = dhan.simulator.call(dhan.simulator.simulator.pnl_exit.shown)
    return shown[1]


def test_r25_a_live_day_opens_with_the_loss_limit_at_dhan_and_with_the_deployments_own(tmp_path: Path) -> None:
    own = f"risk:\n  max_daily_loss: 5000\n  deployments:\n    {NAME}: {{max_trades_per_day: 0}}\n"
    with playing_dhan() as dhan, live(dhan, tmp_path, SENDING + own) as up:
        told = up.wait(
            "the loss limit at Dhan", lambda: rule(dhan) if rule(dhan)["pnlExitStatus"] == "ACTIVE" else None
        )
        assert float(told["loss"]) == 6000
        _, answer = up.buy()
        assert (answer["fate"], answer["gate"]) == ("denied", "trades_a_day"), answer
        assert dhan.orders() == []


def test_a_dry_run_sets_nothing_at_dhan(tmp_path: Path) -> None:
    with playing_dhan() as dhan, live(dhan, tmp_path) as up:
        up.buy()
        up.wait("its end", lambda: [row for row in up.get("/live/orders") if "dry run" in row["reason"]])
        assert rule(dhan)["pnlExitStatus"] != "ACTIVE"
        assert [line for line in dhan.proxy.writes() if "pnlExit" in line] == []


def test_limits_of_a_deployment_that_does_not_exist_stop_the_start(tmp_path: Path) -> None:
    deploy(tmp_path / "data", "live")
    (tmp_path / "workbench.yaml").write_text("risk:\n  deployments:\n    SCALP_ATN: {}\n", encoding="utf-8")
    with playing_dhan() as dhan:
        done = engine(tmp_path, dhan.proxy.url, "--confirm", SENTENCE)
    assert done.returncode == REFUSED
    assert f"did you mean '{NAME}'" in done.stdout

"""The recording that the page is tested on has the very keys that the real engine gives today."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from apps.control import view
from tests.simulation.live.rig import rig
from workbench.core.messages import AlertAction, AlertReceived
from workbench.core.order import Purpose
from workbench.live import status as views
from workbench.live.preview import preview

RECORDED = Path(__file__).resolve().parents[2] / "browser" / "recorded.json"


def shape(value: Any) -> Any:
    """Keys all the way down, without values."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    return [shape(value[0])] if isinstance(value, list) and value and isinstance(value[0], dict) else None


async def hold_a_position(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    async with rig(folder) as it:
        await it.quotes()
        now = it.clock.now()
        alert = AlertReceived(
            alert_id="SCALP_ATM:1",
            deployment="SCALP_ATM",
            action=AlertAction.BULLISH,
            symbol="NIFTY",
            received_at=now,
            fired_at=now,
        )
        await it.runner.put_alert(alert)
        await it.quotes()
        (entry,) = it.broker.of(Purpose.ENTRY)
        await it.fill(entry, "o1", "100.15")
        await it.quotes()
        deployment = it.system.runner.engine.config.deployments[0]
        return views.status(it.system), preview(it.system, deployment, AlertAction.CLOSE_CALL)


def test_the_recording_has_the_shape_of_the_real_status(tmp_path: Path) -> None:
    real, closing = asyncio.run(hold_a_position(tmp_path))
    recorded = json.loads(RECORDED.read_text(encoding="utf-8"))
    assert shape(real) == shape(recorded["status"])
    assert shape(closing) == shape(recorded["previews"]["SELL_CE"])
    (card,) = view.screen(real).positions
    assert card.stop.startswith("85.15 · at Dhan")

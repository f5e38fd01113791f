"""A hedged sale through the real processes: chain and margin are asked over the account's own wires."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.simulation.paper import running
from tests.simulation.paper.running import playing_dhan
from tests.simulation.paper.test_live import SENDING, live
from workbench.core.plan import plan_from_mapping

pytestmark = pytest.mark.timeout(300)

WIDE = "risk: {max_premium: 100000, max_open_premium: 10000000, risk_per_trade_pct: 100, max_daily_loss: 1000000}\n"
HEDGED = plan_from_mapping(
    {"name": "hedged", "side": "SELL", "strike": "OTM1", "hedge": {"premium_ratio": "30%"}, "exits": {"stop": "90%"}}
)


def test_an_alert_sells_with_its_hedge_in_the_real_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Slow, so that a loaded machine has real seconds for what has market seconds to come.
    monkeypatch.setattr(running, "SPEED", 2.0)
    with playing_dhan() as dhan, live(dhan, tmp_path, SENDING + WIDE, plan=HEDGED) as up:
        status, answer = up.buy()
        assert (status, answer["status"]) == (200, "accepted"), answer

        def both() -> list[dict[str, Any]]:
            rows = [row for row in up.positions() if row["protection"] == "at_broker"]
            return rows if len({row["side"] for row in up.positions()}) == 2 and rows else []

        up.wait("hedge and sold option", both)
        asked = Counter(line.removeprefix("POST /v2") for line in dhan.proxy.writes())
        assert asked["/optionchain"] == 1, asked
        assert asked["/margincalculator/multi"] == 2, "before the hedge is bought, and before the option is sold"
        entries = [row for row in dhan.orders() if row["correlationId"].endswith("E")]
        assert [row["transactionType"] for row in entries] == ["BUY", "SELL"]
        assert [row["orderStatus"] for row in entries] == ["TRADED", "TRADED"]
        assert up.flat()[0] == 200
        up.wait("being flat", lambda: not [row for row in dhan.positions() if row["netQty"]])

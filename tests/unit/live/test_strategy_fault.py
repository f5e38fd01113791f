"""A strategy that raises freezes itself and nobody else (P12)."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pandas as pd
import pytest

from tests.unit.live.test_signal_source import ALL, DAY, EMA, KEY, Past, at
from workbench.core.bars import Quote
from workbench.core.deployment import Deployment
from workbench.core.messages import DeploymentChecked, Message, SignalRaised
from workbench.live.signal_source import SignalSource
from workbench.reference import calendar
from workbench.strategies.sma_cross import SmaCross

SMA = Deployment(name="SMA", symbol="NIFTY", plan=EMA.plan, strategy="sma_cross", interval="5m")


def test_p12_a_strategy_that_raises_is_disarmed_and_the_other_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    sound, told = SmaCross.signals, list[Message]()

    def raises_later(self: SmaCross, bars: Any) -> Any:
        if bars.index[-1] >= pd.Timestamp(at(9, 25)):
            raise ZeroDivisionError("a fault of the user's own")
        return sound(self, bars)

    monkeypatch.setattr(SmaCross, "signals", raises_later)

    async def run() -> None:
        source = SignalSource(
            deployments=(EMA, SMA), key_of=lambda _: KEY, calendar=calendar(), history=Past(), enqueue=told.append
        )
        source.start(asyncio.get_running_loop())
        now: datetime = at(9, 14, 30)
        source.open_day(DAY, now)
        await source.drained()
        while now < at(9, 40, 20):
            now += timedelta(seconds=20)
            minute = pd.Timestamp(now.replace(second=0))
            if minute in ALL.index:
                price = Decimal(str(round(float(ALL["close"][minute]), 2)))
                source.on_quote(Quote(KEY, now, price, price, price))
            source.on_beat(now)
            await source.drained()
        source.close()

    asyncio.run(run())
    raised = [(item.deployment, item.bar_time) for item in told if isinstance(item, SignalRaised)]
    assert [time for name, time in raised if name == "EMA"] == [at(9, 15 + 5 * number) for number in range(5)]
    assert [time for name, time in raised if name == "SMA"] == [at(9, 15), at(9, 20)]
    checks = [item for item in told if isinstance(item, DeploymentChecked) and not item.armed]
    assert [(item.deployment, "ZeroDivisionError" in item.reason) for item in checks] == [("SMA", True)]

"""The practice broker as the processes see it: where it answers, who they are there, what time it is."""

from __future__ import annotations

import json
import sys
import time
import urllib.request
from dataclasses import dataclass
from typing import Any

from workbench.config import Config
from workbench.core.deployment import Limits

RUN_VARIABLE = "WORKBENCH_PRACTICE_RUN"
"""Names one run of the practice market: an engine that is started again within it carries its day on."""

SIMULATOR_PATIENCE_S = 30.0
"""Real seconds to wait for the practice market to answer."""

BACKOFF_S = (0.2, 2.0)
"""First and longest wait before a socket of the practice market is opened again."""

PRACTICE_CLIENT = "1000000001"
PRACTICE_TOKEN = "practice-token"  # noqa: S105 - the simulator's, no secret


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the practice broker answers."""

    root: str

    @classmethod
    def of(cls, port: int) -> Addresses:
        """Addresses of a simulator on this machine."""
        return cls(f"127.0.0.1:{port}")

    @property
    def rest(self) -> str:
        """REST root."""
        return f"http://{self.root}/v2"

    def http(self, path: str) -> str:
        """Another HTTP address."""
        return f"http://{self.root}{path}"

    def ws(self, path: str) -> str:
        """A socket's address."""
        return f"ws://{self.root}{path}"

    def clock_facts(self) -> dict[str, Any]:
        """Ask the simulator for its clock; both are started together, so it may still be making its market."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        give_up = time.monotonic() + SIMULATOR_PATIENCE_S
        while True:
            try:
                with opener.open(self.http("/simulator/clock"), timeout=5) as reply:
                    body: dict[str, Any] = json.loads(reply.read())
                return body
            except OSError:
                if time.monotonic() > give_up:
                    raise
                time.sleep(0.05)


def limits_of(config: Config) -> Limits:
    """Turn the sections risk and trading of ``workbench.yaml`` into the account's limits."""
    risk, trading = config.risk, config.trading
    return Limits(
        max_trades_per_day=risk.max_trades_per_day,
        max_daily_loss=risk.max_daily_loss,
        risk_per_trade_pct=risk.risk_per_trade_pct,
        capital=risk.capital,
        max_alert_age_s=risk.max_alert_age_s,
        min_premium=risk.min_premium,
        max_premium=risk.max_premium,
        no_entry_before=trading.no_entry_before,
        no_entry_after=trading.no_entry_after,
        square_off_at=trading.square_off_at,
    )


def show(line: str) -> None:
    """Print one line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()

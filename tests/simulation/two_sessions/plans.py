"""The plans of both stories: one deployment for each way to leave, each named after it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

LATER: Mapping[str, Any] = {"expiry": "next"}
WIDE: Mapping[str, Any] = {"stop": "80%"}
KEPT: Mapping[str, Any] = {**LATER, "product": "MARGIN", "overnight": "keep_winners"}

PLANS: Mapping[str, Mapping[str, Any]] = {
    "STOP": {**LATER, "exits": {"stop": 10, "target": 200}},
    "DISASTER": {"strike": "ITM1", "exits": {"underlying": {"stop": 500}}},
    "TARGET": {**LATER, "exits": {"stop": "40%", "target": 10}},
    "TRAIL": {**LATER, "exits": {"stop": "30%", "trail": {"distance": 8}}},
    "LOCK": {**LATER, "exits": {"stop": "30%", "lock": {"after": "2%", "keep": "50%"}}},
    "PARTS": {**LATER, "lots": 3, "exits": {"stop": "40%", "target": 40, "scale_out": [{"at": 8, "lots": 1}]}},
    "SPOT_TARGET": {**LATER, "exits": {"underlying": {"target": 40, "stop": 200}}},
    "SPOT_STOP": {**LATER, "exits": {"underlying": {"stop": 30}}},
    "TOUCH": {**LATER, "strike": "ITM1", "exits": {"underlying": {"strike": "touch"}}},
    "HOUR_STRIKE": {**LATER, "strike": "ITM1", "exits": {"underlying": {"strike": "hourly_close"}}},
    "HOUR": {**LATER, "exits": {"underlying": {"hourly_close": 20}}},
    "CLOCK": {**LATER, "exits": {**WIDE, "time": "10:50"}},
    "HAND": {**LATER, "exits": WIDE},
    "HEDGED": {
        **LATER, "side": "SELL", "strike": "OTM1", "hedge": {"premium_ratio": 0.30}, "exits": WIDE,
        "combined": {"target": "10%"},
    },
    "ATR": {
        **LATER, "on_opposite": "ignore", "no_entry_before": "11:00", "no_entry_after": "12:59",
        "exits": {"underlying": {"stop": {"atr": {"length": 14, "factor": 0.5}}}},
    },
    "EVENING": {**LATER, "exits": WIDE},
    "TURN": {**LATER, "exits": WIDE},
    "WINNER": {**KEPT, "exits": {"stop": "25%"}},
    "WINNER_TOO": {**KEPT, "exits": {"stop": "40%", "trail": {"distance": "10%"}}},
    "LOSER": {**KEPT, "exits": WIDE},
    "STRADDLE": {
        **LATER,
        "legs": [
            {"side": "sell", "right": "CE", "strike": "ATM", "exits": {"stop": "60%"}},
            {"side": "sell", "right": "PE", "strike": "ATM", "exits": {"stop": "60%"}},
        ],
        "combined": {"stop": "3%"}, "on_opposite": "ignore",
    },
}  # fmt: skip

STRATEGIES: Mapping[str, tuple[str, Mapping[str, int]]] = {"ATR": ("ema_cross", {"fast": 2, "slow": 6})}

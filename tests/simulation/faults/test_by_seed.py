"""Several trades with several faults at once, drawn by seed: whatever meets, the two books end alike."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any

import pytest

from tests.simulation.faults.books import assert_books_agree, assert_flat, net_at_broker
from tests.simulation.faults.rig import ANSWER_S, Trading, playing_dhan, trading
from workbench.core.messages import AlertAction
from workbench.testing.simulator import RunningSimulator

MATCHES = ("POST /orders", "PUT /orders", "DELETE /orders", "GET /orders", "GET /positions", "GET /trades", "GET")
AT_REQUESTS: tuple[dict[str, Any], ...] = (
    {"kind": "timeout_after_accept", "seconds": ANSWER_S + 0.3},
    {"kind": "lost_reply"},
    {"kind": "reset_before"},
    {"kind": "http_429"},
    {"kind": "http_429", "after": True},
    {"kind": "http_500"},
    {"kind": "http_500", "after": True},
    {"kind": "http_503"},
    {"kind": "http_504", "after": True},
    {"kind": "html_body"},
    {"kind": "html_body", "after": True},
    {"kind": "truncated_body"},
    {"kind": "empty_202"},
)
ELSEWHERE: tuple[dict[str, Any], ...] = (
    {"kind": "reject"},
    {"kind": "reject_after_ack"},
    {"kind": "stuck_in_transit", "seconds": 7},
    {"kind": "lagging_lookup", "seconds": 0.5, "book": True},
    {"kind": "updates_dropped", "count": 4},
    {"kind": "updates_doubled", "count": 4},
    {"kind": "updates_delayed", "count": 2, "seconds": 0.1},
    {"kind": "updates_reordered", "seconds": 0.1},
    {"kind": "disconnect", "match": "updates"},
    {"kind": "disconnect", "match": "feed", "reason": "805"},
    {"kind": "bad_ticks", "what": "times_100", "count": 5},
)
ACTIONS = (AlertAction.BULLISH, AlertAction.BEARISH, AlertAction.TARGET_FLAT)


def draw(dice: random.Random) -> dict[str, Any]:
    """Draw one fault; writes are struck more often than reads."""
    if dice.random() < 0.4:
        return dict(dice.choice(ELSEWHERE))
    match = dice.choice((*MATCHES[:3], *MATCHES[:3], *MATCHES))
    return {**dice.choice(AT_REQUESTS), "match": match, "skip": dice.choice((0, 0, 1, 2))}


async def day(sim: RunningSimulator, it: Trading, dice: random.Random) -> list[dict[str, Any]]:
    """Live through some trades with faults, and be flat at the end."""
    ordered = []
    for _ in range(4):
        for _ in range(dice.choice((1, 2, 3))):
            fault = draw(dice)
            ordered.append(fault)
            sim.fault(**fault)
        await it.alert(dice.choice(ACTIONS))
        await it.pass_s(dice.choice((1, 4, 20)))
    sim.clear_faults()
    await it.pass_s(60)
    assert_books_agree(sim, it)
    await it.flatten()
    await it.until(lambda: not net_at_broker(sim) and not it.positions(), "being flat")
    await it.pass_s(15)
    assert_flat(sim, it)
    return ordered


@pytest.mark.parametrize("seed", range(8))
def test_a_day_with_faults_of_any_kind_ends_with_equal_books(tmp_path: Path, seed: int) -> None:
    async def whole(sim: RunningSimulator) -> None:
        async with trading(sim, tmp_path) as it:
            await day(sim, it, random.Random(seed))

    with playing_dhan() as sim:
        asyncio.run(whole(sim))

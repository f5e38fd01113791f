"""What the page shows of an entry of several legs before the click."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from apps.control.buttons import button_card
from apps.control.client import Reply
from tests.simulation.live.rig import NIFTY, Rig, rig
from workbench.core.bars import Quote
from workbench.core.deployment import Deployment
from workbench.core.messages import AlertAction, QuoteReceived
from workbench.core.plan import plan_from_mapping
from workbench.live.preview import preview

STOP = {"stop": "40%"}
SPREAD = {
    "name": "spread",
    "legs": [
        {"side": "buy", "right": "CE", "strike": "OTM2"},
        {"side": "sell", "right": "CE", "strike": "ATM", "exits": STOP},
    ],
    "combined": {"stop": "50%", "target": 900},
    "on_opposite": "ignore",
}
STRADDLE = {
    "name": "straddle",
    "legs": [{"side": "sell", "right": right, "strike": "ATM", "exits": STOP} for right in ("CE", "PE")],
    "on_opposite": "ignore",
}
BY_ALERT = {"name": "given", "side": "SELL", "strike": "given", "exits": STOP}
BY_CHAIN = {"name": "sold", "side": "SELL", "strike": "OTM1", "hedge": {"premium_ratio": "30%"}, "exits": STOP}


async def quoted(it: Rig, prices: dict[int, str], spot: str = "15700") -> None:
    now, last = it.clock.now(), Decimal(spot)
    it.runner.enqueue(QuoteReceived(quote=Quote(NIFTY.key, now, last, last, last)))
    await it.runner.drained()
    for instrument in list(it.feed.subscribed.values()):
        price = prices.get(int(instrument.strike or 0))
        if price is not None:
            mid = Decimal(price)
            quote = Quote(instrument.key, now, mid, mid - 1, mid + 1, 5000, 5000)
            it.runner.enqueue(QuoteReceived(quote=quote))
    await it.runner.drained()


def shown(folder: Path, mapping: dict[str, Any], prices: dict[int, str]) -> dict[str, Any]:
    deployment = Deployment(name="LEGS", symbol="NIFTY", plan=plan_from_mapping(mapping), webhook_link="link")

    async def run() -> dict[str, Any]:
        async with rig(folder, deployments=(deployment,)) as it:
            await quoted(it, prices)
            body = preview(it.system, deployment, AlertAction.OPEN_CALL)
            assert it.broker.placed == []
            return body

    return asyncio.run(run())


def test_a_spread_shows_legs_premium_breakeven_and_worst_loss(tmp_path: Path) -> None:
    body = shown(tmp_path, SPREAD, {15700: "100", 15800: "60"})
    assert (body["possible"], body["reason"]) == (True, "")
    assert [(leg["side"], leg["instrument"], leg["units"], leg["price"], leg["stop"]) for leg in body["legs"]] == [
        ("BUY", "NIFTY 16 JUN 15800 CALL", 50, 61.0, None),
        ("SELL", "NIFTY 16 JUN 15700 CALL", 50, 99.0, 138.6),
    ]
    # Received (99 - 61) x 50; the strikes are 100 apart; worst is what lies between, less what was received.
    assert (body["premium"], body["breakevens"]) == (1900.0, [15738.0])
    assert body["worst_loss"] == pytest.approx(3100 + body["charges"])
    assert 80 < body["charges"] < 200
    assert (body["combined_stop"], body["combined_target"]) == (950.0, 900.0)
    card = button_card("BUY_CE", Reply(body))
    assert card.enabled
    text = " ".join(card.details)
    for word in ("BUY 50 units", "received **₹1,900.00**", "breakeven 15,738.00", "margin is read at the entry"):
        assert word in text, text


def test_a_loss_that_nothing_bounds_is_said_to_be_so(tmp_path: Path) -> None:
    body = shown(tmp_path, STRADDLE, {15700: "100"})
    assert body["worst_loss"] is None
    assert body["breakevens"] == [15502.0, 15898.0]
    assert "not bounded" in " ".join(button_card("BUY_CE", Reply(body)).details)


def test_legs_that_the_chain_decides_are_told_by_their_rules_and_can_be_entered(tmp_path: Path) -> None:
    body = shown(tmp_path, BY_CHAIN, {})
    assert (body["possible"], body["reason"], body["units"]) == (True, "", 100)
    assert body["chosen_at_entry"] == [
        "BUY 50 units of a PE, its premium nearest 30 % of the sold one's",
        "SELL 50 units of a PE, OTM1",
    ]
    card = button_card("BUY_CE", Reply(body))
    assert card.enabled
    assert "chosen from the chain at entry" in card.title
    text = " ".join(card.details)
    for word in ("SELL 50 units of a PE, OTM1", "are not known before"):
        assert word in text, text


def test_a_strike_by_price_is_told_by_its_price(tmp_path: Path) -> None:
    body = shown(tmp_path, {"name": "cheap", "strike": "premium_near 40", "exits": STOP}, {})
    assert body["chosen_at_entry"] == ["BUY 50 units of a CE, premium near 40"]


@pytest.mark.parametrize(
    ("mapping", "prices", "reason"),
    [
        (SPREAD, {15700: "100"}, "no quote of NIFTY 16 JUN 15800 CALL yet"),
        (BY_ALERT, {15700: "100"}, "chosen by the alert"),
        (BY_ALERT | {"hedge": {"premium_ratio": "30%"}}, {15700: "100"}, "chosen by the alert"),
    ],
)
def test_what_is_not_known_is_said_and_the_button_is_off(
    tmp_path: Path, mapping: dict[str, Any], prices: dict[int, str], reason: str
) -> None:
    body = shown(tmp_path, mapping, prices)
    assert body["possible"] is False
    assert reason in body["reason"]
    assert not button_card("BUY_CE", Reply(body)).enabled

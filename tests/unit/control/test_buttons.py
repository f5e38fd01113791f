"""The four buttons in words, before the click, and how an order of ours ended."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from apps.control.buttons import button_card, told
from apps.control.client import Refused, Reply, Unreachable

RECORDED = Path(__file__).resolve().parents[2] / "browser" / "recorded.json"


@pytest.fixture
def recorded() -> dict[str, Any]:
    body: dict[str, Any] = json.loads(RECORDED.read_text(encoding="utf-8"))
    return body


def test_an_entry_shows_contract_units_cost_stop_and_worst_loss(recorded: dict[str, Any]) -> None:
    card = button_card("BUY_CE", Reply(recorded["flat_previews"]["BUY_CE"]))
    text = " ".join(card.details)
    assert card.enabled
    assert card.title == "NIFTY 16 JUN 15700 CALL"
    assert card.priced_by_model
    for word in ("1 lot = 50 units", "₹5,217.50", "stop **89.35**", "₹805.65", "a gap can cost more"):
        assert word in text


def test_without_a_stop_the_worst_loss_is_all_that_was_paid(recorded: dict[str, Any]) -> None:
    card = button_card("BUY_CE", Reply({**recorded["flat_previews"]["BUY_CE"], "stop": None}))
    assert any("all that was paid" in line for line in card.details)


def test_what_is_refused_is_disabled_and_says_why(recorded: dict[str, Any]) -> None:
    card = button_card("BUY_PE", Reply(recorded["previews"]["BUY_PE"]))
    assert not card.enabled
    assert "is held already" in card.details[0]


def test_sell_closes_what_is_held_or_nothing(recorded: dict[str, Any]) -> None:
    held = button_card("SELL_CE", Reply(recorded["previews"]["SELL_CE"]))
    assert held.enabled
    assert "closes 50 units" in held.details[0]
    assert not button_card("SELL_PE", Reply(recorded["previews"]["SELL_PE"])).enabled


@pytest.mark.parametrize("answer", [Unreachable("nobody answers"), Refused("token is wrong"), Reply("?"), Reply({})])
def test_without_a_preview_a_button_is_disabled(answer: Reply | Refused | Unreachable) -> None:
    assert not button_card("BUY_CE", answer).enabled
    assert not button_card("SELL_CE", answer).enabled


def test_the_end_of_an_order_is_told_as_it_was() -> None:
    assert told(Reply({"status": "done"}), "Halted") == (True, "Halted")
    well, text = told(Reply({"fate": "denied", "gate": "funds", "reason": "costs more"}), "BUY CE taken")
    assert not well
    assert "denied" in text
    assert "costs more" in text
    assert told(Reply({"fate": "entered"}), "BUY CE taken")[0]
    assert told(Refused("token is wrong"), "Halted") == (False, "Refused: token is wrong")
    assert told(Unreachable("no answer"), "Halted")[1].startswith("NOT CONFIRMED")

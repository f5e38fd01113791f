"""The card of several legs: what is not bounded is said, and a covering leg is not called naked."""

from __future__ import annotations

from typing import Any

from apps.control.legs_view import legs_card
from apps.control.view import stop_line
from apps.control.words import Tone

ITEM: dict[str, Any] = {
    "id": "P1",
    "deployment": "CREDIT",
    "state": "open",
    "legs": ["P1", "P1.2"],
    "hedged": True,
    "premium": 3000.0,
    "pnl": -250.5,
    "stop": -1500.0,
    "target": 2100.0,
    "breakevens": [15640.0],
    "worst_loss": 7000.0,
    "worst_loss_unhedged": None,
}


def test_a_card_names_common_pnl_levels_breakeven_and_both_worst_losses() -> None:
    card = legs_card(ITEM)
    told = {figure.label: figure.value for figure in card.figures}
    assert card.title == "CREDIT · 2 legs"
    assert "hedged" in card.marks
    assert card.tone is Tone.BAD
    assert "15,640" in told["breakeven"]
    assert "7,000" in told["worst loss at expiry"]
    assert told["worst loss without what covers it"] == "not bounded"
    assert "3,000" in told["premium received"]


def test_an_unknown_pnl_is_not_a_zero() -> None:
    card = legs_card({**ITEM, "pnl": None, "state": "opening", "breakevens": []})
    assert "0" not in card.pnl
    assert card.tone is Tone.PLAIN
    assert "opening" in card.marks


def test_what_covers_a_sold_option_has_no_stop_and_says_why() -> None:
    text, tone = stop_line({"units": 50, "covers": True, "protection": "none"}, "live")
    assert "covers a sold option" in text
    assert tone is Tone.PLAIN

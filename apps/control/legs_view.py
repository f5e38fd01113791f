"""The card of several legs that are held together; their positions stand below it, each with its own stop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apps.control import words
from apps.control.shapes import Figure, LegsCard
from apps.control.words import UNKNOWN, Tone, plain


def legs_card(item: Mapping[str, Any]) -> LegsCard:
    """Lay out one entry of `structures` in ``GET /api/status``."""
    marks = [str(item.get("state", UNKNOWN))] if item.get("state") != "open" else []
    if item.get("hedged"):
        marks.append("hedged")
    if item.get("priced_by_model"):
        marks.append("priced: model")
    pnl, premium, points = item.get("pnl"), item.get("premium"), item.get("breakevens") or ()
    word = "premium received" if premium is not None and premium > 0 else "premium paid"
    return LegsCard(
        title=f"{plain(item.get('deployment', UNKNOWN))} · {len(item.get('legs') or ())} legs",
        marks=tuple(plain(mark) for mark in marks),
        pnl=words.rupees(pnl, sign=True),
        tone=Tone.PLAIN if pnl is None else Tone.GOOD if pnl >= 0 else Tone.BAD,
        figures=(
            Figure(label=word, value=words.rupees(None if premium is None else abs(premium))),
            Figure(label="all leave below", value=_level(item.get("stop"))),
            Figure(label="all leave above", value=_level(item.get("target"))),
            Figure(label="breakeven", value=" / ".join(words.price(each) for each in points) or "none"),
            _loss("worst loss at expiry", item.get("worst_loss")),
            _loss("worst loss without what covers it", item.get("worst_loss_unhedged")),
        ),
    )


def _level(value: float | None) -> str:
    return "none" if value is None else words.rupees(value, sign=True)


def _loss(label: str, value: float | None) -> Figure:
    return Figure(
        label=label,
        value="not bounded" if value is None else words.rupees(value),
        tone=Tone.BAD if value is None else Tone.PLAIN,
    )

"""What the four test buttons would do, in words: shown before the click, from ``POST /api/preview``.

Invariant: a button that cannot work is disabled and says why; nothing is guessed where the engine gave no answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from apps.control import words
from apps.control.client import Answer, Refused, Reply, Unreachable
from apps.control.words import plain

BUTTONS = {"BUY_CE": "BUY CE", "BUY_PE": "BUY PE", "SELL_CE": "SELL CE", "SELL_PE": "SELL PE"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ButtonCard:
    """One button with what a click would do."""

    button: str
    label: str
    enabled: bool
    title: str
    details: tuple[str, ...]
    priced_by_model: bool = False


def button_card(button: str, answer: Answer) -> ButtonCard:
    """Lay out the preview of one button."""
    label = BUTTONS[button]
    match answer:
        case Unreachable(reason) | Refused(reason):
            return ButtonCard(button=button, label=label, enabled=False, title="no preview", details=(plain(reason),))
        case Reply(body):
            return _laid_out(button, label, body if isinstance(body, Mapping) else {})


def _laid_out(button: str, label: str, body: Mapping[str, Any]) -> ButtonCard:
    possible = bool(body.get("possible"))
    reason = str(body.get("reason") or "")
    if button.startswith("SELL"):
        return _exit_card(button, label, body, possible, reason)
    details = []
    if not possible:
        told_reason = plain((reason or "the engine gave no reason").replace("_", " "))
        details.append(f":orange[not now: {told_reason}]")
    if body.get("chosen_at_entry"):
        details += _chosen_details(body)
    elif body.get("legs"):
        details += _legs_details(body)
    elif body.get("units"):
        details += _entry_details(body)
    return ButtonCard(
        button=button,
        label=label,
        enabled=possible and bool(body.get("units")),
        title=plain(body.get("instrument") or "no contract"),
        details=tuple(details),
        priced_by_model=bool(body.get("priced_by_model")),
    )


def _entry_details(body: Mapping[str, Any]) -> list[str]:
    lots = words.count(body.get("lots"))
    stop, target = body.get("stop"), body.get("target")
    return [
        f"{lots} {'lot' if lots == '1' else 'lots'} = {words.count(body.get('units'))} units "
        f"at about {words.price(body.get('price'))}",
        f"cost **{words.rupees(body.get('cost'))}**",
        f"stop **{_level(stop)}** · target {_level(target)}",
        f"worst loss at the stop **{words.rupees(body.get('worst_loss'))}** with charges; a gap can cost more"
        if stop is not None
        else f"worst loss **{words.rupees(body.get('worst_loss'))}**: all that was paid",
    ]


def _legs_details(body: Mapping[str, Any]) -> list[str]:
    legs = [
        f"{plain(leg.get('side', words.UNKNOWN))} {words.count(leg.get('units'))} units of "
        f"{plain(leg.get('instrument', words.UNKNOWN))} at about {words.price(leg.get('price'))}, "
        f"stop {_level(leg.get('stop'))}"
        for leg in body["legs"]
    ]
    premium, worst = body.get("premium") or 0, body.get("worst_loss")
    points = ", ".join(words.price(each) for each in body.get("breakevens") or ()) or "none"
    bound = "**not bounded** by the strikes" if worst is None else f"**{words.rupees(worst)}** with charges"
    return [
        *legs,
        f"{'received' if premium > 0 else 'paid'} **{words.rupees(abs(premium))}** · breakeven {points}",
        f"worst loss at expiry {bound}; margin is read at the entry",
    ]


def _chosen_details(body: Mapping[str, Any]) -> list[str]:
    return [
        *(plain(each) for each in body["chosen_at_entry"]),
        "strikes are chosen from the option chain at the entry; premium, **worst loss** and margin are not known "
        "before, and the engine's limits are asked then",
    ]


def _level(value: float | None) -> str:
    return "none" if value is None else words.price(value)


def _exit_card(button: str, label: str, body: Mapping[str, Any], possible: bool, reason: str) -> ButtonCard:
    held = body.get("position")
    if not possible or not isinstance(held, Mapping):
        return ButtonCard(
            button=button,
            label=label,
            enabled=False,
            title="nothing to close",
            details=(plain(reason or "nothing held"),),
        )
    return ButtonCard(
        button=button,
        label=label,
        enabled=True,
        title=plain(held.get("instrument", words.UNKNOWN)),
        details=(
            f"closes {words.count(held.get('units'))} units · bid {words.price(held.get('bid'))}",
            f"P&L now **{words.rupees(held.get('pnl'), sign=True)}** after charges so far",
        ),
        priced_by_model=bool(held.get("priced_by_model")),
    )


def told(answer: Answer, done: str) -> tuple[bool, str]:
    """Say how an order to the engine ended: (went well, sentence)."""
    match answer:
        case Reply(body) if isinstance(body, Mapping):
            fate = body.get("fate")
            if not fate:
                return True, done
            reason = plain(body.get("reason") or "")
            gate = f" [{plain(body['gate'])}]" if body.get("gate") else ""
            told_reason = f": {reason}" if reason else ""
            return fate in ("entered", "exited", "reversed", "waiting"), f"{done} — {plain(fate)}{gate}{told_reason}"
        case Reply(_):
            return True, done
        case Refused(reason):
            return False, f"Refused: {plain(reason)}"
        case Unreachable(reason):
            return False, f"NOT CONFIRMED: {plain(reason)}"

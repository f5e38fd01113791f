"""What the page is made of: frozen values with texts that are ready to be shown.

Invariant: every text in them is harmless Markdown already; the page only places it.
"""

from __future__ import annotations

from dataclasses import dataclass

from apps.control.words import Tone


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A label with a value, both ready for Markdown."""

    label: str
    value: str
    tone: Tone = Tone.PLAIN


@dataclass(frozen=True, slots=True, kw_only=True)
class Banner:
    """Something that must be seen, with the way out."""

    tone: Tone
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """Whose money, which day, what time, which phase."""

    mode: str
    mode_key: str
    meaning: str
    account: str
    clock: str
    day: str
    phase: str
    countdowns: tuple[Figure, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DayMoney:
    """P&L of the day after charges, as a bar against the limit of its loss."""

    net: str
    tone: Tone
    parts: str
    bar_share: float
    bar_text: str
    bar_tone: Tone


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionCard:
    """One position."""

    position_id: str
    title: str
    size: str
    marks: tuple[str, ...]
    pnl: str
    pnl_points: str
    tone: Tone
    stop: str
    stop_tone: Tone
    figures: tuple[Figure, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LegsCard:
    """Several legs that are held together, with their common P&L."""

    title: str
    marks: tuple[str, ...]
    pnl: str
    tone: Tone
    figures: tuple[Figure, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertLine:
    """One alert and why it traded or not."""

    clock: str
    what: str
    fate: str
    why: str
    tone: Tone


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentLine:
    """One deployment, armed or why not; `halted` where a person has stopped its entries."""

    name: str
    what: str
    word: str
    why: str
    tone: Tone
    halted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Something that the engine told a person."""

    word: str
    text: str
    tone: Tone


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmLine:
    """An alarm that nobody has acknowledged."""

    number: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Screen:
    """The whole page."""

    head: Head
    banners: tuple[Banner, ...]
    money: DayMoney
    used: tuple[Figure, ...]
    lines: tuple[Figure, ...]
    positions: tuple[PositionCard, ...]
    legs: tuple[LegsCard, ...]
    alerts: tuple[AlertLine, ...]
    deployments: tuple[DeploymentLine, ...]
    notices: tuple[Notice, ...]
    alarms: tuple[AlarmLine, ...]
    halted: bool
    is_live: bool

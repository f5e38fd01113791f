"""How the page writes things: rupees the Indian way, times, ages, and text of others made harmless.

Invariant: what is not known is written as "unknown" and never as zero.
"""

from __future__ import annotations

import re
from datetime import datetime
from enum import StrEnum

UNKNOWN = "unknown"


class Tone(StrEnum):
    """What a colour means; the words say it too."""

    GOOD = "good"
    BAD = "bad"
    WARN = "warn"
    PLAIN = "plain"


_COLOURS = {Tone.GOOD: "green", Tone.BAD: "red", Tone.WARN: "orange"}


def plain(text: object) -> str:
    """Make text harmless in Markdown: nothing in it is read as formatting, link, colour, formula or emoji."""
    flat = " ".join(str(text).split())
    # Streamlit reads $..$ as a formula and :name: or :name[..] as its own directives.
    return re.sub(r"([\\`*_{}\[\]()<>#+!|~$:.^=-])", r"\\\1", flat)


def coloured(text: str, tone: Tone) -> str:
    """Give harmless text in the colour of its tone."""
    return f":{_COLOURS[tone]}[{text}]" if tone in _COLOURS else text


def rupees(value: float | None, *, sign: bool = False, paise: bool = True) -> str:
    """Write an amount with Indian grouping: ``₹12,34,567.80``."""
    if value is None:
        return UNKNOWN
    text = f"{abs(value):.2f}" if paise else f"{abs(value):.0f}"
    whole, _, part = text.partition(".")
    lead = "-" if value < 0 and float(text) else ("+" if sign and float(text) else "")
    return f"{lead}₹{_grouped(whole)}{'.' + part if part else ''}"


def _grouped(digits: str) -> str:
    head, tail = digits[:-3], digits[-3:]
    while len(head) > 2:
        tail = f"{head[-2:]},{tail}"
        head = head[:-2]
    return f"{head},{tail}" if head else tail


def price(value: float | None) -> str:
    """Write a price or premium."""
    return UNKNOWN if value is None else f"{value:,.2f}"


def count(value: float | None) -> str:
    """Write lots or units; whole numbers without a point."""
    return UNKNOWN if value is None else f"{value:g}"


def points(value: float | None) -> str:
    """Write a difference of prices."""
    return UNKNOWN if value is None else f"{value:+.2f} pts"


def duration(seconds: float | None) -> str:
    """Write a span: ``8 s``, ``4:05``, ``2 h 10 m``."""
    if seconds is None:
        return UNKNOWN
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02d} min"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} m"


def clock(moment: str | None) -> str:
    """Time of day of an ISO moment."""
    read = _moment(moment)
    return UNKNOWN if read is None else f"{read:%H:%M:%S}"


def calendar_day(moment: str | None) -> str:
    """Day of an ISO moment: ``Wed 15 Jun 2022``."""
    read = _moment(moment)
    return UNKNOWN if read is None else f"{read:%a} {read.day} {read:%b %Y}"


def _moment(text: str | None) -> datetime | None:
    try:
        return datetime.fromisoformat(text) if text else None
    except ValueError:
        return None

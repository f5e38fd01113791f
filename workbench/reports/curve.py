"""The equity curve of a day as one static drawing (SVG), readable on a phone and on paper.

Invariant: the drawing shows the points that it was given; between two points the line is straight, nothing is smoothed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from html import escape

from workbench.reports.markup import Html, note, rupees

WIDTH, HEIGHT = 900, 300
LEFT, RIGHT, TOP, BOTTOM = 96, 16, 14, 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """Maps time and rupees to the drawing."""

    first: float
    last: float
    low: float
    high: float

    def x(self, moment: datetime) -> float:
        """Place of a moment."""
        share = (moment.timestamp() - self.first) / (self.last - self.first)
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def y(self, amount: float) -> float:
        """Place of an amount."""
        return TOP + (self.high - amount) / (self.high - self.low) * (HEIGHT - TOP - BOTTOM)


def equity_curve(
    points: Sequence[tuple[datetime, Decimal]],
    closes: Sequence[tuple[datetime, str]] = (),
    limit: Decimal | None = None,
) -> Html:
    """Draw P&L over the day.

    Parameters
    ----------
    points : Sequence of (time, rupees)
        In order of time.
    closes : Sequence of (time, text)
        Marked on the line, with the text shown when one points at it.
    limit : Decimal, optional
        Loss limit of the day, rupees above zero; drawn where the day came near it.
    """
    if not points:
        return note("No equity points: nothing was held.")
    scale = _scale(points, limit)
    line = " ".join(f"{scale.x(at):.1f},{scale.y(float(amount)):.1f}" for at, amount in points)
    parts = [*_grid(scale), *_hours(scale, points[0][0], points[-1][0])]
    if limit is not None and -float(limit) >= scale.low:
        y = scale.y(-float(limit))
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" class="limit"/>')
        parts.append(f'<text x="{WIDTH - RIGHT}" y="{y - 5:.1f}" class="limit-text">daily loss limit</text>')
    parts.append(f'<polyline points="{line}" class="line"/>')
    by_time = sorted(points)
    for at, text in closes:
        amount = next((value for moment, value in reversed(by_time) if moment <= at), by_time[0][1])
        parts.append(
            f'<circle cx="{scale.x(at):.1f}" cy="{scale.y(float(amount)):.1f}" r="4.5" class="close">'
            f"<title>{escape(text)}</title></circle>"
        )
    return Html(
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="equity curve" class="curve">{"".join(parts)}</svg>'
    )


def _scale(points: Sequence[tuple[datetime, Decimal]], limit: Decimal | None) -> Scale:
    amounts = [0.0, *(float(amount) for _, amount in points)]
    low, high = min(amounts), max(amounts)
    if limit is not None and low < -0.6 * float(limit):
        low = min(low, -float(limit))
    room = max((high - low) * 0.08, 1.0)
    first, last = points[0][0].timestamp(), points[-1][0].timestamp()
    return Scale(first=first, last=max(last, first + 60), low=low - room, high=high + room)


def _grid(scale: Scale) -> list[str]:
    step = _step(scale.high - scale.low)
    parts = []
    amount = -(-scale.low // step) * step
    while amount <= scale.high:
        y = scale.y(amount)
        kind = "zero" if abs(amount) < step / 1000 else "grid"
        label = rupees(Decimal(round(amount)), sign=True).removesuffix(".00")
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" class="{kind}"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" class="amount">{label}</text>')
        amount += step
    return parts


def _step(span: float) -> float:
    """Round distance of the grid lines: 1, 2 or 5 times a power of ten, about five lines, at least a rupee."""
    step = 1.0
    while span / step > 6:
        step *= 2.5 if str(step).startswith("2") else 2.0
    return step


def _hours(scale: Scale, first: datetime, last: datetime) -> list[str]:
    span_s = (last - first).total_seconds()
    minutes = 60 if span_s > 3 * 3600 else 15 if span_s > 2700 else 5 if span_s > 600 else 1
    parts = []
    for minute in range(first.hour * 60 + first.minute, last.hour * 60 + last.minute + 1):
        if minute % minutes:
            continue
        at = first.replace(hour=minute // 60, minute=minute % 60, second=0, microsecond=0)
        if at < first:
            continue
        parts.append(f'<text x="{scale.x(at):.1f}" y="{HEIGHT - 8}" class="hour">{at:%H:%M}</text>')
    return parts

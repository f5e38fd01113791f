"""Pictures of a study: candles with its trades, and the running P&L after charges.

Invariant: times without trading are left out of the axis; what is marked is what was traded, nothing is smoothed.
"""

from __future__ import annotations

from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any

from workbench.core.signal import Side
from workbench.research.trades import StudyResult, Trade

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

CANDLES_AT_MOST = 5_000
_GREEN, _RED = "#1a7f37", "#cf222e"
_SYNTHETIC = "the index traded as a future: nothing that can be bought"
_MODEL = "prices of options from the pricing model"


def candles(bars: pd.DataFrame, result: StudyResult | None = None, *, title: str = "") -> Any:
    """Draw bars as candles, with entries and exits where a result is given.

    Parameters
    ----------
    bars : DataFrame
        A bar frame; of more than 5,000 bars the newest are drawn, and the title says so.

    Returns
    -------
    plotly.graph_objects.Figure
    """
    import plotly.graph_objects as go

    drawn = bars.iloc[-CANDLES_AT_MOST:]
    figure = go.Figure(
        go.Candlestick(
            x=drawn.index,
            open=drawn["open"],
            high=drawn["high"],
            low=drawn["low"],
            close=drawn["close"],
            name="bars",
            increasing_line_color=_GREEN,
            decreasing_line_color=_RED,
        )
    )
    if result is not None and len(drawn):
        first, last = drawn.index[0], drawn.index[-1]
        shown = [trade for trade in result.trades if first <= trade.entry_time <= last]
        for marker in _markers(shown):
            figure.add_trace(marker)
    cut = f" (newest {CANDLES_AT_MOST} bars)" if len(bars) > CANDLES_AT_MOST else ""
    figure.update_layout(
        title=f"{_title(result, title)}{cut}", xaxis_rangeslider_visible=False, template="plotly_white"
    )
    figure.update_xaxes(rangebreaks=range_breaks(drawn))
    return figure


def equity(result: StudyResult, *, title: str = "") -> Any:
    """Draw the running P&L after charges, one point at each exit, and beside it before charges."""
    import plotly.graph_objects as go

    times = [trade.exit_time for trade in result.trades]
    figure = go.Figure()
    for name, values, colour in (
        ("after charges", [trade.pnl for trade in result.trades], "#0969da"),
        ("before charges", [trade.gross for trade in result.trades], "#8c959f"),
    ):
        running = [float(value) for value in accumulate(values)]
        figure.add_trace(go.Scatter(x=times, y=running, name=name, mode="lines", line={"color": colour, "shape": "hv"}))
    figure.update_layout(title=_title(result, title), yaxis_title="Rs", template="plotly_white")
    return figure


def range_breaks(bars: pd.DataFrame) -> list[dict[str, Any]]:
    """Give the stretches of the axis to leave out: nights, weekends and holidays between the bars."""
    if len(bars) < 2:
        return []
    index = bars.index
    steps = index[1:] - index[:-1]
    usual = steps.min()
    overnight = [
        {"bounds": [(before + usual).isoformat(), after.isoformat()]}
        for before, after in pairwise(index)
        if after.date() != before.date()
    ]
    return overnight[-400:]


def _markers(trades: Sequence[Trade]) -> list[Any]:
    import plotly.graph_objects as go

    entries, exits = [], []
    for side, symbol, colour in ((Side.BUY, "triangle-up", _GREEN), (Side.SELL, "triangle-down", _RED)):
        chosen = [trade for trade in trades if trade.side is side]
        entries.append(
            go.Scatter(
                x=[trade.entry_time for trade in chosen],
                y=[float(trade.entry_price) for trade in chosen],
                mode="markers",
                name=f"{side.value} entry",
                marker={"symbol": symbol, "size": 10, "color": colour, "line": {"width": 1, "color": "white"}},
                text=[f"{trade.quantity} units" for trade in chosen],
            )
        )
    exits.append(
        go.Scatter(
            x=[trade.exit_time for trade in trades],
            y=[float(trade.exit_price) for trade in trades],
            mode="markers",
            name="exit",
            marker={"symbol": "x", "size": 8, "color": "#24292f"},
            text=[f"{trade.exit_reason}: Rs {trade.pnl}" for trade in trades],
        )
    )
    return [*entries, *exits]


def _title(result: StudyResult | None, title: str) -> str:
    if result is None:
        return title
    words = title or f"{result.study.strategy.name} on {result.study.symbol} {result.study.interval}"
    if result.synthetic_instrument:
        words += f" | {_SYNTHETIC}"
    if any(trade.priced == "model" for trade in result.trades):
        words += f" | {_MODEL}"
    return words

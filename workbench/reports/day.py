"""A trading day as its report shows it, read from the engine's day export and from nothing else.

The figures are the ledger's own: totals are taken as they were exported, and where the trades do not add up to them the
report says so in red instead of choosing one.

Invariant: a number on the report equals the same number on page and API to the paisa.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from workbench.core.errors import BadInput, CorruptData
from workbench.core.money import ZERO
from workbench.core.session import in_india
from workbench.reports.curve import equity_curve
from workbench.reports.markup import Cell, Html, facts, money, note, number, rupees, table, together

SCHEMA = 1
Row = Mapping[str, Any]
_LEAVING = ("stop", "exit", "target")
"""Kinds of orders that leave a position; an order keeps its kind though it is moved for another reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """One exported day; each method gives one section of the report.

    Use `Day.read`; the methods return `Html`, which a notebook shows.
    """

    day: str
    account: str
    totals: Row
    facts: Row
    holes: Sequence[str]
    trade_rows: Sequence[Row]
    fill_rows: Sequence[Row]
    decision_rows: Sequence[Row]
    equity_rows: Sequence[Row]

    @classmethod
    def read(cls, folder: Path | str) -> Day:
        """Read ``day.json`` of a day's folder.

        Raises
        ------
        BadInput
            There is no export.
        CorruptData
            It is half written, or of another version.
        """
        path = Path(folder) / "day.json"
        if not path.is_file():
            raise BadInput(
                f"{path} does not exist; the engine writes it at the end of a day, or: workbench report daily"
            )
        try:
            body = json.loads(path.read_text(encoding="utf-8"))
            if body["schema"] != SCHEMA:
                raise CorruptData(
                    f"{path} is of version {body['schema']}, this program reads {SCHEMA}; export the day again"
                )
            return cls(
                day=body["day"],
                account=body["account"],
                totals=body["totals"],
                facts=body["facts"],
                holes=body["holes"],
                trade_rows=body["trades"],
                fill_rows=body["fills"],
                decision_rows=body["decisions"],
                equity_rows=body["equity"],
            )
        except (ValueError, KeyError, TypeError) as error:
            raise CorruptData(f"{path} does not read as a day export ({error}); export the day again") from error

    @property
    def net(self) -> Decimal:
        """P&L after charges, rupees, as the ledger says it."""
        return _amount(self.totals["net"])

    def headline(self) -> Html:
        """Whose day it was, what it came to, and every mark that the figures carry."""
        mode = str(self.facts.get("mode") or "").upper()
        winners, count = self.totals["winners"], self.totals["trades"]
        rows: list[tuple[str, Cell | str]] = [
            ("P&L after charges", money(self.net)),
            ("day", f"{datetime.fromisoformat(self.day):%A %d %B %Y}"),
            ("account", f"{self.account} {mode}".strip()),
            ("trades", f"{count}, of which {winners} won" if count else "none"),
        ]
        return together(facts(rows), *self.marks())

    def marks(self) -> list[Html]:
        """Sentences on what the figures rest on: model prices, the synthetic instrument, holes in the tape."""
        found = []
        model = sum(bool(row["priced_by_model"]) for row in self.trade_rows)
        if model:
            found.append(
                note(
                    f"priced: model. {model} of {len(self.trade_rows)} trades rest on prices of the option model, "
                    "not of a market.",
                    "warn",
                )
            )
        synthetic = sum("index_as_future" in str(row["instrument_key"]) for row in self.trade_rows)
        if synthetic:
            found.append(
                note(f"synthetic_instrument. {synthetic} trades are of the index as if it were a future.", "warn")
            )
        for hole in self.holes:
            found.append(note(f"The tape of quotes has a hole: {hole}. The equity curve is coarse there.", "warn"))
        return found

    def profit_and_loss(self) -> Html:
        """From gross to net, and on to what the broker's contract note comes to."""
        trades = sum((_amount(row["net"]) for row in self.trade_rows), ZERO)
        lines: list[tuple[str, Cell | str]] = [
            ("gross", money(_amount(self.totals["gross"]))),
            ("charges of the trades", money(-_amount(self.totals["charges"]))),
            ("P&L after charges", money(self.net)),
            (
                "rounding on the contract note (STT and stamp, once a day)",
                money(-_amount(self.totals["note_rounding"])),
            ),
            ("P&L as on the contract note", money(_amount(self.totals["net_after_note"]))),
        ]
        pieces = [facts(lines)]
        if trades != self.net:
            pieces.append(
                note(
                    f"The trades add up to {rupees(trades)}, not to {rupees(self.net)}: report this as a fault.", "bad"
                )
            )
        return together(*pieces)

    def trades(self) -> Html:
        """Every round trip."""
        columns = (
            "in",
            "out",
            "instrument",
            "side",
            "units",
            "lots",
            "entry",
            "exit",
            "gross",
            "charges",
            "net",
            "why out",
        )
        return table(columns, (_trade(row) for row in self.trade_rows), empty="No trades.")

    def equity(self) -> Html:
        """The equity curve, after the charges of what had filled."""
        points = [(_moment(row["time"]), _amount(row["equity"])) for row in self.equity_rows]
        if points and self.fill_rows:  # before the first fill the day stood at nothing
            points.insert(0, (min(points[0][0], _moment(self.fill_rows[0]["time"])), ZERO))
        closes = [
            (_moment(row["exit_time"]), f"{row['instrument']} {row['reason']} {rupees(_amount(row['net']), sign=True)}")
            for row in self.trade_rows
        ]
        return equity_curve(points, closes, self._limit("max_daily_loss"))

    def slippage(self) -> Html:
        """Fills against the price that was expected when the order left."""
        columns = ("time", "order", "instrument", "side", "units", "expected", "filled", "slippage", "bps", "effect")
        words = self._words_of_exits()
        rows = (_fill(row, words.get(str(row["correlation_id"]), "")) for row in self.fill_rows)
        shown = table(columns, rows, empty="No fills.")
        if not self.fill_rows:
            return shown
        total = _amount(self.totals["slippage"])
        word = "cost" if total >= 0 else "gained"
        unknown = sum(row["slippage"] is None for row in self.fill_rows)
        more = f" {unknown} fills had no expected price and are not in it." if unknown else ""
        return together(shown, note(f"Slippage {word} {rupees(abs(total))} over all fills.{more}"))

    def risk_use(self) -> Html:
        """How much of each limit the day used."""
        worst, drawdown = self._worst()
        losses = [_amount(row["net"]) for row in self.trade_rows if _amount(row["net"]) < 0]
        loss_limit, trade_limit = self._limit("max_daily_loss"), self._limit("max_trades_per_day")
        used = max(ZERO, -worst)
        rows: list[tuple[str, Cell | str]] = [
            ("lowest P&L of the day", money(worst)),
            ("share of the loss limit used at worst", _share(used, loss_limit)),
            ("largest fall from a high", money(-drawdown)),
            ("largest losing trade", money(min(losses)) if losses else "none"),
            ("trades against the limit", f"{self.totals['trades']} of {trade_limit or 'unknown'}"),
        ]
        return facts(rows)

    def alerts(self) -> Html:
        """Alerts and signals, each with its fate."""
        columns = ("time", "kind", "deployment", "asked", "fate", "why")
        shown = table(columns, (_decision(row) for row in self.decision_rows), empty="No alerts and no signals.")
        counts = Counter(str(row["fate"]).replace("_", " ") for row in self.decision_rows)
        if not counts:
            return shown
        return together(note(", ".join(f"{fate}: {count}" for fate, count in counts.most_common())), shown)

    def market_facts(self) -> Html:
        """Facts of that date and inputs of the pricing model, as the engine exported them."""
        rows = [(name, str(value)) for name, value in _flat(self.facts)]
        return facts(rows) if rows else note("The export names no facts of the day.")

    def _words_of_exits(self) -> dict[str, str]:
        """Say by order why it left: the stop at the broker is moved to leave at a target or by a signal as well.

        Where several orders left one position, which had its reason is not told; each is then called by its kind.
        """
        reasons = {str(row["position_id"]): str(row["reason"]).replace("_", " ") for row in self.trade_rows}
        left: dict[str, set[str]] = {}
        for row in self.fill_rows:
            if row["purpose"] in _LEAVING:
                left.setdefault(str(row["position_id"]), set()).add(str(row["correlation_id"]))
        return {
            order: reasons[position] if position in reasons and len(orders) == 1 else ""
            for position, orders in left.items()
            for order in orders
        }

    def _limit(self, name: str) -> Decimal | None:
        limits = self.facts.get("limits")
        value = limits.get(name) if isinstance(limits, Mapping) else None
        return None if value is None else _amount(value)

    def _worst(self) -> tuple[Decimal, Decimal]:
        """Lowest equity, and the largest fall from a high, rupees."""
        worst = peak = drawdown = ZERO
        for row in self.equity_rows:
            equity = _amount(row["equity"])
            worst, peak = min(worst, equity), max(peak, equity)
            drawdown = max(drawdown, peak - equity)
        return worst, drawdown


def _trade(row: Row) -> list[Cell | str]:
    mark = " (priced: model)" if row["priced_by_model"] else ""
    return [
        _clock(row["entry_time"]),
        _clock(row["exit_time"]),
        f"{row['instrument']}{mark}",
        str(row["side"]),
        number(row["quantity"]),
        number(row["lots"]),
        number(_price(row["entry_price"])),
        number(_price(row["exit_price"])),
        money(_amount(row["gross"])),
        number(rupees(_amount(row["charges"]))),
        money(_amount(row["net"])),
        str(row["reason"]).replace("_", " "),
    ]


def _fill(row: Row, word: str) -> list[Cell | str]:
    slip, expected = row["slippage"], _amount(row["reference_price"])
    known = slip is not None and expected > 0
    bps = _amount(slip) / expected * 10_000 if known else None
    return [
        _clock(row["time"]),
        word or (f"{row['purpose']} order" if row["purpose"] in _LEAVING else str(row["purpose"])),
        str(row["instrument"]),
        str(row["side"]),
        number(row["quantity"]),
        number(_price(row["reference_price"]) if known else "unknown"),
        number(_price(row["price"])),
        number(_signed(_amount(slip), 2) if known else "unknown"),
        number("unknown" if bps is None else _signed(bps, 1)),
        money(-_amount(slip) * int(row["quantity"])) if known else number("unknown"),
    ]


def _decision(row: Row) -> list[Cell | str]:
    fate = str(row["fate"])
    kind = "good" if fate in ("entered", "exited", "reversed") else "warn" if fate in ("denied", "refused") else ""
    why = ": ".join(
        str(row[key]).replace("_", " ") if key == "gate" else str(row[key]) for key in ("gate", "reason") if row[key]
    )
    return [
        _clock(row["time"]),
        str(row["kind"]).replace("_", " "),
        str(row["deployment"]) or "unknown link",
        str(row["action"]).replace("_", " "),
        Cell(fate.replace("_", " "), kind),
        why,
    ]


def _share(used: Decimal, limit: Decimal | None) -> str:
    if limit is None or limit <= 0:
        return "the export does not name the limit"
    return f"{used * 100 / limit:.1f} % of {rupees(limit)}"


def _flat(value: Row, prefix: str = "") -> list[tuple[str, object]]:
    found: list[tuple[str, object]] = []
    for key, item in value.items():
        name = f"{prefix}{key}".replace("_", " ")
        found += _flat(item, f"{name} · ") if isinstance(item, Mapping) else [(name, item)]
    return found


def _amount(value: object) -> Decimal:
    try:
        return Decimal(str(value))
    except InvalidOperation:
        raise CorruptData(f"{value!r} is not an amount; export the day again") from None


def _signed(value: Decimal, places: int) -> str:
    text = f"{value:+.{places}f}"
    return text if text.strip("+-0.") else text[1:]  # no "-0.00"


def _price(value: object) -> str:
    return f"{_amount(value):,.2f}"


def _moment(text: str) -> datetime:
    return in_india(datetime.fromisoformat(text))


def _clock(text: str) -> str:
    return f"{_moment(text):%H:%M:%S}"

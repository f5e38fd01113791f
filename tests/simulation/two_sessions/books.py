"""The four books of a journey, each read by itself: our journal, the broker's trades, the report's files, the API.

What the broker says is summed here from his own trade rows, and what they cost is reckoned from the written-down rates;
nothing of the engine's or the ledger's arithmetic is used for either.
"""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from tests.simulation.two_sessions.journey import RUN, Rates, Told
from workbench.core.ports import JournalEntry
from workbench.reference import charge_table
from workbench.storage.journal import SqliteJournal
from workbench.storage.ledger import DayLedger

ACCOUNT = f"practice-{RUN}"
PAISA, RUPEE = Decimal("0.01"), Decimal(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerFill:
    """One trade as the broker's trade book has it; `key` is our correlation id of its order."""

    day: date
    key: str
    side: str
    quantity: int
    price: Decimal

    @property
    def turnover(self) -> Decimal:
        return self.price * self.quantity

    @property
    def flow(self) -> Decimal:
        """Rupees that came in; below zero: that went out."""
        return self.turnover if self.side == "SELL" else -self.turnover


def entries_of(told: Told) -> dict[date, tuple[JournalEntry, ...]]:
    """Read both days from the journal on the disk."""
    journal = SqliteJournal(told.folder / "journal" / "journal.db")
    try:
        return {seen.day: tuple(journal.read_day(ACCOUNT, seen.day)) for seen in told.days}
    finally:
        journal.close()


def ledgers_of(entries: Mapping[date, Iterable[JournalEntry]]) -> dict[date, DayLedger]:
    return {day: DayLedger.of(rows, charge_table()) for day, rows in entries.items()}


def broker_fills(told: Told) -> list[BrokerFill]:
    """Read the broker's trade books of both days."""
    found = []
    for seen in told.days:
        keys = {row["orderId"]: row["correlationId"] for row in seen.book["orders"]}
        found += [
            BrokerFill(
                day=seen.day,
                key=keys[row["orderId"]],
                side=row["transactionType"],
                quantity=row["tradedQuantity"],
                price=Decimal(str(row["tradedPrice"])),
            )
            for row in seen.book["trades"]
        ]
    return found


def by_position(told: Told, ledgers: Mapping[date, DayLedger]) -> dict[str, list[BrokerFill]]:
    """Give the broker's trades of each of our positions; each of them belongs to one."""
    position_of = {row.correlation_id: row.position_id for ledger in ledgers.values() for row in ledger.fills}
    found: defaultdict[str, list[BrokerFill]] = defaultdict(list)
    for fill in broker_fills(told):
        found[position_of[fill.key]].append(fill)
    return dict(found)


def cost(fills: Iterable[BrokerFill], rates: Rates, unit: Decimal = PAISA) -> dict[str, Decimal]:
    """Reckon what some trades cost together; `unit` is what STT and stamp are rounded to (on a note: the rupee)."""
    rows = list(fills)
    bought = sum(fill.turnover for fill in rows if fill.side == "BUY")
    sold = sum(fill.turnover for fill in rows if fill.side == "SELL")
    brokerage = Decimal(20) * len({fill.key for fill in rows})
    txn = _rounded((bought + sold) * rates.txn / 100)
    sebi = _rounded((bought + sold) * rates.sebi / 100)
    return {
        "brokerage": brokerage,
        "stt": _rounded(sold * rates.stt_sell / 100, unit),
        "txn": txn,
        "sebi": sebi,
        "stamp": _rounded(bought * rates.stamp_buy / 100, unit),
        "gst": _rounded((brokerage + txn + sebi) * 18 / 100),
    }


def _rounded(amount: Decimal | int, unit: Decimal = PAISA) -> Decimal:
    return Decimal(amount).quantize(unit, rounding=ROUND_HALF_UP)


def report_of(told: Told, day: date) -> dict[str, Any]:
    text = (told.folder / "reports" / day.isoformat() / "day.json").read_text(encoding="utf-8")
    body: dict[str, Any] = json.loads(text)
    return body


def csv_of(told: Told, day: date, name: str) -> list[dict[str, str]]:
    path = told.folder / "reports" / day.isoformat() / f"{name}.csv"
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))

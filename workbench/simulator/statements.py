"""What the broker writes down when a day is over: the contract note, the ledger and the trade history.

While a day runs the funds show no charges, as at Dhan. At its end the note of all its trades, the tax on exercised
options and the fee for positions that the broker had to close are taken from the account.

Invariant: the ledger's running balance is the account's cash at the start of the next day, to the paisa.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from workbench.core.charges import (
    ChargeLine,
    Charges,
    ChargeTable,
    Execution,
    charge_kind,
    charges_of,
    contract_note,
    exchange_of,
    exercise_line,
    fill_line,
)
from workbench.core.instrument import InstrumentKind
from workbench.core.money import ZERO, to_paisa
from workbench.simulator.account import Account, Expired
from workbench.simulator.orders import Trade

PAGE = 20
"""Rows of a page of the trade history, as recorded."""

SQUARE_OFF_FEE = Decimal("23.60")
"""Rupees for each position that the broker closed: 20 and GST."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One row of the ledger: an amount above zero was paid to the client."""

    on: date
    narration: str
    amount: Decimal
    balance: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Billed:
    """One trade and what it cost alone."""

    trade: Trade
    charges: Charges


class Statements:
    """The account's papers.

    Parameters
    ----------
    account : Account
    table : ChargeTable
    """

    def __init__(self, account: Account, table: ChargeTable) -> None:
        self._account, self._table = account, table
        self._opening = account.start_of_day
        self.entries: list[Entry] = []
        self.trades: list[Billed] = []

    def close_day(self, day: date, trades: list[Trade], expired: list[Expired]) -> None:
        """Bill a day that the account has been settled for."""
        before = self.entries[-1].balance if self.entries else self._opening
        lines = self._lines(day, trades)
        exercised = list(self._exercised(day, expired))
        # The note rounds taxes to the rupee once a day, the exercise among them.
        bill = contract_note([line] for _, line in lines).charges
        note = contract_note([*([line] for _, line in lines), *([line] for line in exercised)]).charges
        closed = {(each.order.listed.instrument.key, each.order.product) for each in trades if each.order.source == "N"}
        self.trades.extend(Billed(trade=trade, charges=charges_of([line])) for trade, line in lines)
        self._write(day, "TRADING RESULT AND EXPIRY SETTLEMENT", to_paisa(self._account.start_of_day - before))
        costs = (
            ("CHARGES AS PER CONTRACT NOTE", bill.total),
            ("STT ON EXERCISED OPTIONS", note.total - bill.total),
            ("AUTO SQUARE OFF CHARGES", SQUARE_OFF_FEE * len(closed)),
        )
        for narration, amount in costs:
            self._account.start_of_day -= amount
            self._write(day, narration, -amount)

    def ledger(self, first: date, last: date, client_id: str) -> list[dict[str, Any]]:
        """Give the rows of some days, amounts as text; days without one have two rows that say nothing."""
        rows = [
            {
                "dhanClientId": client_id,
                "narration": each.narration,
                "voucherdate": each.on.strftime("%b %d, %Y"),
                "exchange": "NSE-FNO",
                "voucherdesc": "JOURNAL",
                "vouchernumber": f"{each.on:%Y%m%d}{number:05d}",
                "debit": f"{max(ZERO, -each.amount):.2f}",
                "credit": f"{max(ZERO, each.amount):.2f}",
                "runbal": f"{each.balance:.2f}",
            }
            for number, each in enumerate(self.entries, start=1)
            if first <= each.on <= last
        ]
        return rows or [_nothing(name, client_id) for name in ("CLOSING BALANCE", "OPENING BALANCE")]

    def history(self, first: date, last: date, page: int) -> list[Billed]:
        """Give one page of the billed trades of some days, the newest first."""
        found = [each for each in reversed(self.trades) if first <= each.trade.time.date() <= last]
        return found[page * PAGE : (page + 1) * PAGE]

    def _write(self, day: date, narration: str, amount: Decimal) -> None:
        if amount:
            before = self.entries[-1].balance if self.entries else self._opening
            self.entries.append(Entry(on=day, narration=narration, amount=amount, balance=before + amount))

    def _lines(self, day: date, trades: Iterable[Trade]) -> list[tuple[Trade, ChargeLine]]:
        found: list[tuple[Trade, ChargeLine]] = []
        turnover: dict[str, Decimal] = {}
        for trade in trades:
            order, instrument = trade.order, trade.order.listed.instrument
            fill = Execution(side=order.side, quantity=trade.quantity, price=trade.price, on=day)
            kind = charge_kind(instrument.kind, delivery=order.product in ("CNC", "MTF"))
            before = turnover.get(order.order_id, ZERO)
            line = fill_line(self._table, kind, exchange_of(instrument.segment), fill, turnover_before=before)
            turnover[order.order_id] = before + trade.price * trade.quantity
            found.append((trade, line))
        return found

    def _exercised(self, day: date, expired: Iterable[Expired]) -> Iterable[ChargeLine]:
        for each in expired:
            instrument = each.listed.instrument
            if instrument.kind is InstrumentKind.OPTION and each.net > 0 and each.price > ZERO:
                exchange = exchange_of(instrument.segment)
                yield exercise_line(self._table, exchange, quantity=each.net, intrinsic=each.price, on=day)


def _nothing(name: str, client_id: str) -> dict[str, Any]:
    """Give a row of a ledger without entries, as recorded."""
    return {
        "dhanClientId": client_id, "narration": name, "voucherdate": "Jan 01, 1970", "exchange": "NSE_CASH",
        "voucherdesc": name, "vouchernumber": "", "debit": "0.00", "credit": "0.0", "runbal": "0",
    }  # fmt: skip

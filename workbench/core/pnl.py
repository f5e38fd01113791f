"""P&L after charges, from fills alone: the one computation behind ledger, page and report."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import date
from decimal import Decimal

from workbench.core.charges import (
    ChargeLine,
    ChargeTable,
    ContractNote,
    Execution,
    charge_kind,
    charges_of,
    contract_note,
    exchange_of,
    exercise_line,
    fill_line,
)
from workbench.core.instrument import InstrumentKind
from workbench.core.money import ZERO
from workbench.core.order import Product
from workbench.core.position import Fill, Position
from workbench.core.signal import Side


def charge_lines(position: Position, table: ChargeTable) -> tuple[ChargeLine, ...]:
    """Turn the fills of a position into lines of a bill; brokerage is due once for an order, however it filled."""
    instrument = position.plan.instrument
    kind = charge_kind(instrument.kind, delivery=position.plan.product is Product.CNC)
    exchange = exchange_of(instrument.segment)
    turnover: dict[str, Decimal] = {}
    lines = []
    for fill in position.fills:
        if fill.settled:
            # Of an expiry only the buyer of an option that ends in the money pays, and only the tax on its value.
            if fill.side is Side.SELL and fill.price > 0 and instrument.kind is InstrumentKind.OPTION:
                value, on = fill.price, fill.at.date()
                lines.append(exercise_line(table, exchange, quantity=fill.quantity, intrinsic=value, on=on))
            continue
        before = turnover.get(fill.correlation_id, ZERO)
        execution = Execution(side=fill.side, quantity=fill.quantity, price=fill.price, on=fill.at.date())
        lines.append(fill_line(table, kind, exchange, execution, turnover_before=before))
        turnover[fill.correlation_id] = before + fill.price * fill.quantity
    return tuple(lines)


def charges_so_far(position: Position, table: ChargeTable) -> Decimal:
    """Charges of what has filled, rupees to the paisa."""
    return charges_of(charge_lines(position, table)).total if position.fills else ZERO


def day_note(positions: Iterable[Position], table: ChargeTable, on: date | None = None) -> ContractNote:
    """Bill a day: what the broker's contract note will say, with the rounding as a line of its own.

    Of a position that was carried over, the note of day `on` holds the fills of that day only; None takes all fills.
    The broker rounds each of its days, and the position is billed once, over all of them: those paise belong to the
    rounding of the later day. So the trades of some days and their roundings add up to the notes of these days.
    """
    filled = [position for position in positions if position.fills]
    if on is None:
        return contract_note(charge_lines(position, table) for position in filled)
    today = (_only(position, lambda fill: fill.at.date() >= on) for position in filled)
    note = contract_note(charge_lines(position, table) for position in today if position.fills)
    billed = ZERO
    for position in filled:
        before = _only(position, lambda fill: fill.at.date() < on)
        billed += charges_so_far(position, table) - charges_so_far(before, table)
    return replace(note, trades_total=billed)


def _only(position: Position, wanted: Callable[[Fill], bool]) -> Position:
    return replace(position, fills=tuple(fill for fill in position.fills if wanted(fill)))

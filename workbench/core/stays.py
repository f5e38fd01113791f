"""What stays when the day is over: the positions that a person sleeps on, each with the reason why it is not left.

Invariant: computed from book and last prices alone, so that API and export of one moment give the same list.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from workbench.core.bars import Quote
from workbench.core.charges import ChargeTable
from workbench.core.exits import leaving_price
from workbench.core.plan import Overnight
from workbench.core.pnl import charges_so_far
from workbench.core.position import Position, PositionState


@dataclass(frozen=True, slots=True, kw_only=True)
class Staying:
    """One position that stays; prices in rupees a unit.

    Parameters
    ----------
    deployment, position_id : str
    contract, key : str
    symbol : str
        The underlying of a derivative, a share's own symbol.
    expiry : str
        ISO day; empty for what does not expire.
    strike : Decimal or None
    type : str
        CE or PE; empty for what is no option.
    side : str
        BUY or SELL: how it was entered.
    quantity : int
        Units.
    product : str
        MARGIN and CNC stay; INTRADAY is what the broker squares off himself.
    entry_price : Decimal
    last_price, pnl : Decimal or None
        The price at which it would be left, and P&L at it in rupees after the charges so far; None without a price.
    stop : Decimal or None
        The stop that is laid again at the next open.
    state : str
        As the position's own; ``carried`` once it is decided that it stays.
    why : str
    """

    deployment: str
    position_id: str
    contract: str
    key: str
    symbol: str
    expiry: str
    strike: Decimal | None
    type: str
    side: str
    quantity: int
    product: str
    entry_price: Decimal
    last_price: Decimal | None
    stop: Decimal | None
    pnl: Decimal | None
    state: str
    why: str


def staying(
    positions: Iterable[Position],
    quotes: Mapping[str, Quote],
    *,
    charges: ChargeTable,
    today: date,
    is_over: bool,
) -> tuple[Staying, ...]:
    """Give the positions that stay, or will unless they are left before the close.

    Parameters
    ----------
    positions : iterable of Position
        Live ones.
    quotes : Mapping of str to Quote
        Last quotes by contract key.
    charges : ChargeTable
    today : date
    is_over : bool
        Today's session is over: then all that is still held stays, whatever its plan says.
    """
    found = ((each, _why(each, today, is_over=is_over)) for each in positions if each.open_quantity)
    return tuple(_row(each, quotes.get(each.plan.instrument.key), charges, why) for each, why in found if why)


def _why(position: Position, today: date, *, is_over: bool) -> str:
    overnight, expiry = position.plan.overnight, position.plan.instrument.expiry
    if position.state is PositionState.EXPIRING:
        return "left to expire: waits for the settlement price (workbench settle)"
    if position.state is PositionState.CARRIED:
        return f"stays over the night: its plan says overnight: {overnight.value}"
    if is_over:
        return "was not left before the close; it is taken up at the next open"
    is_last_day = expiry is not None and expiry <= today
    if overnight is Overnight.SQUARE_OFF or is_last_day or position.exit_reason:
        return ""
    on = ", if it is a winner then" if overnight is Overnight.KEEP_WINNERS else ""
    return f"will stay, decided a minute before its trading ends{on}: its plan says overnight: {overnight.value}"


def _row(position: Position, quote: Quote | None, charges: ChargeTable, why: str) -> Staying:
    plan, instrument = position.plan, position.plan.instrument
    price = leaving_price(position.side, quote) if quote is not None else None
    return Staying(
        deployment=plan.deployment,
        position_id=position.position_id,
        contract=instrument.name,
        key=instrument.key,
        symbol=instrument.symbol,
        expiry="" if instrument.expiry is None else instrument.expiry.isoformat(),
        strike=instrument.strike,
        type="" if instrument.right is None else instrument.right.value,
        side=position.side.value,
        quantity=position.open_quantity,
        product=plan.product.value,
        entry_price=position.entry_price,
        last_price=price,
        stop=position.stop,
        pnl=None if price is None else position.gross_at(price) - charges_so_far(position, charges),
        state=position.state.value,
        why=why,
    )

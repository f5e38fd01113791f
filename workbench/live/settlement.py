"""What was left to expire is booked once its settlement price is known, and a person is reminded until it is.

A simulated broker settles at its own last price of the underlying, which is the one that it has sent us; there the
price is told by itself. The exchange's own settlement price comes to nobody by a wire, so in live a person tells it.

Invariant: nothing is settled before its session is over, and never at a price that nobody has told.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from workbench.core.deployment import Mode
from workbench.core.messages import Level, SettlementTold
from workbench.core.position import Position
from workbench.live.system import LiveSystem


def waiting(system: LiveSystem) -> dict[tuple[str, date], list[Position]]:
    """Positions whose contract has ended, by underlying and expiry."""
    found: dict[tuple[str, date], list[Position]] = {}
    today, session = system.now.date(), system.session()
    for position in system.runner.engine.book.live_positions():
        instrument = position.plan.instrument
        if not position.open_quantity or instrument.expiry is None or instrument.expiry > today:
            continue
        if instrument.expiry < today or session is None or system.now >= session.close:
            found.setdefault((instrument.symbol, instrument.expiry), []).append(position)
    return found


async def settle(system: LiveSystem) -> list[str]:
    """Tell the engine what a simulated broker settles at; remind a person of what nobody has told.

    Returns
    -------
    list of str
        Ids of the positions that were settled.
    """
    settled: list[str] = []
    for (symbol, expiry), positions in waiting(system).items():
        price = _own_price(system, symbol, expiry)
        if system.mode is Mode.LIVE or price is None:
            _remind(system, symbol, expiry, positions)
            continue
        await system.runner.put(SettlementTold(symbol=symbol, expiry=expiry, price=price))
        settled += [item.position_id for item in positions]
    return settled


def _own_price(system: LiveSystem, symbol: str, expiry: date) -> Decimal | None:
    """Last price of the underlying on the day of expiry; None where we have not seen it."""
    quote = system.spot_quote(symbol)
    return quote.last if quote is not None and quote.time.date() == expiry else None


def _remind(system: LiveSystem, symbol: str, expiry: date, positions: list[Position]) -> None:
    units = ", ".join(f"{item.open_quantity} {item.plan.instrument.name}" for item in positions)
    text = (
        f"{units} expired on {expiry} and wait for their settlement price: when the exchange has told it, "
        f"workbench settle {symbol} {expiry} PRICE"
    )
    system.runner.notifier.send(Level.ALARM.value, text)

"""The simulated account's money: positions summed from fills, and what margin leaves free.

Kept apart from `core.book` and `core.position` on purpose: where the engine's sums and these differ, one of them is
wrong, and a test can tell.

Invariant: a position is the sum of its fills and of what was carried in; free funds are the day's start plus realised
profit less what positions and pending orders block.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from workbench.core.instrument import InstrumentKind
from workbench.core.money import ZERO, to_paisa
from workbench.core.signal import Side
from workbench.simulator.listing import Listed
from workbench.simulator.orders import SimOrder, Trade

MARGIN_SHARE = Decimal("0.12")
"""Of the contract's value, for everything but a bought option: a plain stand-in for SPAN and exposure."""


@dataclass(slots=True, kw_only=True)
class SimPosition:
    """Bought and sold units and their value in one product; `carried_*` came from an earlier day."""

    listed: Listed
    product: str
    day_buy: int = 0
    day_buy_value: Decimal = ZERO
    day_sell: int = 0
    day_sell_value: Decimal = ZERO
    carried_buy: int = 0
    carried_buy_value: Decimal = ZERO
    carried_sell: int = 0
    carried_sell_value: Decimal = ZERO

    @property
    def bought(self) -> int:
        """Units bought, carried ones included."""
        return self.day_buy + self.carried_buy

    @property
    def sold(self) -> int:
        """Units sold, carried ones included."""
        return self.day_sell + self.carried_sell

    @property
    def net(self) -> int:
        """Units held; below zero: short."""
        return self.bought - self.sold

    @property
    def buy_average(self) -> Decimal:
        """Average price of what was bought, rupees."""
        return (self.day_buy_value + self.carried_buy_value) / self.bought if self.bought else ZERO

    @property
    def sell_average(self) -> Decimal:
        """Average price of what was sold, rupees."""
        return (self.day_sell_value + self.carried_sell_value) / self.sold if self.sold else ZERO

    @property
    def realised(self) -> Decimal:
        """Profit of what was both bought and sold, rupees."""
        both = min(self.bought, self.sold)
        return (self.sell_average - self.buy_average) * both if both else ZERO

    def unrealised(self, last: Decimal) -> Decimal:
        """Give the profit of what is held at a price, rupees."""
        cost = self.buy_average if self.net > 0 else self.sell_average
        return (last - cost) * self.net

    def take(self, side: Side, quantity: int, price: Decimal) -> None:
        """Count a fill in."""
        if side is Side.BUY:
            self.day_buy += quantity
            self.day_buy_value += price * quantity
        else:
            self.day_sell += quantity
            self.day_sell_value += price * quantity

    def give(self, side: Side, quantity: int, price: Decimal) -> None:
        """Take units out of what was bought or sold, the day's first."""
        if side is Side.BUY:
            today = min(quantity, self.day_buy)
            self.day_buy, self.day_buy_value = self.day_buy - today, self.day_buy_value - price * today
            self.carried_buy -= quantity - today
            self.carried_buy_value -= price * (quantity - today)
        else:
            today = min(quantity, self.day_sell)
            self.day_sell, self.day_sell_value = self.day_sell - today, self.day_sell_value - price * today
            self.carried_sell -= quantity - today
            self.carried_sell_value -= price * (quantity - today)

    def carried(self) -> SimPosition:
        """Give the position as it opens the next day: only what is held, at its average."""
        held = SimPosition(listed=self.listed, product=self.product)
        if self.net > 0:
            held.carried_buy, held.carried_buy_value = self.net, self.buy_average * self.net
        else:
            held.carried_sell, held.carried_sell_value = -self.net, self.sell_average * -self.net
        return held


@dataclass(frozen=True, slots=True, kw_only=True)
class Expired:
    """A position that ended with its contract; `price` is what it was settled at, rupees a unit."""

    listed: Listed
    product: str
    net: int
    price: Decimal


class Account:
    """Positions and funds.

    Parameters
    ----------
    funds : Decimal
        Rupees at the start.
    """

    def __init__(self, funds: Decimal) -> None:
        self.start_of_day = funds
        self.positions: dict[tuple[str, str], SimPosition] = {}

    def take(self, trade: Trade) -> None:
        """Count a trade in."""
        order = trade.order
        key = (order.listed.instrument.key, order.product)
        position = self.positions.setdefault(key, SimPosition(listed=order.listed, product=order.product))
        position.take(order.side, trade.quantity, trade.price)

    def held(self, key: str) -> int:
        """Give the units held of an instrument, over all products."""
        return sum(each.net for (name, _), each in self.positions.items() if name == key)

    @property
    def realised(self) -> Decimal:
        """Profit realised today, before charges, rupees."""
        return sum((each.realised for each in self.positions.values()), ZERO)

    def blocked(self, orders: Iterable[SimOrder], spot: Callable[[str], Decimal]) -> Decimal:
        """Give what positions and these pending orders block, rupees.

        A sale that closes a held long blocks nothing; the second one over the same units is a short sale and is
        margined, resting stop or not.
        """
        pending: dict[str, list[SimOrder]] = {}
        for order in orders:
            pending.setdefault(order.listed.instrument.key, []).append(order)
        total = ZERO
        held: dict[str, tuple[Listed, int, Decimal]] = {}
        for (key, _), position in self.positions.items():
            listed, net, cost = held.get(key, (position.listed, 0, ZERO))
            average = position.buy_average if position.net > 0 else position.sell_average
            held[key] = (listed, net + position.net, cost + average * position.net)
        for key in sorted({*pending, *held}):
            orders_here = pending.get(key, [])
            listed, net, cost = held[key] if key in held else (orders_here[0].listed, 0, ZERO)
            total += _blocked(listed, net, cost, orders_here, spot)
        return to_paisa(total)

    def settle(self, day: date, spot: Callable[[str], Decimal]) -> list[Expired]:
        """Close a day: expired positions are paid out, the rest is carried to the next day."""
        self.start_of_day += self.realised
        carried: dict[tuple[str, str], SimPosition] = {}
        expired: list[Expired] = []
        for key, position in self.positions.items():
            listed, net = position.listed, position.net
            expiry = listed.instrument.expiry
            if net == 0:
                continue
            if expiry is not None and expiry <= day:
                price = _settlement(listed, spot(listed.instrument.symbol))
                self.start_of_day += position.unrealised(price)
                expired.append(Expired(listed=listed, product=position.product, net=net, price=price))
            else:
                carried[key] = position.carried()
        # Averages have more digits than money has.
        self.start_of_day = to_paisa(self.start_of_day)
        self.positions = carried
        return expired

    def convert(self, key: tuple[str, str], product: str, quantity: int) -> None:
        """Move units held, at their average price, from one product to another."""
        position = self.positions[key]
        side = Side.BUY if position.net > 0 else Side.SELL
        average = position.buy_average if side is Side.BUY else position.sell_average
        position.give(side, quantity, average)
        target = (key[0], product)
        there = self.positions.setdefault(target, SimPosition(listed=position.listed, product=product))
        there.take(side, quantity, average)


def _settlement(listed: Listed, spot: Decimal) -> Decimal:
    """Give what a contract pays at its expiry, rupees a unit: the intrinsic value, or the underlying's price."""
    instrument = listed.instrument
    if instrument.strike is None or instrument.right is None:
        return spot
    inside = spot - instrument.strike if instrument.right.value == "CE" else instrument.strike - spot
    return max(ZERO, inside)


def margin_of(listed: Listed, side: Side, quantity: int, price: Decimal, spot: Decimal) -> Decimal:
    """Give what opening that many units blocks, rupees: the premium of a bought option, else a share of the value."""
    instrument = listed.instrument
    if instrument.kind is InstrumentKind.OPTION and side is Side.BUY:
        return price * quantity
    if instrument.kind is InstrumentKind.EQUITY:
        return price * quantity
    return spot * quantity * MARGIN_SHARE


def _blocked(
    listed: Listed, net: int, cost: Decimal, orders: list[SimOrder], spot_of: Callable[[str], Decimal]
) -> Decimal:
    spot = spot_of(listed.instrument.symbol)
    total = ZERO
    if net > 0:
        total += margin_of(listed, Side.BUY, net, cost / net, spot)
    elif net < 0:
        total += margin_of(listed, Side.SELL, -net, ZERO, spot)
    for side, cover in ((Side.BUY, max(0, -net)), (Side.SELL, max(0, net))):
        left = cover
        for order in orders:
            if order.side is side:
                opening = max(0, order.remaining - left)
                left = max(0, left - order.remaining)
                total += margin_of(listed, side, opening, order.price, spot)
    return total

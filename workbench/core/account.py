"""What can be asked of and done to an account besides orders: margin, holdings, kill switch, the broker's own P&L exit.

Invariant: an answer of the broker in words alone is not a fact; `ControlReply.confirmed` says that it was read back.
"""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from workbench.core.messages import Outcome
from workbench.core.money import ZERO
from workbench.core.order import Product


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlReply:
    """How an order to the account ended.

    Parameters
    ----------
    outcome : Outcome
        ACCEPTED without `confirmed` is the broker's word alone.
    confirmed : bool
        Read back and found to be so.
    reason : str
        What is not as wished, in words.
    """

    outcome: Outcome
    confirmed: bool = False
    reason: str = ""


class KillSwitch(StrEnum):
    """The broker's switch that ends trading for the day."""

    ON = "on"
    OFF = "off"


@dataclass(frozen=True, slots=True, kw_only=True)
class PnlExit:
    """The broker's own exit at a profit or a loss of the day, which outlives us.

    `profit` and `loss` are rupees above zero; `kill_switch` ends trading when it fires.
    """

    profit: Decimal
    loss: Decimal
    products: tuple[str, ...] = ("INTRADAY",)
    kill_switch: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Margin:
    """What an order, or a basket of orders, would block, in rupees.

    `hedge_benefit` is what a basket saves against its legs alone (zero for one order); `insufficient` is what the
    account lacks. `available` None: the broker did not say.
    """

    total: Decimal
    span: Decimal = ZERO
    exposure: Decimal = ZERO
    hedge_benefit: Decimal = ZERO
    available: Decimal | None = None
    insufficient: Decimal = ZERO
    brokerage: Decimal = ZERO


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """Shares held over night; units and rupees."""

    security_id: str
    trading_symbol: str
    quantity: int
    available_quantity: int
    average_price: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """A position, or `quantity` units of it, that changes its product."""

    segment: str
    security_id: str
    quantity: int
    is_long: bool
    before: Product
    after: Product

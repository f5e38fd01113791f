"""An empty side of the book is not a price of zero: no target is taken there and no loss is read off it."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import pytest

from workbench.core.bars import Quote
from workbench.core.exits import leaving_price
from workbench.core.session import IST
from workbench.core.signal import Side

AT = datetime(2026, 9, 24, 10, 0, tzinfo=IST)


@pytest.mark.parametrize(("side", "bid", "ask"), [(Side.BUY, "0", "101"), (Side.SELL, "99", "0")])
def test_while_nobody_quotes_the_side_the_last_price_marks_the_position(side: Side, bid: str, ask: str) -> None:
    quote = Quote("NSE_FNO:NIFTY", AT, Decimal(100), Decimal(bid), Decimal(ask))
    assert leaving_price(side, quote) == 100


def test_a_quoted_side_marks_the_position() -> None:
    quote = Quote("NSE_FNO:NIFTY", AT, Decimal(100), Decimal(99), Decimal(101))
    assert (leaving_price(Side.BUY, quote), leaving_price(Side.SELL, quote)) == (Decimal(99), Decimal(101))

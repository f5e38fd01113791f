"""Joins the engine's questions to the broker: chains come from where data come from, margins from the account."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from decimal import Decimal

from workbench.bootstrap.venue import Wires
from workbench.core.instrument import Right
from workbench.core.legs import Listings
from workbench.core.messages import ChainQuote
from workbench.core.money import ZERO
from workbench.data.chain import OptionChain, read_chain
from workbench.live.questions import Questions


def questions_of(wires: Wires, listings: Callable[[], Listings]) -> Questions:
    """Give who answers the engine's questions; `listings` gives the day's own."""

    def chain(symbol: str, expiry: date) -> Sequence[ChainQuote]:
        return chain_quotes(read_chain(wires.data.api, listings().instruments.index(symbol), expiry))

    return Questions(chain=chain, margins=wires.broker.margins)


def chain_quotes(chain: OptionChain) -> tuple[ChainQuote, ...]:
    """Give a chain as the engine reads it; a side that is not quoted is left out."""
    return tuple(
        ChainQuote(
            strike=row.strike,
            right=right,
            bid=side.bid or ZERO,
            ask=side.ask or ZERO,
            delta=Decimal(repr(side.delta)) if side.delta else None,
        )
        for row in chain.rows
        for right in Right
        if (side := row.side(right)) is not None
    )

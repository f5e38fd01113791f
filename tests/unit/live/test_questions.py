"""Questions of the engine: answered once, on the loop, and an error is an answer too."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from workbench.bootstrap.asking import chain_quotes
from workbench.core.account import Margin
from workbench.core.errors import BrokerUnavailable
from workbench.core.instrument import Right
from workbench.core.messages import ChainQuote, ChainRead, MarginRead, Message, ReadChain, ReadMargin
from workbench.data.chain import ChainRow, ChainSide, OptionChain
from workbench.live.questions import Question, Questions

EXPIRY = date(2022, 6, 16)
ROW = ChainQuote(strike=Decimal(15700), right=Right.CE, bid=Decimal(119), ask=Decimal(120))


class Margins:
    """Answers every basket alike, or breaks."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error

    def basket_margin(self, tickets: Sequence[Any], **_: bool) -> Margin:
        if self.error is not None:
            raise self.error
        return Margin(total=Decimal(90_000), available=Decimal(100_000))

    def margin(self, ticket: Any) -> Margin:
        raise NotImplementedError

    def holdings(self) -> Sequence[Any]:
        raise NotImplementedError


def asked(question: Question, *, error: Exception | None = None) -> list[Message]:
    found: list[Message] = []

    def chain(symbol: str, expiry: date) -> Sequence[ChainQuote]:
        if error is not None:
            raise error
        return (ROW,)

    async def go() -> None:
        lane = Questions(chain=chain, margins=Margins(error))
        lane.start(asyncio.get_running_loop(), found.append)
        lane.ask(question)
        assert not lane.is_idle
        async with asyncio.timeout(20):
            while not lane.is_idle:
                await asyncio.sleep(0.01)
        lane.close()

    asyncio.run(go())
    return found


def test_a_chain_and_a_margin_come_back_as_messages() -> None:
    chain, margin = ReadChain(asked_by="a", symbol="NIFTY", expiry=EXPIRY), ReadMargin(asked_by="b", tickets=())
    assert asked(chain) == [ChainRead(asked_by="a", symbol="NIFTY", expiry=EXPIRY, rows=(ROW,))]
    assert asked(margin) == [MarginRead(asked_by="b", total=Decimal(90_000), available=Decimal(100_000))]


def test_what_cannot_be_read_is_told_as_not_known() -> None:
    broken = BrokerUnavailable("HTTP 503")
    for question in (ReadChain(asked_by="a", symbol="NIFTY", expiry=EXPIRY), ReadMargin(asked_by="b", tickets=())):
        (answer,) = asked(question, error=broken)
        assert isinstance(answer, ChainRead | MarginRead)
        assert (answer.known, answer.reason) == (False, "HTTP 503")


def test_a_chain_becomes_rows_without_sides_that_are_not_there() -> None:
    side = ChainSide(
        security_id="1", last=Decimal(120), bid=Decimal(119), ask=None, previous_close=None, bid_quantity=1,
        ask_quantity=0, volume=0, oi=0, previous_oi=0, iv_pct=0.0, delta=0.5, theta=0.0, gamma=0.0, vega=0.0,
    )  # fmt: skip
    row = ChainRow(strike=Decimal(15700), ce=side, pe=None)
    rows = chain_quotes(OptionChain(underlying="NIFTY", expiry=EXPIRY, spot=Decimal(15712), rows=(row,)))
    assert rows == (
        ChainQuote(strike=Decimal(15700), right=Right.CE, bid=Decimal(119), ask=Decimal(0), delta=Decimal("0.5")),
    )

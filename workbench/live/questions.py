"""Questions of the engine that no order waits behind: the chain of an expiry, the margin of a basket.

A chain may take the broker's three seconds, so they have a thread of their own beside the order lanes.

Invariant: every question is answered once; what could not be read is told as not known, with the reason.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import date
from typing import Protocol

from workbench.core.messages import ChainQuote, ChainRead, MarginRead, Message, ReadChain, ReadMargin
from workbench.core.ports import MarginSource

Question = ReadChain | ReadMargin
ChainReader = Callable[[str, date], Sequence[ChainQuote]]
"""Gives the options of an underlying and an expiry as they are quoted now (blocking)."""


class Answers(Protocol):
    """Who answers the engine's questions."""

    @property
    def is_idle(self) -> bool:
        """Nothing is being asked."""
        ...

    def start(self, loop: asyncio.AbstractEventLoop, deliver: Callable[[Message], None]) -> None:
        """Begin; `deliver` is called on the loop with every answer."""
        ...

    def ask(self, question: Question) -> None:
        """Have a question answered."""
        ...


class Questions:
    """One thread that asks the broker; implements `Answers`.

    Parameters
    ----------
    chain : callable
    margins : MarginSource
    """

    def __init__(self, *, chain: ChainReader, margins: MarginSource) -> None:
        self._chain, self._margins = chain, margins
        self._lane = ThreadPoolExecutor(max_workers=1, thread_name_prefix="lane-questions")
        self._loop: asyncio.AbstractEventLoop | None = None
        self._deliver: Callable[[Message], None] = lambda _: None
        self._under_way = 0

    @property
    def is_idle(self) -> bool:
        """Nothing is being asked."""
        return self._under_way == 0

    def start(self, loop: asyncio.AbstractEventLoop, deliver: Callable[[Message], None]) -> None:
        """Begin; `deliver` is called on the loop with every answer."""
        self._loop, self._deliver = loop, deliver

    def ask(self, question: Question) -> None:
        """Have a question answered."""
        self._under_way += 1
        future = self._lane.submit(self._read, question)
        future.add_done_callback(lambda done: self._come_back(_answer(question, done)))

    def close(self) -> None:
        """Wait for what is under way and stop the thread."""
        self._lane.shutdown(wait=True)

    def _read(self, question: Question) -> ChainRead | MarginRead:
        if isinstance(question, ReadChain):
            rows = tuple(self._chain(question.symbol, question.expiry))
            return ChainRead(asked_by=question.asked_by, symbol=question.symbol, expiry=question.expiry, rows=rows)
        margin = self._margins.basket_margin(question.tickets)
        return MarginRead(asked_by=question.asked_by, total=margin.total, available=margin.available)

    def _come_back(self, message: Message) -> None:
        """Run in the thread: hand the answer to the loop."""
        if self._loop is None:
            return
        try:
            self._loop.call_soon_threadsafe(self._arrive, message)
        except RuntimeError:
            return  # the loop has ended; what waited for it has ended too

    def _arrive(self, message: Message) -> None:
        self._under_way -= 1
        self._deliver(message)


def unanswered(question: Question, reason: str) -> ChainRead | MarginRead:
    """Say that a question has no answer."""
    if isinstance(question, ReadChain):
        return ChainRead(
            asked_by=question.asked_by, symbol=question.symbol, expiry=question.expiry, known=False, reason=reason
        )
    return MarginRead(asked_by=question.asked_by, known=False, reason=reason)


def _answer(question: Question, done: Future[ChainRead | MarginRead]) -> ChainRead | MarginRead:
    error = done.exception()
    return done.result() if error is None else unanswered(question, str(error))

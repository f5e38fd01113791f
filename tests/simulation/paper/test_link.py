"""The link to the mirror: what it forwards, what it says again after a loss, and what it does not."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from websockets.asyncio.server import ServerConnection, serve

from workbench.core.bars import Quote
from workbench.core.instrument import Instrument, InstrumentKind, Segment
from workbench.core.session import IST
from workbench.live.clock import PracticeClock
from workbench.live.mirror_link import MirroredFeed, MirrorLink

NOON = datetime(2026, 11, 16, 12, tzinfo=IST)
INDEX = Instrument(segment=Segment.IDX_I, security_id="13", symbol="NIFTY", kind=InstrumentKind.INDEX)
PRICE = Decimal("24010.05")
QUOTE = Quote(key=INDEX.key, time=NOON, last=PRICE, bid=PRICE, ask=PRICE)


@dataclass
class Mirror:
    """Takes what is forwarded; `stale` is what it answers."""

    port: int = 0
    hellos: list[Any] = field(default_factory=list)
    said: list[Any] = field(default_factory=list)
    sockets: list[ServerConnection] = field(default_factory=list)
    stale: str = ""

    async def serve(self, socket: ServerConnection) -> None:
        self.sockets.append(socket)
        self.hellos.append(json.loads(await socket.recv()))
        async for text in socket:
            message = json.loads(text)
            self.said.append(message)
            answer = {
                "number": message["number"], "stale": bool(self.stale), "why_stale": self.stale, "unknown": [],
            }  # fmt: skip
            await socket.send(json.dumps(answer))

    @property
    def quotes(self) -> list[Any]:
        return [row for message in self.said for row in message["quotes"]]

    @property
    def facts(self) -> list[Any]:
        return [row for message in self.said for row in message["instruments"]]


class Feed:
    """A feed that a test speaks for."""

    on_quote: Callable[[Quote, float], None]
    on_state: Callable[[bool, str], None]

    async def run(self, on_quote: Callable[[Quote, float], None], on_state: Callable[[bool, str], None]) -> None:
        self.on_quote, self.on_state = on_quote, on_state
        await asyncio.Event().wait()

    def subscribe(self, instruments: Any) -> None:
        self.wanted = instruments

    def unsubscribe(self, instruments: Any) -> None:
        self.wanted = ()


async def until(met: Callable[[], Any]) -> None:
    async with asyncio.timeout(20):
        while not met():
            await asyncio.sleep(0.005)


@asynccontextmanager
async def linked() -> AsyncIterator[tuple[Mirror, MirrorLink, MirroredFeed, Feed, list[tuple[bool, str]]]]:
    mirror, feed, states = Mirror(), Feed(), list[tuple[bool, str]]()
    async with serve(mirror.serve, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        link = MirrorLink(
            f"ws://127.0.0.1:{port}/mirror", "1", "word", clock=PracticeClock(NOON), feed_state=lambda: (True, ""),
            on_state=lambda up, reason: states.append((up, reason)),
        )  # fmt: skip
        both = MirroredFeed(feed, link)
        heard: list[Quote] = []
        tasks = [
            asyncio.create_task(link.run()),
            asyncio.create_task(both.run(lambda quote, _: heard.append(quote), lambda *_: None)),
        ]
        await until(lambda: link.connected.is_set() and hasattr(feed, "on_quote"))
        try:
            yield mirror, link, both, feed, states
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def test_facts_come_before_quotes_and_time_comes_without_either() -> None:
    async def run() -> None:
        async with linked() as (mirror, _, both, feed, states):
            both.subscribe([INDEX])
            feed.on_quote(QUOTE, 1.0)
            await until(lambda: mirror.quotes)
            assert mirror.hellos == [{"client": "1", "token": "word"}]
            assert [row["security_id"] for row in mirror.facts] == ["13"]
            assert mirror.quotes[0][:5] == [INDEX.key, NOON.isoformat(), "24010.05", "24010.05", "24010.05"]
            count = len(mirror.said)
            await until(lambda: len(mirror.said) > count)
            assert mirror.said[-1]["now"] == NOON.isoformat()
            assert states[-1] == (True, "")

    asyncio.run(run())


def test_a_mirror_that_comes_back_is_told_all_facts_and_the_newest_prices() -> None:
    async def run() -> None:
        async with linked() as (mirror, link, both, feed, states):
            both.subscribe([INDEX])
            feed.on_quote(QUOTE, 1.0)
            feed.on_quote(replace(QUOTE, last=PRICE + 1), 2.0)
            await until(lambda: len(mirror.quotes) == 2)
            mirror.said.clear()
            await mirror.sockets[-1].close()
            await until(lambda: len(mirror.sockets) == 2 and link.connected.is_set() and mirror.quotes)
            assert [row["symbol"] for row in mirror.facts] == ["NIFTY"]
            assert [row[2] for row in mirror.quotes] == ["24011.05"]
            assert any(not up and "away" in reason for up, reason in states)

    asyncio.run(run())


def test_s4_prices_of_a_feed_that_was_lost_are_not_told_again() -> None:
    async def run() -> None:
        async with linked() as (mirror, link, both, feed, _):
            both.subscribe([INDEX])
            feed.on_quote(QUOTE, 1.0)
            await until(lambda: mirror.quotes)
            feed.on_state(False, "closed")
            mirror.said.clear()
            await mirror.sockets[-1].close()
            await until(lambda: len(mirror.sockets) == 2 and link.connected.is_set() and mirror.facts)
            assert mirror.quotes == []

    asyncio.run(run())


def test_a_stale_mirror_is_told_once_with_its_reason() -> None:
    async def run() -> None:
        async with linked() as (mirror, _, both, feed, states):
            mirror.stale = "nothing was forwarded for 4 s"
            both.subscribe([INDEX])
            await until(lambda: states and not states[-1][0])
            feed.on_quote(QUOTE, 1.0)
            await until(lambda: mirror.quotes)
            assert states.count((False, "nothing was forwarded for 4 s")) == 1

    asyncio.run(run())

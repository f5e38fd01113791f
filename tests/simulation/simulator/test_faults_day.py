"""Faults of every kind over one stretch of market, by seed: each strikes, the server survives, the book adds up."""

from __future__ import annotations

import asyncio
import json
import logging
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import time
from typing import Any

import pytest
import requests
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from workbench.core.instrument import Right
from workbench.simulator.fault_plan import HEALING, FaultPlan
from workbench.simulator.faults import Fault
from workbench.testing.simulator import RunningSimulator, running_simulator

_REST = (("POST", "/orders"), ("GET", "/orders"), ("GET", "/positions"), ("GET", "/trades"))


class Client:
    """A client that goes on whatever happens to it."""

    def __init__(self, sim: RunningSimulator) -> None:
        self.sim, self.seen = sim, Counter[str]()
        option = sim.option(right=Right.CE)
        self.body = {
            "transactionType": "BUY", "exchangeSegment": "NSE_FNO", "productType": "INTRADAY", "price": 0,
            "orderType": "MARKET", "validity": "DAY", "securityId": option.security_id, "quantity": option.lot,
        }  # fmt: skip

    def rest(self) -> None:
        """Place, read, change, cancel; errors are counted."""
        for method, path in _REST:
            self._send(method, path)
        name = self.sim.call(lambda: next(reversed(self.sim.simulator.desk.orders), "1"))
        self._send("PUT", f"/orders/{name}")
        self._send("DELETE", f"/orders/{name}")

    def _send(self, method: str, path: str) -> None:
        headers = {"access-token": self.sim.token, "client-id": self.sim.client_id, "Connection": "close"}
        with requests.Session() as session:
            session.trust_env = False
            try:
                answered = session.request(
                    method, f"{self.sim.base_url}{path}", json=self.body, headers=headers, timeout=5
                )
            except requests.RequestException as error:
                self.seen[type(error).__name__] += 1
            else:
                self.seen[str(answered.status_code)] += 1

    async def listen(self, url: str, first: Callable[[], str]) -> None:
        """Listen to a stream for ever and connect again when it ends."""
        while True:
            try:
                async with connect(url, proxy=None, ping_interval=0.1, ping_timeout=0.3, close_timeout=0.1) as link:
                    await link.send(first())
                    while True:
                        await link.recv()
                        self.seen[url] += 1
            except (ConnectionClosed, InvalidHandshake, OSError) as error:
                self.seen[type(error).__name__] += 1
                await asyncio.sleep(0.02)


@contextmanager
def heard_by(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Let the test hear the server's own log, which goes no further up than to itself."""
    log = logging.getLogger("uvicorn")
    log.addHandler(caplog.handler)
    yield
    log.removeHandler(caplog.handler)


def pressed(plan: FaultPlan) -> list[Fault]:
    """Press a day of faults into minutes: one every six market seconds, each with short real times."""
    faults = []
    for place, fault in enumerate(plan.faults):
        second = 30 + 6 * place
        at = time(9, 15 + second // 60, second % 60)
        faults.append(replace(fault, at=at, seconds=min(fault.seconds, 0.1), count=1))
    return faults


@pytest.mark.parametrize("seed", [1, 2])
def test_every_kind_strikes_and_the_book_adds_up(seed: int, caplog: pytest.LogCaptureFixture) -> None:
    plan = FaultPlan.seeded(seed, 6)

    async def work(sim: RunningSimulator) -> Client:
        client = Client(sim)
        login = {"LoginReq": {"MsgCode": 42, "ClientId": sim.client_id, "Token": sim.token}, "UserType": "SELF"}
        wanted = [{"ExchangeSegment": "IDX_I", "SecurityId": "13"}]
        ask = {"RequestCode": 15, "InstrumentCount": 1, "InstrumentList": wanted}
        query = f"?version=2&token={sim.token}&clientId={sim.client_id}&authType=2"
        streams = [
            asyncio.create_task(client.listen(sim.feed_url + query, lambda: json.dumps(ask))),
            asyncio.create_task(client.listen(sim.updates_url, lambda: json.dumps(login))),
        ]
        await asyncio.to_thread(sim.open_market)
        await asyncio.to_thread(sim.order, *pressed(plan))
        rounds = 0
        while sim.application.faults.waiting or rounds < 50:
            rounds += 1
            assert rounds < 100, f"seed {seed}: never struck {sim.application.faults.as_dict()['waiting']}"
            await asyncio.to_thread(sim.advance, 6)
            await asyncio.to_thread(client.rest)
            if rounds == 60:
                # A refused reconnect needs somebody who reconnects.
                await asyncio.to_thread(sim.fault, "disconnect")
                await asyncio.to_thread(lambda: sim.fault("disconnect", match="updates"))
        for stream in streams:
            stream.cancel()
        await asyncio.gather(*streams, return_exceptions=True)
        return client

    with caplog.at_level(logging.WARNING), running_simulator() as sim, heard_by(caplog):
        client = asyncio.run(work(sim))
        assert {each["kind"] for each in sim.fired()} == {each.value for each in HEALING}
        assert {each["number"] for each in sim.fired()} >= set(range(1, len(plan.faults) + 1))
        _adds_up(sim.call(sim.simulator.book))
    assert client.seen["200"] > 100
    assert min(client.seen[url] for url in client.seen if "/feed" in url or "/order-update" in url) > 20
    # The server itself has not stumbled over anything that was done to it.
    assert [each.getMessage() for each in caplog.records if each.levelno >= logging.ERROR] == []


def _adds_up(book: dict[str, Any]) -> None:
    traded: Counter[str] = Counter()
    held: Counter[str] = Counter()
    for trade in book["trades"]:
        sign = 1 if trade["transactionType"] == "BUY" else -1
        traded[trade["orderId"]] += trade["tradedQuantity"]
        held[trade["securityId"]] += sign * trade["tradedQuantity"]
    assert {each["orderId"]: each["filledQty"] for each in book["orders"] if each["filledQty"]} == dict(traded)
    assert {each["securityId"]: each["netQty"] for each in book["positions"]} == dict(held)

"""The broker's own library, unmodified, on the two sockets: subscriptions that change, casings, goodbyes."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import dhanhq
import pytest
from dhanhq import DhanContext, DhanHTTP, MarketFeed, OrderUpdate
from websockets.exceptions import ConnectionClosed

from workbench.simulator import SimulatorConfig
from workbench.testing.simulator import RunningSimulator, running_simulator


@contextmanager
def market(**options: Any) -> Iterator[RunningSimulator]:
    with running_simulator(config=SimulatorConfig(**options)) as running, pytest.MonkeyPatch.context() as patch:
        patch.setattr(DhanHTTP, "API_BASE_URL", running.base_url)
        patch.setattr(MarketFeed, "market_feed_wss", running.feed_url)
        patch.setenv("NO_PROXY", "127.0.0.1,localhost")
        patch.setenv("no_proxy", "127.0.0.1,localhost")
        running.open_market()
        running.advance(60)
        yield running


def eventually(condition: Callable[[], Any], timeout_s: float = 20.0) -> Any:
    until = time.monotonic() + timeout_s
    while not (found := condition()) and time.monotonic() < until:
        time.sleep(0.01)
    return found


def as_it_moves(sim: RunningSimulator, condition: Callable[[], Any]) -> Any:
    """Wait for something while the market moves on."""

    def moved() -> Any:
        sim.advance()
        return condition()

    return eventually(moved)


class Streaming:
    """A `MarketFeed` in a thread of its own, as the library wants it; wishes are handed in through a queue."""

    def __init__(self, context: Any, wanted: list[tuple[Any, ...]]) -> None:
        self.packets: list[Any] = []
        self.wishes: queue.Queue[Callable[[Any], None]] = queue.Queue()
        self._context, self._wanted = context, wanted
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def _listen(self) -> None:
        feed = MarketFeed(self._context, self._wanted)
        feed.run_forever()
        # The library does not connect anew by itself here: after a goodbye the next read raises.
        with suppress(ConnectionClosed):
            while not self._over.is_set():
                self.packets.append(feed.get_data())
                while not self.wishes.empty():
                    self.wishes.get()(feed)
            feed.close_connection()
        feed.loop.close()

    def start(self) -> None:
        self._thread.start()

    def stop(self, sim: RunningSimulator) -> None:
        """End it; it waits for a packet, so the market moves on until it has had one."""
        self._over.set()
        assert as_it_moves(sim, lambda: not self._thread.is_alive())
        self._thread.join(5)

    def count(self, security_id: str) -> int:
        return sum(isinstance(each, dict) and each["security_id"] == int(security_id) for each in list(self.packets))


def test_follows_subscriptions_that_change_while_it_streams() -> None:
    with market() as sim:
        option = sim.option()
        streaming = Streaming(DhanContext(sim.client_id, sim.token), [(MarketFeed.IDX, "13", MarketFeed.Ticker)])
        streaming.start()
        assert eventually(lambda: streaming.count("13"))
        assert streaming.count(option.security_id) == 0
        wanted = [(MarketFeed.NSE_FNO, option.security_id, MarketFeed.Full)]
        streaming.wishes.put(lambda feed: feed.subscribe_symbols(wanted))
        assert as_it_moves(sim, lambda: streaming.count(option.security_id) >= 3)
        full = next(each for each in reversed(streaming.packets) if each["security_id"] == int(option.security_id))
        assert full["type"] == "Full Data"
        streaming.wishes.put(lambda feed: feed.unsubscribe_symbols(wanted))
        (connection,) = sim.simulator.feed.connections
        assert as_it_moves(sim, lambda: len(connection.wanted) == 1)
        before = streaming.count(option.security_id)
        heard = streaming.count("13")
        assert as_it_moves(sim, lambda: streaming.count("13") > heard + 2)
        assert streaming.count(option.security_id) <= before + 1
        streaming.stop(sim)


def test_is_told_why_it_has_to_go(capsys: pytest.CaptureFixture[str]) -> None:
    with market() as sim:
        streaming = Streaming(DhanContext(sim.client_id, sim.token), [(MarketFeed.IDX, "13", MarketFeed.Ticker)])
        streaming.start()
        assert eventually(lambda: streaming.count("13"))
        sim.fault("disconnect", reason="805")
        streaming.stop(sim)
        assert "No. of active websocket connections exceeded" in capsys.readouterr().out
        assert streaming.packets[-1] is None


@pytest.mark.parametrize("casing", ["pascal", "camel", "both"])
def test_hears_of_its_orders_in_each_casing(casing: str) -> None:
    heard: list[dict[str, Any]] = []
    with market(update_casing=casing) as sim:
        context = DhanContext(sim.client_id, sim.token)
        listener = OrderUpdate(context)
        listener.order_feed_wss = sim.updates_url
        listener.on_update = heard.append
        thread = threading.Thread(target=listener.connect_to_dhan_websocket_sync, daemon=True)
        thread.start()
        assert eventually(lambda: sim.simulator.updates.listeners)
        option, dhan = sim.option(), dhanhq.dhanhq(context)
        placed = dhan.place_order(option.security_id, "NSE_FNO", "BUY", option.lot, "MARKET", "INTRADAY", 0, tag="mine")
        order_id = placed["data"]["orderId"]
        assert eventually(lambda: len(heard) == 3)
        context.get_dhan_http().session.close()
    thread.join(10)
    told = [{key.lower(): value for key, value in each["Data"].items()} for each in heard]
    assert [each["status"] for each in told] == ["TRANSIT", "PENDING", "TRADED"]
    assert {each["orderno"] for each in told} == {order_id}
    assert ("OrderNo" in heard[0]["Data"], "orderNo" in heard[0]["Data"]) == (casing != "camel", casing != "pascal")

"""The TCP proxy: what it swallows, cuts and resets, and that it heals."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
import requests

from workbench.testing.fault_proxy import FaultProxy, Way
from workbench.testing.wire_stub import WireStub, http


@pytest.fixture
def server() -> Iterator[WireStub]:
    with WireStub(default=lambda _: http(200, {"answer": "x" * 200})) as stub:
        yield stub


@pytest.fixture
def proxy(server: WireStub) -> Iterator[FaultProxy]:
    with FaultProxy(int(server.url.split(":")[2].split("/")[0])) as running:
        yield running


def get(proxy: FaultProxy, timeout_s: float = 5.0) -> requests.Response:
    with requests.Session() as session:
        session.trust_env = False
        return session.get(f"{proxy.origin}/v2/orders", timeout=timeout_s)


def eventually(condition: Callable[[], bool], timeout_s: float = 10.0) -> bool:
    until = time.monotonic() + timeout_s
    while not condition() and time.monotonic() < until:
        time.sleep(0.01)
    return condition()


def test_it_forwards_until_it_is_told_otherwise(proxy: FaultProxy, server: WireStub) -> None:
    assert get(proxy).json() == {"answer": "x" * 200}
    assert len(server.requests) == 1
    assert proxy.connections == 1
    assert eventually(lambda: proxy.open_connections == 0)


def test_s4_half_open_passes_nothing_and_closes_nothing(proxy: FaultProxy, server: WireStub) -> None:
    proxy.be(Way.HALF_OPEN)
    with pytest.raises(requests.ReadTimeout):
        get(proxy, 0.2)
    assert server.requests == []
    proxy.be(Way.FORWARD)
    assert get(proxy).status_code == 200


def test_r1_answers_dropped_leave_the_request_done(proxy: FaultProxy, server: WireStub) -> None:
    proxy.be(Way.DROP_ANSWERS)
    with pytest.raises(requests.ReadTimeout):
        get(proxy, 0.3)
    assert len(server.requests) == 1


def test_r4_an_answer_cut_short_is_an_error_and_not_an_answer(proxy: FaultProxy) -> None:
    proxy.be(Way.TRUNCATE, pass_bytes=150)
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        get(proxy)
    proxy.be(Way.TRUNCATE, pass_bytes=0)
    with pytest.raises(requests.ConnectionError):
        get(proxy)


def test_r5_refused_connections_reach_nobody(proxy: FaultProxy, server: WireStub) -> None:
    proxy.be(Way.REFUSE)
    with pytest.raises(requests.ConnectionError):
        get(proxy)
    assert server.requests == []


def test_r5_a_reset_breaks_what_is_open(proxy: FaultProxy) -> None:
    with requests.Session() as session:
        session.trust_env = False
        assert session.get(f"{proxy.origin}/v2/orders", timeout=5).status_code == 200
        assert proxy.open_connections == 1
        proxy.reset()
        assert eventually(lambda: proxy.open_connections == 0)
        # A second connection is made: the reset was once.
        assert session.get(f"{proxy.origin}/v2/orders", timeout=5).status_code == 200
    assert proxy.connections == 2


def test_answers_are_late_and_slow(proxy: FaultProxy) -> None:
    proxy.be(Way.FORWARD, delay_s=0.15)
    begin = time.monotonic()
    assert get(proxy).status_code == 200
    assert time.monotonic() - begin >= 0.15
    proxy.be(Way.FORWARD, bytes_per_s=2000)
    begin = time.monotonic()
    assert len(get(proxy).content) > 200
    assert time.monotonic() - begin >= 0.1


def test_a_dead_server_resets_its_clients() -> None:
    with WireStub() as stub:
        port = int(stub.url.split(":")[2].split("/")[0])
    with FaultProxy(port) as proxy, pytest.raises(requests.ConnectionError):
        get(proxy)

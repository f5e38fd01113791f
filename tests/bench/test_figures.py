"""The bench's own arithmetic and its ears: a bench that counts wrongly is worse than none."""

from __future__ import annotations

import json
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as some

from tests.bench.figures import Bound, Figure, machine, middle, percentile, spread
from tests.bench.recorder import Recorder, RequestReader
from tests.bench.sender import send

ORDER = b'{"correlationId":"floor-1"}'
POST = b"POST /v2/orders HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(ORDER), ORDER)


def test_a_percentile_is_a_measured_value_by_nearest_rank() -> None:
    values = [float(value) for value in range(200, 0, -1)]
    assert percentile(values, 50) == 100
    assert percentile(values, 99) == 198
    assert percentile(values, 100) == 200
    assert percentile([7.0], 1) == 7.0


@given(some.lists(some.floats(min_value=0, max_value=1e6), min_size=1), some.floats(min_value=0.5, max_value=100))
def test_a_percentile_is_not_exceeded_by_its_share_and_no_smaller_value_would_do(
    values: list[float], share: float
) -> None:
    found = percentile(values, share)
    assert found in values
    assert sum(value <= found for value in values) >= len(values) * share / 100 - 1e-9
    assert sum(value < found for value in values) < len(values) * share / 100 + 1e-9


def test_nothing_measured_is_no_figure() -> None:
    with pytest.raises(ValueError, match="no values"):
        percentile([], 50)
    with pytest.raises(ValueError, match="nothing was measured"):
        Figure(name="x", unit="s", stats={"value": 1.0}, n=0)
    with pytest.raises(ValueError, match="nothing was measured"):
        Figure(name="x", unit="s", stats={"value": float("nan")}, n=1)


def test_a_bound_is_held_up_to_its_limit_and_all_bounds_count() -> None:
    promised = (Bound(of="p50", limit=5.0), Bound(of="p99", limit=20.0))
    held = Figure(name="x", unit="ms", stats={"p50": 5.0, "p99": 20.0}, n=3, bounds=promised)
    broken = Figure(name="x", unit="ms", stats={"p50": 4.0, "p99": 20.1}, n=3, bounds=promised)
    assert (held.held, broken.held) == (True, False)
    assert Bound(of="value", limit=1.0, at_least=True).holds(0.9) is False
    assert Figure(name="x", unit="ms", stats={"p50": 5.0}, n=1).held is None


def test_a_line_is_json_with_name_values_unit_count_bound_and_verdict() -> None:
    line = Figure(
        name="x", unit="ms", stats=spread([1.0, 2.0, 3.0]), n=3, bounds=(Bound(of="p50", limit=5),), notes={"why": "y"}
    ).line()
    assert json.loads(line) == {
        "name": "x",
        "unit": "ms",
        "p50": 2.0,
        "p99": 3.0,
        "max": 3.0,
        "n": 3,
        "bound": "p50 <= 5",
        "held": True,
        "why": "y",
    }


def test_the_middle_of_a_few_runs_is_their_median() -> None:
    assert middle([3.0, 1.0, 2.0]) == {"median": 2.0, "min": 1.0, "max": 3.0}


def test_the_machine_tells_what_an_fsync_costs_there() -> None:
    told = machine(syncs=3)
    assert told["cores"] >= 1
    assert 0 < told["fsync_ms"]["p50"] <= told["fsync_ms"]["max"]


def test_a_request_is_complete_with_its_last_byte_and_not_before() -> None:
    reader = RequestReader()
    for at in range(len(POST) - 1):
        assert reader.take(POST[at : at + 1]) == []
    assert reader.take(POST[-1:]) == [("POST", "/v2/orders", ORDER)]
    assert reader.take(b"DELETE /v2/orders/7 HTTP/1.1\r\n\r\n" + POST) == [
        ("DELETE", "/v2/orders/7", b""),
        ("POST", "/v2/orders", ORDER),
    ]


def test_an_upgraded_socket_is_passed_on_unread() -> None:
    reader = RequestReader()
    assert reader.take(b"GET /feed HTTP/1.1\r\nUpgrade: websocket\r\n\r\n\x81\x05POST ") == []
    assert reader.take(POST) == []


def test_the_recorder_notes_orders_only_and_passes_bytes_on_unchanged() -> None:
    with (
        Recorder() as broker,
        Recorder(broker.port) as door,
        socket.create_connection(("127.0.0.1", door.port)) as wire,
    ):
        wire.settimeout(5)
        wire.sendall(b"GET /v2/orders HTTP/1.1\r\n\r\n")
        assert b'"orderId"' in wire.recv(4096)
        wire.sendall(POST)
        assert b'"orderId"' in wire.recv(4096)
        first = door.next_write(0, 5)
        assert first is not None
        assert (first.method, first.path, first.body) == ("POST", "/v2/orders", ORDER)
        behind = broker.next_write(0, 5)
        assert behind is not None
        assert behind.body == first.body
        assert behind.at_ns >= first.at_ns
        assert door.next_write(1, 0.01) is None


def test_a_sent_alert_is_stamped_before_its_order_and_its_answer() -> None:
    with Recorder() as broker:
        sent = send(broker.port, "/v2/orders", {"quantity": 75})
        order = broker.next_write(0, 5)
    assert order is not None
    assert sent.status == 200
    assert sent.at_ns < order.at_ns < sent.answered_ns

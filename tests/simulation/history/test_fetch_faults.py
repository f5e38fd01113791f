"""History under faults: a fetch is whole in the end, or says what it lacks; never a wrong or half-formed bar."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from workbench.bootstrap.history import DataDesk, FetchWish
from workbench.bootstrap.places import Places
from workbench.brokers.dhan.client import DhanClient
from workbench.brokers.dhan.pace import Pace
from workbench.brokers.dhan.transport import Endpoint
from workbench.core.bars import MINUTE
from workbench.core.errors import BrokerUnavailable
from workbench.testing.simulator import RunningSimulator, running_simulator

TODAY, SINCE = date(2026, 11, 16), date(2026, 11, 10)
WISH = FetchWish(names=["NIFTY", "BANKNIFTY"], start=SINCE, end=date(2026, 11, 13))
BARS = 3 * 360  # the 10th is a holiday; an index trades from 09:15 to 15:15 since August 2026
CHARTS = "POST /charts"


@pytest.fixture
def simulator() -> Iterator[RunningSimulator]:
    with running_simulator(day=TODAY) as running:
        yield running


@pytest.fixture
def desk(simulator: RunningSimulator, tmp_path: Path) -> DataDesk:
    client = DhanClient(
        simulator.base_url,
        simulator.client_id,
        simulator.token,
        Endpoint.DATA,
        timeouts_s=(0.5, 0.5),
        pace=Pace.unlimited(),
    )
    now = simulator.simulator.now
    return DataDesk(tmp_path, Places.simulator(simulator.port), client, lambda: now, spread_s=0)


def stored(desk: DataDesk) -> list[int]:
    return [len(desk.store.opens(symbol, MINUTE, None, None)) for symbol in ("NIFTY", "BANKNIFTY")]


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param("http_429", id="r2"),
        pytest.param("http_500", id="r3_500"),
        pytest.param("http_503", id="r3_503"),
        pytest.param("html_body", id="r4_html"),
        pytest.param("truncated_body", id="r4_truncated"),
        pytest.param("empty_202", id="r4_empty"),
        pytest.param("lost_reply", id="r1_lost"),
        pytest.param("reset_before", id="r5_reset"),
    ],
)
def test_a_passing_fault_costs_nothing_but_time(simulator: RunningSimulator, desk: DataDesk, kind: str) -> None:
    simulator.fault(kind, match=CHARTS, count=1)
    report = desk.fetch(WISH)
    assert [fired["kind"] for fired in simulator.fired()] == [kind]
    assert report.whole, report.to_dict()
    assert stored(desk) == [BARS, BARS]


def test_r3_a_server_that_stays_broken_is_told_and_the_next_fetch_asks_the_rest(
    simulator: RunningSimulator, desk: DataDesk
) -> None:
    assert desk.fetch(FetchWish(names=["NIFTY"], start=SINCE, end=date(2026, 11, 11))).whole
    simulator.fault("http_500", match=CHARTS, count=1000)
    broken = desk.fetch(WISH)
    assert not broken.whole
    assert all("try again" in text for row in broken.symbols for text in row.failed)
    assert stored(desk) == [BARS // 3, 0]
    simulator.clear_faults()
    rest = desk.fetch(WISH)
    assert rest.whole
    assert [row.added for row in rest.symbols] == [BARS // 3 * 2, BARS]
    assert sum(row.revised for row in rest.symbols) == 0


def test_r7_a_token_that_ends_stops_the_fetch_with_the_way_out(simulator: RunningSimulator, desk: DataDesk) -> None:
    simulator.fault("token_expired")
    report = desk.fetch(WISH)
    assert "DH-906 Invalid Token" in report.stopped
    assert "workbench doctor" in report.stopped
    assert simulator.token not in str(report.to_dict())
    assert stored(desk) == [0, 0]
    with pytest.raises(BrokerUnavailable, match="DH-901"):
        desk.expiries("NIFTY")


def test_r4_an_expired_expiry_is_stored_only_with_all_its_series(simulator: RunningSimulator, desk: DataDesk) -> None:
    simulator.fault("http_500", match="POST /charts/rollingoption", count=1000, skip=5)
    broken = desk.fetch_options("NIFTY", date(2026, 11, 9), steps=2)
    assert not broken.whole
    simulator.clear_faults()
    whole = desk.fetch_options("NIFTY", date(2026, 11, 9), steps=2)
    assert whole.whole
    assert whole.to_dict()["disagreements"] == 0
    assert sum(row.revised for row in whole.contracts.values()) == 0

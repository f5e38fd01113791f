"""Rolling options through the broker's own library, unmodified."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import dhanhq
import pytest
from dhanhq import DhanContext, DhanHTTP

from workbench.testing.simulator import running_simulator

ALL = ["open", "high", "low", "close", "iv", "volume", "strike", "oi", "spot"]


@pytest.fixture(scope="module")
def dhan() -> Iterator[Any]:
    with running_simulator() as sim, pytest.MonkeyPatch.context() as patch:
        patch.setattr(DhanHTTP, "API_BASE_URL", sim.base_url)
        patch.setenv("NO_PROXY", "127.0.0.1,localhost")
        patch.setenv("no_proxy", "127.0.0.1,localhost")
        context = DhanContext(sim.client_id, sim.token)
        yield dhanhq.dhanhq(context)
        context.get_dhan_http().session.close()


def test_rolling_options_are_read(dhan: Any) -> None:
    answer = dhan.expired_options_data(
        13, "NSE_FNO", "OPTIDX", "MONTH", 1, "ATM+3", "PUT", ALL, "2026-10-20", "2026-11-14", 5
    )
    assert answer["status"] == "success", answer
    side = answer["data"]["data"]["pe"]
    assert answer["data"]["data"]["ce"] is None
    assert set(side) == {*ALL, "timestamp"}
    assert set(map(len, side.values())) == {len(side["timestamp"])}
    assert len(side["timestamp"]) > 1000


def test_more_than_thirty_days_are_refused(dhan: Any) -> None:
    answer = dhan.expired_options_data(
        13, "NSE_FNO", "OPTIDX", "MONTH", 1, "ATM", "CALL", ALL, "2026-10-01", "2026-11-14"
    )
    assert answer["status"] == "failure"
    assert answer["remarks"]["error_code"] == "DH-905"


def test_an_instrument_master_of_one_segment_is_a_table(dhan: Any) -> None:
    # The library has no method for this path: its own transport is asked for it.
    http = dhan.dhan_http
    answered = http.session.get(f"{http.base_url}/instrument/NSE_FNO", headers=http.header, timeout=10)
    assert answered.status_code == 200
    rows = answered.text.splitlines()
    assert rows[0].startswith("EXCH_ID,SEGMENT,SECURITY_ID")
    assert len(rows) > 300
    assert {row.split(",")[1] for row in rows[1:]} == {"D"}

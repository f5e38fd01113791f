"""A fetched master is whole or absent."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from workbench.core.errors import BrokerUnavailable
from workbench.data.master_download import download_master
from workbench.testing.wire_stub import Reply, WireStub, http

CSV = b"SEM_EXM_EXCH_ID,SEM_SEGMENT\nNSE,I\n"


@pytest.fixture
def stub() -> Iterator[WireStub]:
    with WireStub() as server:
        yield server


def test_the_file_is_written_whole(stub: WireStub, tmp_path: Path) -> None:
    stub.replies.append(http(200, CSV, kind="text/csv"))
    target = tmp_path / "instruments" / "master.csv"
    assert download_master(f"{stub.url}/master.csv", target) == len(CSV)
    assert target.read_bytes() == CSV
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(http(404, b"gone", kind="text/plain"), id="not_found"),
        pytest.param(http(200, b"<html>", kind="text/html"), id="an_error_page_with_200"),
        pytest.param(
            Reply(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\nSEM", close=True), id="cut_in_the_middle"
        ),
        pytest.param(Reply(reset=True), id="reset"),
    ],
)
def test_s13_a_fetch_that_fails_leaves_the_last_good_file(stub: WireStub, tmp_path: Path, reply: Reply) -> None:
    target = tmp_path / "master.csv"
    target.write_bytes(b"last good")
    stub.replies.append(reply)
    with pytest.raises(BrokerUnavailable, match=r"/master\.csv"):
        download_master(f"{stub.url}/master.csv", target)
    assert target.read_bytes() == b"last good"
    assert list(tmp_path.iterdir()) == [target]

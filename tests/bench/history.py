"""History at the broker's pace: 100 symbols, a year of minutes each, from a server that takes five requests a second.

The server answers after 300 ms, as over a network, in a process of its own, and refuses the sixth request of a second.
So the pace must come from several requests under way at once, and none may come too early. Everything is real but the
candles: library, transport, pace, checks and the store on the disk.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path

from tests.bench.candle_server import LIMIT, WINDOW_S
from tests.bench.figures import Bound, Figure, Size
from workbench.brokers.dhan.client import DhanClient
from workbench.brokers.dhan.pace import Pace
from workbench.brokers.dhan.transport import Endpoint
from workbench.core.bars import MINUTE
from workbench.core.errors import CorruptData
from workbench.core.instrument import Instrument, InstrumentKind, Segment
from workbench.core.session import IST
from workbench.data.bar_store import BarStore
from workbench.data.candles import WINDOW_DAYS, CandleReader
from workbench.data.fetch_report import FetchReport
from workbench.data.gaps import windows
from workbench.data.history_fetch import FetchOrder, HistoryFetch, Target
from workbench.reference import calendar

FIRST, LAST = date(2025, 6, 20), date(2026, 6, 19)
NOW = datetime(2026, 6, 20, 12, 0, tzinfo=IST)


def measure(size: Size) -> Iterator[Figure]:
    """Pace held, requests, and refusals."""
    sessions = calendar().sessions(Segment.NSE_EQ, FIRST, LAST)
    spans = windows([session.date for session in sessions], WINDOW_DAYS)
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(
            [sys.executable, "-m", "tests.bench.candle_server", *(f"{since}:{until}" for since, until in spans)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            cwd=Path(__file__).resolve().parents[2],
        ) as server,
    ):
        if server.stdin is None or server.stdout is None:
            raise OSError("the load server has no pipes")
        try:
            port = int(server.stdout.readline())
            report = _fetch(Path(folder), port, size)
        finally:
            server.stdin.close()  # it ends with its input
        counted = json.loads(server.stdout.readline())
    if not report.whole:
        raise CorruptData(f"the fetch is not whole: {report.to_dict()}")
    best_s = counted["answered"] * WINDOW_S / LIMIT
    bars = sum(row.added for row in report.symbols)
    yield Figure(
        name="history of 100 symbols x one year" if size.symbols == 100 else f"history of {size.symbols} symbols",
        unit="share of the rate limit's pace",
        stats={
            "pace": best_s / max(report.elapsed_s, 0.001),
            "requests": counted["answered"],
            "refused_429": counted["refused"],
            "elapsed_s": report.elapsed_s,
        },
        n=int(counted["answered"]),
        bounds=(
            Bound(of="pace", limit=0.95, at_least=True),
            Bound(of="refused_429", limit=0),
            Bound(of="requests", limit=5 * size.symbols, at_least=True),
        ),
        notes={"limit": f"{LIMIT} a second", "latency_s": 0.3, "bars_stored": bars},
    )


def _fetch(folder: Path, port: int, size: Size) -> FetchReport:
    client = DhanClient(f"http://127.0.0.1:{port}/v2", "1000000001", "bench-token", Endpoint.DATA, pace=Pace())
    reader = CandleReader(client.api, calendar(), lambda: NOW)
    fetch = HistoryFetch(reader, BarStore(folder / "bars", calendar()), calendar(), lambda: NOW)
    stocks = [
        Instrument(segment=Segment.NSE_EQ, security_id=str(1000 + n), symbol=f"STOCK{n}", kind=InstrumentKind.EQUITY)
        for n in range(size.symbols)
    ]
    order = FetchOrder(
        targets=[Target.of(each) for each in stocks],
        interval=MINUTE,
        first=FIRST,
        last=LAST,
    )
    return fetch.run(order)

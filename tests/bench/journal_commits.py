"""The journal: from ``append`` on the event loop to ``on_durable`` on it, one commit with one fsync each.

An entry is an alert with the decision on it, as the engine writes it: the row that an order waits for.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from tests.bench.figures import Figure, Size, spread
from tests.unit.storage.builders import a_trade, alert
from workbench.core.ports import JournalEntry
from workbench.storage.journal import SqliteJournal

PAUSE_S = 0.002
BURST = 50


def measure(size: Size) -> Iterator[Figure]:
    """Single entries, and a burst that group commit takes together."""
    with tempfile.TemporaryDirectory() as folder:
        journal = SqliteJournal(Path(folder) / "journal.db")
        single, bursts = asyncio.run(_write(journal, size.commits))
        journal.close()
    yield Figure(name="journal append to durable", unit="ms", stats=spread(single), n=len(single))
    yield Figure(name=f"journal, {BURST} entries at once", unit="ms", stats=spread(bursts), n=len(bursts))


async def _write(journal: SqliteJournal, count: int) -> tuple[list[float], list[float]]:
    loop = asyncio.get_running_loop()
    journal.start(loop, lambda why: loop.stop())
    numbers = iter(range(1, 1_000_000))
    single = []
    for _ in range(count):
        single.append(await _durable(journal, [_entry(next(numbers))]))
        await asyncio.sleep(PAUSE_S)  # idle between two, as alerts come
    bursts = [
        await _durable(journal, [_entry(next(numbers)) for _ in range(BURST)]) for _ in range(max(1, count // BURST))
    ]
    return single, bursts


async def _durable(journal: SqliteJournal, entries: list[JournalEntry]) -> float:
    """Milliseconds until the last of some entries is on the disk."""
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    began = time.perf_counter()
    for entry in entries[:-1]:
        journal.append(entry, lambda: None)
    journal.append(entries[-1], lambda: done.set_result(None))
    await done
    return (time.perf_counter() - began) * 1000


def _entry(seq: int) -> JournalEntry:
    made = a_trade(seq, alert_id=f"a{seq}", tag=str(seq))[0]
    return replace(made, message=alert(f"a{seq}", 1))

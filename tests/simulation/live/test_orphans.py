"""`workbench up` is killed: its practice processes end, and a live engine guards what is held until nothing is left."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.journey.running import RunningWorkbench
from tests.simulation.paper.running import FAR, SENTENCE, Dhan, Up, deploy, playing_dhan

pytestmark = pytest.mark.timeout(300)

WAITS = """
import sys, threading
from workbench.live.parent import when_parent_is_gone
gone = threading.Event()
when_parent_is_gone(gone.set)
print(repr(sys.stdin.read()), flush=True)
sys.exit(7 if gone.wait(60) else 1)
"""


def wait(until: Callable[[], bool], limit_s: float = 60.0) -> None:
    """Wait until something is true of an engine whose parent is dead."""
    deadline = time.monotonic() + limit_s
    while not until():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)


@contextmanager
def killed(up: RunningWorkbench) -> Iterator[list[psutil.Process]]:
    """Kill the parent alone and give those that it leaves; whichever of them is left at the end is ended here."""
    family = psutil.Process(up.process.pid).children(recursive=True)
    up.process.kill()
    up.process.wait()
    try:
        yield family
    finally:
        for process in family:
            if process.is_running():
                process.kill()


def test_the_end_of_the_pipe_is_noticed_and_stdin_itself_is_empty() -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", WAITS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8"
    )
    assert child.stdout is not None and child.stdin is not None
    with child:
        assert child.stdout.readline().strip() == "''", "who inherits stdin must not wait for the pipe"
        assert child.poll() is None, "the parent lives"
        child.stdin.close()
        assert child.wait(60) == 7


def test_practice_and_its_page_end_with_a_killed_parent(tmp_path: Path) -> None:
    up = RunningWorkbench(tmp_path, "--mode", "practice", "--speed", "10", panel=True)
    up.wait_open()
    with killed(up) as family:
        assert len(family) >= 3, "simulator, engine and page"
        _, left = psutil.wait_procs(family, timeout=60)
        assert left == []


def test_a_live_engine_outlives_its_parent_with_exits_only_and_ends_when_flat(tmp_path: Path) -> None:
    deploy(tmp_path / "data", "live", plan=FAR)
    (tmp_path / "workbench.yaml").write_text("dhan:\n  dry_run: false\n", encoding="utf-8")
    with playing_dhan() as dhan:
        up = Up(tmp_path, dhan.proxy.url, "--mode", "live", "--confirm", SENTENCE)
        up.wait_open()
        up.enter()
        with killed(up) as family:
            (engine,) = (item for item in family if "engine" in item.cmdline())
            wait(lambda: "workbench up has died" in up.get("/api/status")["feed"]["reason"])
            wait(lambda: any("exits and commands go on" in each["text"] for each in up.get("/api/alarms")))
            assert not up.get("/api/status")["feed"]["alive"], "no gate lets an entry through"
            assert len(up.positions()) == 1 and engine.is_running()
            up.flat()
            engine.wait(60)
            assert _net(dhan) == {0}
            assert [row["orderStatus"] for row in dhan.orders() if row["orderStatus"] == "PENDING"] == []


def _net(dhan: Dhan) -> set[int]:
    return {row["netQty"] for row in dhan.positions()}

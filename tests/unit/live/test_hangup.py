"""A terminal that is closed: `workbench up` ends as by a kill, and the engine under it guards what is held."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from workbench.live.server import catch_end

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a closed window is told in another way there")

ENGINE = """
import asyncio, sys
from pathlib import Path
from workbench.bootstrap.engine_process.orphan import parent_watch
from workbench.bootstrap.practice import show
from workbench.live.server import catch_end

async def main():
    ended = asyncio.Event()
    catch_end(asyncio.get_running_loop(), ended.set)
    gone = parent_watch()
    Path("ready").touch()
    await asyncio.wait_for(gone.wait(), 60)
    await asyncio.sleep(0.2)
    show("whoever prints to a terminal that has gone goes on")
    Path("guards.part").write_text(f"asked to end: {ended.is_set()}", encoding="utf-8")
    Path("guards.part").replace("guards")

asyncio.run(main())
"""
UP = """
import sys
from pathlib import Path
from workbench.live.supervise import Child, Supervisor
engine = Child(name="engine", command=[sys.executable, "engine.py"], restart=True)
up = Supervisor([engine], latch_folder=Path.cwd(), show=print)
up.catch_signals()
up.run()
Path("ended in order").touch()
"""
TERMINAL = """
import os, pty, subprocess, sys, time
from pathlib import Path
shell, screen = pty.fork()
if shell == 0:
    os._exit(subprocess.call([sys.executable, "up.py"]))
deadline = time.monotonic() + 60
while not Path("ready").exists() and time.monotonic() < deadline:
    time.sleep(0.02)
os.close(screen)
os.waitpid(shell, 0)
"""


def test_a_closed_terminal_kills_up_and_leaves_the_engine_to_guard(tmp_path: Path) -> None:
    for name, text in (("engine.py", ENGINE), ("up.py", UP), ("terminal.py", TERMINAL)):
        (tmp_path / name).write_text(text, encoding="utf-8")
    path = str(Path(__file__).resolve().parents[3])
    assert subprocess.call([sys.executable, "terminal.py"], cwd=tmp_path, env={**os.environ, "PYTHONPATH": path}) == 0
    deadline = time.monotonic() + 60
    while not (tmp_path / "guards").exists():
        assert time.monotonic() < deadline, "the engine ended with its terminal"
        time.sleep(0.02)
    assert (tmp_path / "guards").read_text(encoding="utf-8") == "asked to end: False"
    assert not (tmp_path / "ended in order").exists()


@pytest.mark.parametrize(("before", "ends"), [(signal.SIG_DFL, True), (signal.SIG_IGN, False)])
def test_an_engine_alone_ends_in_order_with_its_terminal_unless_it_was_told_to_stay(
    before: signal.Handlers, ends: bool
) -> None:
    known = {name: signal.getsignal(name) for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}

    async def hang_up() -> bool:
        asked = asyncio.Event()
        catch_end(asyncio.get_running_loop(), asked.set)
        signal.raise_signal(signal.SIGHUP)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return asked.is_set()

    try:
        signal.signal(signal.SIGHUP, before)
        assert asyncio.run(hang_up()) is ends
    finally:
        for name, handler in known.items():
            signal.signal(name, handler)

"""The parent: children end with it, a dead engine comes back, three deaths latch HALT."""

from __future__ import annotations

import signal
import sys
import threading
import time
from pathlib import Path

import psutil

from workbench.live.supervise import REFUSED, Child, Supervisor, clear_latch, read_latch, set_latch

SLEEPER = "import time\nwhile True: time.sleep(0.05)"
DIES = "import sys; sys.exit(3)"
REFUSES = "import sys; sys.exit(2)"
STUBBORN = """
import signal, time
for name in ("SIGTERM", "SIGINT", "SIGBREAK"):
    if hasattr(signal, name):
        signal.signal(getattr(signal, name), signal.SIG_IGN)
print("deaf", flush=True)
while True: time.sleep(0.05)
"""


def child(name: str, code: str, *, restart: bool = False) -> Child:
    return Child(name=name, command=(sys.executable, "-c", code), restart=restart)


def run_in_thread(supervisor: Supervisor) -> tuple[threading.Thread, list[int]]:
    codes: list[int] = []
    thread = threading.Thread(target=lambda: codes.append(supervisor.run()))
    thread.start()
    return thread, codes


def wait_for(condition: object, limit_s: float = 8.0) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def test_all_children_end_with_the_parent(tmp_path: Path) -> None:
    children = [child("market", SLEEPER), child("engine", SLEEPER, restart=True)]
    supervisor = Supervisor(children, latch_folder=tmp_path, show=lambda _: None)
    thread, codes = run_in_thread(supervisor)
    wait_for(lambda: all(item.is_running for item in children))
    pids = [item.process.pid for item in children if item.process]
    supervisor.stop()
    thread.join(10)
    assert codes == [0]
    assert not any(psutil.pid_exists(pid) for pid in pids)


def test_a_child_that_does_not_listen_is_ended(tmp_path: Path) -> None:
    deaf = child("engine", STUBBORN)
    supervisor = Supervisor([deaf], latch_folder=tmp_path, show=lambda _: None, patience_s=0.5)
    thread, _ = run_in_thread(supervisor)
    wait_for(lambda: deaf.is_running)
    time.sleep(0.3)
    supervisor.stop()
    thread.join(10)
    assert not deaf.is_running


def test_p2_a_dead_engine_is_started_again_and_three_deaths_latch_halt(tmp_path: Path) -> None:
    shown: list[str] = []
    engine = child("engine", DIES, restart=True)
    supervisor = Supervisor([engine], latch_folder=tmp_path, show=shown.append, backoff_s=(0.01, 0.02, 0.03))
    thread, codes = run_in_thread(supervisor)
    wait_for(lambda: read_latch(tmp_path) is not None)
    assert engine.starts >= 3
    supervisor.stop()
    thread.join(10)
    assert codes == [0]
    assert "engine died 3 times" in str(read_latch(tmp_path))
    assert any("starting again" in line for line in shown)


def test_an_engine_that_refuses_to_start_ends_everything_and_latches_nothing(tmp_path: Path) -> None:
    market, engine = child("market", SLEEPER), child("engine", REFUSES, restart=True)
    engine.can_refuse = True
    supervisor = Supervisor([market, engine], latch_folder=tmp_path, show=lambda _: None, backoff_s=(0.01,))
    assert supervisor.run() == REFUSED
    assert (engine.starts, market.is_running) == (1, False)
    assert supervisor.why == "engine refused to start, for the reason above"
    assert read_latch(tmp_path) is None


def test_an_engine_that_died_and_then_refuses_is_asked_again_and_latches_nothing(tmp_path: Path) -> None:
    mark = tmp_path / "died"
    code = f"""
import pathlib, sys
mark = pathlib.Path({str(mark)!r})
code = 2 if mark.exists() else 3
mark.touch()
sys.exit(code)
"""
    shown: list[str] = []
    engine = child("engine", code, restart=True)
    engine.can_refuse = True
    supervisor = Supervisor([engine], latch_folder=tmp_path, show=shown.append, backoff_s=(0.01,))
    thread, codes = run_in_thread(supervisor)
    wait_for(lambda: engine.starts >= 5, 30.0)
    supervisor.stop()
    thread.join(10)
    assert codes == [0]
    assert any("refuses to start again" in line for line in shown)
    assert len(engine.deaths) == 1
    assert read_latch(tmp_path) is None


def test_the_death_of_another_child_ends_everything(tmp_path: Path) -> None:
    market, engine = child("market", DIES), child("engine", SLEEPER, restart=True)
    supervisor = Supervisor([market, engine], latch_folder=tmp_path, show=lambda _: None)
    assert supervisor.run() == 1
    assert not engine.is_running
    assert supervisor.why == "market ended with code 3"


def test_p2_a_latch_holds_until_a_person_takes_it_away(tmp_path: Path) -> None:
    assert read_latch(tmp_path) is None
    set_latch(tmp_path, "three deaths")
    assert read_latch(tmp_path) == "three deaths"
    (tmp_path / "halt.latch").write_text("{broken", encoding="utf-8")
    assert "cannot be read" in str(read_latch(tmp_path))
    assert clear_latch(tmp_path)
    assert not clear_latch(tmp_path)


def test_many_signals_at_once_end_it_as_one_does(tmp_path: Path) -> None:
    known = {name: signal.getsignal(name) for name in (signal.SIGINT, signal.SIGTERM)}
    supervisor = Supervisor([child("patient", SLEEPER)], latch_folder=tmp_path, show=print)

    def press() -> None:
        for _ in range(300):
            signal.raise_signal(signal.SIGINT)

    try:
        supervisor.catch_signals()
        pressed = threading.Timer(0.4, press)
        pressed.start()
        assert supervisor.run() == 0
        pressed.join()
    finally:
        for name, handler in known.items():
            signal.signal(name, handler)
    assert supervisor.why == "stopped by the operator"
    assert not supervisor.children[0].is_running

"""The machine is kept awake by a child that the system grants, and that ends with us however we end (row S10)."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from workbench.live import awake
from workbench.live.awake import KeepAwake, SleepNotInhibitedError, never_sleeps

NO_SHELL = pytest.mark.skipif(
    sys.platform == "win32", reason="the stand-ins for the system's programs are shell scripts"
)
GRANTS = """#!/bin/sh
echo "$$ $*" >> "{record}"
while [ "${{1#-}}" != "$1" ]; do shift; done
exec "$@"
"""
REFUSES = """#!/bin/sh
echo "Failed to inhibit: Access denied" >&2
exit 1
"""
REFUSES_IN_LATIN_1 = """#!/bin/sh
printf 'verweigert f\\374r immer' >&2
exit 1
"""
GRANTS_IN_LATIN_1 = """#!/bin/sh
printf 'gew\\344hrt\\n'
exec cat
"""
SILENT = """#!/bin/sh
exec cat
"""


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Path]:
    """Lay a program of that name and text on the path, beside the shell and no other inhibitor."""
    folder, record = tmp_path / "bin", tmp_path / "record"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/bin:/usr/bin")

    def lay(name: str, text: str) -> Path:
        (folder / name).write_text(text.format(record=record), encoding="utf-8")
        (folder / name).chmod(0o755)
        return record

    return lay


def sleepy(root: Path) -> Path:
    """Give the root of a machine that can sleep."""
    (root / "sys/power").mkdir(parents=True)
    (root / "sys/power/state").write_text("freeze mem disk\n", encoding="utf-8")
    return root


def gone(pid: int) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        psutil.Process(pid).wait(30)
    return not psutil.pid_exists(pid)


@NO_SHELL
@pytest.mark.parametrize(
    ("system", "name", "asked"),
    [("linux", "systemd-inhibit", "--what=sleep:idle --who=workbench"), ("darwin", "caffeinate", "-i -s sh -c")],
)
def test_s10_a_child_of_the_systems_own_program_holds_until_it_is_let_go(
    system: str, name: str, asked: str, programs: Callable[[str, str], Path], tmp_path: Path
) -> None:
    record = programs(name, GRANTS)
    keep = KeepAwake(system=system, root=sleepy(tmp_path))
    assert keep.hold() == name and keep.is_held
    assert keep.hold() == "held already"
    (line,) = record.read_text(encoding="utf-8").splitlines()
    pid = int(line.split()[0])
    assert asked in line and psutil.pid_exists(pid)
    keep.let_go()
    assert not keep.is_held and gone(pid)
    keep.let_go()
    assert keep.hold() == name, "it can be held again"
    keep.let_go()


@NO_SHELL
def test_s10_a_child_that_ends_by_itself_is_noticed_and_replaced(
    programs: Callable[[str, str], Path], tmp_path: Path
) -> None:
    record = programs("systemd-inhibit", GRANTS)
    keep = KeepAwake(system="linux", root=sleepy(tmp_path))
    keep.hold()
    child = psutil.Process(int(record.read_text(encoding="utf-8").split()[0]))
    child.kill()
    deadline = time.monotonic() + 10
    while keep.is_held:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert keep.hold() == "systemd-inhibit" and keep.is_held
    keep.let_go()


@NO_SHELL
def test_s10_the_child_ends_with_a_process_that_is_killed(programs: Callable[[str, str], Path], tmp_path: Path) -> None:
    record = programs("systemd-inhibit", GRANTS)
    code = (
        "import sys, time; from pathlib import Path; from workbench.live.awake import KeepAwake\n"
        f"KeepAwake(system='linux', root=Path({str(sleepy(tmp_path))!r})).hold(); print('held', flush=True)\n"
        "time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, encoding="utf-8") as holder:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        pid = int(record.read_text(encoding="utf-8").split()[0])
        assert psutil.pid_exists(pid)
        holder.kill()
        holder.wait()
        assert gone(pid)


@NO_SHELL
@pytest.mark.parametrize(
    ("program", "words"), [(REFUSES, "refuses: Failed to inhibit: Access denied"), (SILENT, "did not answer in 0.5 s")]
)
def test_s10_what_is_refused_is_said_with_the_way_out(
    program: str, words: str, programs: Callable[[str, str], Path], tmp_path: Path
) -> None:
    programs("systemd-inhibit", program)
    keep = KeepAwake(system="linux", root=sleepy(tmp_path), grant_s=0.5 if program is SILENT else 30)
    with pytest.raises(SleepNotInhibitedError, match=f"may fall asleep.*{words}.*; switch sleep off: sudo systemctl"):
        keep.hold()
    assert not keep.is_held


@NO_SHELL
@pytest.mark.parametrize(
    ("program", "words"),
    [(REFUSES_IN_LATIN_1, "verweigert f\N{REPLACEMENT CHARACTER}r immer"), (GRANTS_IN_LATIN_1, "")],
)
def test_s10_words_that_are_not_utf_8_are_a_refusal_like_any_other(
    program: str, words: str, programs: Callable[[str, str], Path], tmp_path: Path
) -> None:
    programs("systemd-inhibit", program)
    keep = KeepAwake(system="linux", root=sleepy(tmp_path))
    with pytest.raises(SleepNotInhibitedError, match=f"systemd-inhibit refuses: {words}"):
        keep.hold()
    assert not keep.is_held


@pytest.mark.parametrize(("system", "words"), [("linux", "systemd-inhibit is not here"), ("plan9", "nothing is known")])
def test_s10_a_system_that_offers_nothing_is_named(
    system: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SleepNotInhibitedError, match=f"{words}.*; switch sleep off"):
        KeepAwake(system=system, root=sleepy(tmp_path)).hold()


def test_s10_windows_is_asked_by_a_thread_that_lives_as_long_as_the_wish(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def set_state(flags: int) -> int:
        asked.append(flags)
        return 0x80000000

    monkeypatch.setattr(awake, "_execution_state", lambda: set_state)
    keep = KeepAwake(system="win32")
    assert keep.hold() == "SetThreadExecutionState" and keep.is_held
    assert asked == [0x80000001]
    keep.let_go()
    assert asked == [0x80000001, 0x80000000] and not keep.is_held
    monkeypatch.setattr(awake, "_execution_state", lambda: lambda _: 0)
    with pytest.raises(SleepNotInhibitedError, match=r"SetThreadExecutionState refuses.*; .*powercfg"):
        keep.hold()


def test_s10_a_machine_that_knows_no_sleep_or_has_it_switched_off_needs_nothing(tmp_path: Path) -> None:
    assert never_sleeps(tmp_path) == "", "who cannot tell may sleep"
    root = sleepy(tmp_path)
    assert never_sleeps(root) == ""
    units = root / "etc/systemd/system"
    units.mkdir(parents=True)
    try:
        for name in ("sleep", "suspend", "hibernate"):
            assert never_sleeps(root) == ""
            (units / f"{name}.target").symlink_to("/dev/null")
    except OSError:
        pytest.skip("this system lets nobody make symbolic links")
    assert "switched off" in never_sleeps(root)
    (root / "sys/power/state").write_text("\n", encoding="utf-8")
    assert never_sleeps(root) == "this machine knows no sleep"
    keep = KeepAwake(system="linux", root=root)
    assert keep.hold() == "this machine knows no sleep" and keep.is_held
    keep.let_go()
    assert not keep.is_held

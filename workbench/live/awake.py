"""Keeping the machine awake while the engine watches something: a laptop that sleeps watches neither target nor trail.

Linux: a child under `systemd-inhibit`; macOS: one under `caffeinate`. The child says a word once the lock is taken and
then reads a pipe that we hold, so that it ends with us however we end. Windows: a thread that has asked for the system,
whose wish ends with it. Nothing of it keeps a closed lid from putting a laptop to sleep: that is a person's own act.

Invariants: held means that the system has granted it; whatever was taken ends with this process.
"""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from workbench.core.errors import WorkbenchError

GRANT_S = 10.0
"""Real seconds in which the system has to grant it."""

_WHY = "a trading engine watches the market"
_INHIBITORS = {
    "linux": ("systemd-inhibit", "--what=sleep:idle", "--who=workbench", f"--why={_WHY}", "--mode=block"),
    "darwin": ("caffeinate", "-i", "-s"),
}
_WORD = "held"
_UNTIL_THE_PIPE_ENDS = ("sh", "-c", f"echo {_WORD}; exec cat")
_WAYS_OUT = {
    "linux": "switch sleep off: sudo systemctl mask sleep.target suspend.target hibernate.target",
    "darwin": "switch sleep off: sudo pmset -a sleep 0",
    "win32": "switch sleep off: powercfg /change standby-timeout-ac 0",
}
_CONTINUOUS, _SYSTEM_REQUIRED = 0x80000000, 0x00000001


class SleepNotInhibitedError(WorkbenchError):
    """Nothing keeps this machine awake; the message says why, and what a person can do."""


class _Hold(Protocol):
    @property
    def holds(self) -> bool: ...

    def end(self) -> None: ...


class KeepAwake:
    """Keeps this machine awake between `hold` and `let_go`; both block for a moment and may be called in any thread.

    Parameters
    ----------
    system : str
        As `sys.platform` names it.
    root : Path
        Where the system's own files are.
    grant_s : float
        Real seconds in which the system has to grant it.
    """

    def __init__(self, *, system: str = sys.platform, root: Path = Path("/"), grant_s: float = GRANT_S) -> None:
        self._system, self._root, self._grant_s = system, root, grant_s
        self._lock = threading.Lock()
        self._hold: _Hold | None = None

    @property
    def is_held(self) -> bool:
        """The system keeps awake for us now, as far as we can see."""
        hold = self._hold
        return hold is not None and hold.holds

    def hold(self) -> str:
        """Keep awake; gives by what.

        Raises
        ------
        SleepNotInhibitedError
            The system offers nothing, or refuses.
        """
        with self._lock:
            if self.is_held:
                return "held already"
            if self._hold is not None:
                self._hold.end()
                self._hold = None
            if self._system == "linux" and (why := never_sleeps(self._root)):
                self._hold = _Needless()
                return why
            try:
                self._hold, by = self._ask()
            except (OSError, SleepNotInhibitedError) as refused:
                way_out = _WAYS_OUT.get(self._system, "switch sleep off in the system's own settings")
                raise SleepNotInhibitedError(f"this machine may fall asleep ({refused}); {way_out}") from refused
            return by

    def let_go(self) -> None:
        """Let the machine sleep again."""
        with self._lock:
            hold, self._hold = self._hold, None
            if hold is not None:
                hold.end()

    def _ask(self) -> tuple[_Hold, str]:
        if self._system == "win32":
            return _Wish(_execution_state(), self._grant_s), "SetThreadExecutionState"
        command = _INHIBITORS.get(self._system)
        if command is None:
            raise SleepNotInhibitedError(f"nothing is known that keeps {self._system} awake")
        program = shutil.which(command[0])
        if program is None:
            raise SleepNotInhibitedError(f"{command[0]} is not here")
        return _Child([program, *command[1:], *_UNTIL_THE_PIPE_ENDS], self._grant_s), command[0]


def never_sleeps(root: Path = Path("/")) -> str:
    """Say why a Linux machine cannot fall asleep at all; empty where it can, or where nobody knows."""
    try:
        states = (root / "sys/power/state").read_text(encoding="utf-8").split()
    except OSError:
        states = ["unknown"]
    if not states:
        return "this machine knows no sleep"
    masks = [root / "etc/systemd/system" / f"{name}.target" for name in ("sleep", "suspend", "hibernate")]
    if all(mask.is_symlink() and mask.readlink() == Path("/dev/null") for mask in masks):
        return "sleep is switched off on this machine"
    return ""


def kept_awake() -> str:
    """Try it for a moment, for the doctor; gives by what.

    Raises
    ------
    SleepNotInhibitedError
        The system offers nothing, or refuses.
    """
    awake = KeepAwake()
    try:
        return awake.hold()
    finally:
        awake.let_go()


class _Needless:
    """Holds nothing, where nothing sleeps."""

    holds = True

    def end(self) -> None:
        """End nothing."""


class _Child:
    """A child that holds the system's lock until its stdin ends."""

    def __init__(self, command: list[str], grant_s: float) -> None:
        # A refusal may be told in the system's own language and encoding: it is read as far as it reads.
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
        )
        said: list[str] = []
        reader = threading.Thread(target=lambda: said.append(self._read()), name="awake", daemon=True)
        reader.start()
        reader.join(grant_s)
        if said != [_WORD]:
            asked_too_long = reader.is_alive()
            reason = self._ended(reader)
            raise SleepNotInhibitedError(
                f"{Path(command[0]).name} "
                + (f"did not answer in {grant_s:g} s" if asked_too_long else f"refuses: {reason or 'no reason told'}")
            )

    @property
    def holds(self) -> bool:
        return self._process.poll() is None

    def end(self) -> None:
        self._ended()

    def _read(self) -> str:
        return self._process.stdout.readline().strip() if self._process.stdout is not None else ""

    def _ended(self, reader: threading.Thread | None = None) -> str:
        """End the child and give its last words."""
        process = self._process
        if process.stdin is not None:
            process.stdin.close()
        try:
            process.wait(2)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if reader is not None:
            reader.join(2)
        words = ""
        # What a killed child has left behind may hold its pipes open: nobody waits for the end of them then.
        if process.stderr is not None and (reader is None or not reader.is_alive()) and process.returncode > 0:
            words = " ".join(process.stderr.read(400).split())
        for stream in (process.stdout, process.stderr):
            if stream is not None and (reader is None or not reader.is_alive()):
                stream.close()
        return words


class _Wish:
    """A thread that has asked Windows to stay awake; the wish belongs to it and ends with it."""

    def __init__(self, set_state: Callable[[int], int], grant_s: float) -> None:
        self._done, answered, granted = threading.Event(), threading.Event(), []

        def wish() -> None:
            granted.append(set_state(_CONTINUOUS | _SYSTEM_REQUIRED))
            answered.set()
            if granted[0]:
                self._done.wait()
                set_state(_CONTINUOUS)

        self._thread = threading.Thread(target=wish, name="awake", daemon=True)
        self._thread.start()
        if not answered.wait(grant_s) or not granted[0]:
            self._done.set()
            raise SleepNotInhibitedError("SetThreadExecutionState refuses")

    @property
    def holds(self) -> bool:
        return self._thread.is_alive()

    def end(self) -> None:
        self._done.set()
        self._thread.join(2)


def _execution_state() -> Callable[[int], int]:
    windows = getattr(ctypes, "windll", None)
    if windows is None:
        raise SleepNotInhibitedError("the system's library cannot be reached")
    found = windows.kernel32.SetThreadExecutionState
    found.argtypes, found.restype = [ctypes.c_uint], ctypes.c_uint
    return lambda flags: int(found(flags))

"""The parent of `workbench up`: starts simulator, engine and control app, restarts a dead engine, leaves nothing.

Children are plain processes of this Python. An engine that dies is started again with a growing pause; the third death
within ten real minutes latches HALT: a file that the engine reads at its start and that only a person takes away. An
engine that refuses to start has not died: starting it again would hear the same words. At its first start that ends
all; later it is asked again and again, for it may hold a position.

Each child's stdin is a pipe whose other end this process holds: when it is killed, or its terminal is closed, they
notice (`live.parent`).

Invariants: when the parent ends in any orderly way, no child is left; the latch survives every restart.
"""

from __future__ import annotations

import json
import logging
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

log = logging.getLogger(__name__)

LATCH_FILE = "halt.latch"
DEATHS_TO_LATCH = 3
DEATHS_WITHIN_S = 600.0
BACKOFF_S = (0.5, 2.0, 5.0, 15.0, 30.0)
LOOK_EVERY_S = 0.1
"""Real seconds between two looks at the children."""

REFUSED = 2
"""Exit code of a program that will not start and has said why: a person has to do something first."""

PATIENCE_S = 10.0
"""Real seconds that a child has to end by itself before it is ended."""


def read_latch(folder: Path) -> str | None:
    """Give the reason of a latched HALT, or None; an unreadable latch counts as one."""
    path = folder / LATCH_FILE
    if not path.is_file():
        return None
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["reason"])
    except (ValueError, KeyError, TypeError):
        return f"{path.name} cannot be read"


def set_latch(folder: Path, reason: str) -> None:
    """Latch HALT."""
    folder.mkdir(parents=True, exist_ok=True)
    body = json.dumps({"reason": reason, "at": datetime.now(UTC).isoformat()})
    (folder / LATCH_FILE).write_text(body, encoding="utf-8")


def clear_latch(folder: Path) -> bool:
    """Take the latch away (a person has looked); False when there was none."""
    path = folder / LATCH_FILE
    if not path.is_file():
        return False
    path.unlink()
    return True


@dataclass(slots=True)
class Child:
    """One child process.

    Parameters
    ----------
    name : str
    command : Sequence of str
        Program and arguments.
    env : Mapping, optional
        Its environment; the parent's without one.
    restart : bool
        Start it again when it dies; else its death ends everything.
    can_refuse : bool
        `REFUSED` is no death of it.
    cwd : Path, optional
    """

    name: str
    command: Sequence[str]
    env: Mapping[str, str] | None = None
    restart: bool = False
    can_refuse: bool = False
    cwd: Path | None = None
    process: subprocess.Popen[bytes] | None = None
    deaths: deque[float] = field(default_factory=deque)
    starts: int = 0
    start_at: float = 0.0

    def start(self) -> None:
        """Start the process."""
        self.starts += 1
        # On POSIX a Ctrl-C reaches the whole group, on Windows only a new group can be sent a break: ask each by name.
        flags = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)
        self.process = subprocess.Popen(
            list(self.command),
            env=None if self.env is None else dict(self.env),
            cwd=self.cwd,
            creationflags=flags,
            stdin=subprocess.PIPE,
        )

    def forget(self) -> int:
        """Let go of a process that has ended; gives its exit code."""
        process, self.process = self.process, None
        if process is None:
            return 0
        if process.stdin is not None:
            process.stdin.close()
        return process.wait()

    @property
    def is_running(self) -> bool:
        """The process lives."""
        return self.process is not None and self.process.poll() is None

    def ask_to_end(self) -> None:
        """Ask it to end in its own way."""
        if self.process is None or not self.is_running:
            return
        ctrl_break = getattr(signal, "CTRL_BREAK_EVENT", None)
        if ctrl_break is not None:
            self.process.send_signal(ctrl_break)
        else:
            self.process.terminate()

    def end(self, patience_s: float) -> None:
        """Wait for its end, and end it when patience is over."""
        if self.process is None:
            return
        try:
            self.process.wait(max(0.05, patience_s))
        except subprocess.TimeoutExpired:
            log.warning("%s does not end by itself; it is ended", self.name)
            self.process.kill()
            self.process.wait()


class Supervisor:
    """Keeps the children of one `workbench up`.

    Parameters
    ----------
    children : Sequence of Child
        Started in this order and ended in the reverse one.
    latch_folder : Path
        Where the HALT latch is written.
    show : callable
        Prints one line.
    """

    def __init__(
        self,
        children: Sequence[Child],
        *,
        latch_folder: Path,
        show: Callable[[str], None],
        backoff_s: Sequence[float] = BACKOFF_S,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self.children, self.latch_folder, self._show = list(children), latch_folder, show
        self._backoff, self._patience = backoff_s, patience_s
        self._stopping = False
        self.why = ""

    def stop(self, why: str = "asked to") -> None:
        """Ask the supervisor to end everything; may be called from a signal handler."""
        # A plain flag: this runs inside signal handlers, which may interrupt each other, and the lock of an Event that
        # the interrupted code holds would never be given back.
        self.why = self.why or why
        self._stopping = True

    def catch_signals(self) -> None:
        """End everything on Ctrl-C, terminate and (Windows) break.

        A terminal that is closed is left to the system and acts as a kill: nobody meant to end anything, so that a live
        engine goes on with what is held, and all others end by their pipes.
        """
        for name in ("SIGINT", "SIGTERM", "SIGBREAK"):
            number = getattr(signal, name, None)
            if number is not None:
                signal.signal(number, lambda *_: self.stop("stopped by the operator"))

    def run(self) -> int:
        """Start all and watch them until the end; gives the exit code of the parent."""
        code = 0
        try:
            for child in self.children:
                if self._stopping:
                    break
                child.start()
            while not self._stopping:
                time.sleep(LOOK_EVERY_S)
                if self._stopping:
                    break  # a Ctrl-C reaches the children too: one that has ended by it is not to be started again
                for child in self.children:
                    code = self._watch(child) or code
                if code:
                    break
        finally:
            self.end_all()
        return code

    def end_all(self) -> None:
        """End every child, the last started first."""
        for child in reversed(self.children):
            child.ask_to_end()
        deadline = time.monotonic() + self._patience
        for child in reversed(self.children):
            child.end(deadline - time.monotonic())
            child.forget()

    def _watch(self, child: Child) -> int:
        """Look after one child; gives the parent's exit code when its end ends everything, else 0."""
        if child.is_running:
            return 0
        now = time.monotonic()
        if child.process is not None:
            code = child.forget()
            if not child.restart:
                self.why = f"{child.name} ended with code {code}"
                self._show(self.why)
                return 1
            if child.can_refuse and code == REFUSED:
                if child.starts == 1:
                    self.why = f"{child.name} refused to start, for the reason above"
                    return REFUSED
                self._refused(child, now)
            else:
                self._died(child, code, now)
        if now >= child.start_at:
            child.start()
        return 0

    def _refused(self, child: Child, now: float) -> None:
        pause = self._backoff[-1]
        child.start_at = now + pause
        self._show(f"{child.name} refuses to start again, for the reason above; it is asked again in {pause:g} s")

    def _died(self, child: Child, code: int, now: float) -> None:
        child.deaths.append(now)
        while child.deaths and now - child.deaths[0] > DEATHS_WITHIN_S:
            child.deaths.popleft()
        pause = self._backoff[min(len(child.deaths) - 1, len(self._backoff) - 1)]
        child.start_at = now + pause
        self._show(f"{child.name} died (code {code}); starting again in {pause:g} s")
        if len(child.deaths) >= DEATHS_TO_LATCH and read_latch(self.latch_folder) is None:
            reason = f"{child.name} died {len(child.deaths)} times within ten minutes (last code {code})"
            set_latch(self.latch_folder, reason)
            self._show(f"HALT is latched: {reason}; entries stop until: workbench resume")

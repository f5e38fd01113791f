"""The way off this machine: a queue, a thread, and a child process that holds the addresses.

The child (`workbench.notify.sender`) gets the addresses through its environment and one notice a line on its standard
input, and answers each with what became of it. A storm of one and the same text becomes one message with a count.

Invariant: `send` only puts into a bounded queue; the addresses hold tokens and are in no command line, log or reply.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

ADDRESSES = "WORKBENCH_NOTIFY_URLS"
"""Environment variable of the child: addresses as apprise writes them, blanks between them."""

QUIET_S = 60.0
"""The same text within this time is counted and told once more at its end."""

MOST_WAITING = 200
_PATIENCE_S = 20.0
_RESTART_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """What became of one notice: how many of the addresses took it."""

    taken: int
    of: int
    reason: str = ""

    @property
    def is_good(self) -> bool:
        """Every address took it."""
        return self.of > 0 and self.taken == self.of


class Channel:
    """Takes notices to the addresses in the background.

    Parameters
    ----------
    addresses : sequence of str
        As apprise writes them: ``tgram://TOKEN/CHAT``, ``ntfy://TOPIC``, ``mailto://…``.
    monotonic : callable
        Wire time.
    """

    def __init__(self, addresses: Sequence[str], *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._addresses = tuple(addresses)
        self._monotonic = monotonic
        self._queue: queue.Queue[tuple[str, str] | None] = queue.Queue(MOST_WAITING)
        self._told: dict[str, tuple[float, int]] = {}
        self._child: subprocess.Popen[str] | None = None
        self._started_at = float("-inf")
        self._thread = threading.Thread(target=self._work, name="notify", daemon=True)
        self.is_good = True
        self.reason = ""
        self.sent = self.failed = self.dropped = 0
        self._thread.start()

    def __repr__(self) -> str:
        return f"Channel({len(self._addresses)} addresses)"

    def send(self, level: str, text: str) -> None:
        """Queue one notice; when the queue is full it is dropped and counted."""
        try:
            self._queue.put_nowait((level, text))
        except queue.Full:
            self.dropped += 1

    def deliver(self, level: str, text: str) -> Delivery:
        """Send one notice now, in this thread, and say what became of it."""
        child = self._running()
        if child is None or child.stdin is None or child.stdout is None:
            return Delivery(taken=0, of=len(self._addresses), reason=self.reason or "the sender could not be started")
        try:
            child.stdin.write(json.dumps({"level": level, "text": text}) + "\n")
            child.stdin.flush()
            answer = _line_in_time(child, _PATIENCE_S)
        except (OSError, ValueError) as error:
            answer, why = "", type(error).__name__
        else:
            why = f"no answer of the sender within {_PATIENCE_S:g} s"
        if not answer:
            child.kill()
            return Delivery(taken=0, of=len(self._addresses), reason=why)
        body = json.loads(answer)
        return Delivery(taken=int(body["taken"]), of=int(body["of"]), reason=str(body["reason"]))

    def close(self, patience_s: float = 3.0) -> None:
        """Send what waits, within a few seconds, and end the child."""
        try:
            self._queue.put_nowait(None)
        except queue.Full:
            self.dropped += 1
        self._thread.join(patience_s)
        child, self._child = self._child, None
        if child is not None:
            child.kill()
            child.wait(5)
            for pipe in (child.stdin, child.stdout):
                if pipe is not None:
                    pipe.close()

    def _work(self) -> None:
        while True:
            try:
                item = self._queue.get(timeout=QUIET_S / 4)
            except queue.Empty:
                self._tell_counts()
                continue
            if item is None:
                return
            level, text = item
            since, more = self._told.get(text, (float("-inf"), 0))
            if self._monotonic() - since < QUIET_S:
                self._told[text] = (since, more + 1)
                continue
            self._told[text] = (self._monotonic(), 0)
            self._note(self.deliver(level, f"{text} ({more} more times)" if more else text))
            self._tell_counts()

    def _tell_counts(self) -> None:
        """Say how often a text came again, once its quiet time is over; forget the ones that came once."""
        for text, (since, more) in list(self._told.items()):
            if self._monotonic() - since < QUIET_S:
                continue
            del self._told[text]
            if more:
                self._note(self.deliver("warning", f"{text} ({more} more times)"))

    def _note(self, done: Delivery) -> None:
        self.is_good, self.reason = done.is_good, done.reason
        if done.is_good:
            self.sent += 1
        else:
            self.failed += 1

    def _running(self) -> subprocess.Popen[str] | None:
        """Give the child; one that has ended is started again, not more often than each few seconds."""
        if self._child is not None and self._child.poll() is None:
            return self._child
        if self._monotonic() - self._started_at < _RESTART_S:
            self.reason = "the sender has ended"
            return None
        self._started_at = self._monotonic()
        self._child = subprocess.Popen(
            [sys.executable, "-m", "workbench.notify.sender"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            encoding="utf-8",
            env={**os.environ, ADDRESSES: " ".join(self._addresses)},
        )
        return self._child


def _line_in_time(child: subprocess.Popen[str], patience_s: float) -> str:
    """Read one line of the child; a reader of its own waits, since a pipe knows no time-out on every system."""
    found: list[str] = []
    stdout = child.stdout
    if stdout is None:
        return ""
    reader = threading.Thread(target=lambda: found.append(stdout.readline()), daemon=True)
    reader.start()
    reader.join(patience_s)
    return found[0].strip() if found else ""

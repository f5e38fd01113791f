"""Room on the disk: a probe, and a reserve that is given up so that open positions can still be left.

While there is room a file of 16 MB stands beside the journal. When the disk is full it is deleted: what it held is
enough for many days of exits, and from then on no entry is taken. Once there is room again the reserve is laid down
anew and entries are free.

Invariant: `on_change` is told of every turn between enough and too little, and of nothing else.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Lock

RESERVE_BYTES = 16 * 1024 * 1024
LOW_BYTES = 128 * 1024 * 1024
"""Free bytes below which no entry is taken; the reserve is not counted."""

LOOK_EVERY_S = 5.0
RESERVE_FILE = "disk.reserve"
_BLOCK = 1024 * 1024


def keep_within(files: Sequence[Path], most_bytes: int) -> list[Path]:
    """Delete the first of these files until the rest fits; the last one stays whatever its size. Gives what went."""
    sizes = [file.stat().st_size for file in files]
    total, gone = sum(sizes), []
    for file, size in list(zip(files, sizes, strict=True))[:-1]:
        if total <= most_bytes:
            break
        file.unlink()
        gone.append(file)
        total -= size
    return gone


class Space:
    """Watches the room of one folder.

    Parameters
    ----------
    folder : Path
        Where the reserve is laid down.
    on_change : callable
        Told why there is too little room, and "" when there is enough again; in any thread.
    reserve_bytes, low_bytes : int
    free : callable, optional
        Free bytes of the disk.
    """

    def __init__(
        self,
        folder: Path,
        on_change: Callable[[str], None],
        *,
        reserve_bytes: int = RESERVE_BYTES,
        low_bytes: int = LOW_BYTES,
        free: Callable[[], int] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.folder, self.reserve_bytes, self.low_bytes = folder, reserve_bytes, low_bytes
        self._file = folder / RESERVE_FILE
        self._on_change, self._monotonic = on_change, monotonic
        self._free = free or (lambda: shutil.disk_usage(folder).free)
        self._lock = Lock()
        self._reason = ""
        self._not_before = float("-inf")

    @property
    def reason(self) -> str:
        """Why there is too little room; empty while there is enough."""
        return self._reason

    def look(self) -> None:
        """Probe the disk, at most every few seconds, and lay the reserve down where it is missing."""
        if self._monotonic() < self._not_before:
            return
        self._not_before = self._monotonic() + LOOK_EVERY_S
        with self._lock:
            free = self._free()
            missing = 0 if self._has_reserve() else self.reserve_bytes
            if free - missing < self.low_bytes:
                self._turn(
                    f"only {free // _BLOCK} MB are free on the disk of {self.folder}; no entries until there is room"
                )
                return
            if missing and not self._lay_down():
                return
            self._turn("")

    def give_up_reserve(self) -> bool:
        """Give the reserve to whoever has found the disk full; False when it is spent already."""
        with self._lock:
            had = self._file.is_file()
            self._file.unlink(missing_ok=True)
            if had:
                self._turn(f"the disk of {self.folder} is full; the reserve is used for exits, no entries")
            return had

    def _has_reserve(self) -> bool:
        return self._file.is_file() and self._file.stat().st_size == self.reserve_bytes

    def _lay_down(self) -> bool:
        # Zeros could be stored as a hole, or packed away by the file system: then there would be nothing to give up.
        block = os.urandom(_BLOCK)
        try:
            with self._file.open("wb") as file:
                for start in range(0, self.reserve_bytes, _BLOCK):
                    file.write(block[: min(_BLOCK, self.reserve_bytes - start)])
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            self._file.unlink(missing_ok=True)
            self._turn(f"no reserve can be laid down in {self.folder}: {error}; no entries until there is room")
            return False
        return True

    def _turn(self, reason: str) -> None:
        changed, self._reason = bool(reason) != bool(self._reason), reason
        if changed:
            self._on_change(reason)

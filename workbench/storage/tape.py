"""The tape: quotes and idle beats of a day, append-only, one file for each account and day.

A record is its length, its CRC-32 and a line of text. A file that was cut off in the middle of a record (a kill, a full
disk) reads up to there; the hole gets a name, and writing goes on behind it.

Invariant: a record that reads is the record that was written; whatever does not read is a named `Hole`, never silence.
"""

from __future__ import annotations

import gzip
import shutil
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import BinaryIO

from workbench.core.bars import Quote
from workbench.core.errors import CorruptData
from workbench.storage.space import keep_within

_HEAD = struct.Struct("<II")
_MAGIC = b"WBTAPE1\n"
_LONGEST = 4096
KEEP_DAYS = 14
"""Days after which a tape is packed."""

SIMULATED_BYTES = 1024**3
"""Of the tapes of practice and paper together: some eighty practice days as they are written, four hundred packed."""

_QUOTE, _BEAT, _HOLE = "Q", "B", "H"


@dataclass(frozen=True, slots=True, kw_only=True)
class TapeRecord:
    """One quote, or one idle beat where `quote` is None, with the stamp that the runner gave it."""

    seq: int
    now: datetime
    quote: Quote | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hole:
    """Something that the tape does not tell: `lost_bytes` of a torn record, or a gap that the writer named."""

    offset: int
    lost_bytes: int
    reason: str


class Tape:
    """Writer of the tapes of one account; a new file is begun when the day changes.

    Parameters
    ----------
    folder : Path
        Holds ``<account>-YYYY-MM-DD.tape``.
    account_id : str
    """

    def __init__(self, folder: Path, account_id: str) -> None:
        self.folder, self.account_id = folder, account_id
        self._day: date | None = None
        self._file: BinaryIO | None = None
        self.written = 0

    def write(self, seq: int, now: datetime, quote: Quote | None) -> None:
        """Append a quote, or an idle beat; it is buffered until `flush`."""
        if self._file is None or now.date() != self._day:
            self._turn_to(now.date())
        if quote is None:
            self._put(f"{_BEAT}\t{seq}\t{now.isoformat()}")
        else:
            self._put(f"{_QUOTE}\t{seq}\t{now.isoformat()}\t{_quote_text(quote)}")

    def name_hole(self, now: datetime, reason: str) -> None:
        """Write down that quotes are missing from here on, and why (feed lost, process restarted)."""
        if self._file is None or now.date() != self._day:
            self._turn_to(now.date())
        self._put(f"{_HOLE}\t0\t{now.isoformat()}\t0\t{_plain(reason)}")

    def flush(self) -> None:
        """Hand what is buffered to the operating system (a kill of this process loses nothing of it)."""
        if self._file is not None:
            self._file.flush()

    def close(self) -> None:
        """Write what is buffered and close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _turn_to(self, day: date) -> None:
        self.close()
        path = tape_path(self.folder, self.account_id, day)
        path.parent.mkdir(parents=True, exist_ok=True)
        end, torn = _sound_end(path)
        file = path.open("ab", buffering=1 << 16)
        self._file, self._day = file, day
        if torn:
            file.truncate(end)
        if end == 0:
            file.write(_MAGIC)
        if torn:
            self._put(f"{_HOLE}\t0\t\t{torn}\ttorn record at byte {end}")

    def _put(self, line: str) -> None:
        if self._file is None:
            return
        payload = line.encode()
        self._file.write(_HEAD.pack(len(payload), zlib.crc32(payload)) + payload)
        self.written += 1


def tape_path(folder: Path, account_id: str, day: date) -> Path:
    """Where the tape of that day stands."""
    return folder / f"{account_id}-{day.isoformat()}.tape"


def archive_old(folder: Path, today: date, *, keep_days: int = KEEP_DAYS, wall: datetime | None = None) -> int:
    """Pack the tapes of days long past, each beside where it stood; gives how many were packed.

    Ids and prices repeat, so a packed tape takes about a fifth of its room. Whoever wants to read one unpacks it.

    Parameters
    ----------
    folder : Path
    today : date
        Of the market.
    wall : datetime, optional
        This machine's time: a tape that nobody wrote to for as many days is packed too. A practice market begins at the
        same date each time, and by that date its tapes would never be old.
    """
    packed, span = 0, timedelta(days=keep_days)
    for path in sorted(folder.glob("*.tape")):
        try:
            day = date.fromisoformat(path.stem[-10:])
        except ValueError:
            continue  # no tape of ours
        idle = timedelta(0) if wall is None else wall - datetime.fromtimestamp(path.stat().st_mtime, wall.tzinfo)
        if today - day <= span and idle <= span:
            continue
        part = path.with_name(path.name + ".part")
        with path.open("rb") as plain, gzip.open(part, "wb") as small:
            shutil.copyfileobj(plain, small)
        shutil.copystat(path, part)  # its age is what it is dropped by
        part.replace(path.with_name(path.name + ".gz"))
        path.unlink()
        packed += 1
    return packed


def limit_simulated(folder: Path, *, most_bytes: int = SIMULATED_BYTES) -> list[Path]:
    """Delete the oldest tapes of simulated accounts beyond a size; those of real money stay. Gives what went."""
    mine = [path for kind in ("practice", "paper") for path in folder.glob(f"{kind}*.tape*") if path.suffix != ".part"]
    return keep_within(sorted(mine, key=lambda path: path.stat().st_mtime), most_bytes)


def read_tape(path: Path) -> Iterator[TapeRecord | Hole]:
    """Read a tape in order.

    Yields
    ------
    TapeRecord or Hole
        A file that ends within a record ends with a `Hole`.

    Raises
    ------
    CorruptData
        The file is no tape, or a record in its middle was changed.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            raise CorruptData(f"{path} is no tape of this workbench")
        offset = len(_MAGIC)
        while offset < size:
            payload = _next_payload(file.read(_HEAD.size), file.read)
            if payload is None:
                if not _reaches_end(path, offset):
                    raise CorruptData(f"{path} is damaged at byte {offset}: the record's checksum does not fit")
                yield Hole(offset=offset, lost_bytes=size - offset, reason=f"torn record at byte {offset}")
                return
            yield _record(path, offset, payload)
            offset += _HEAD.size + len(payload)


def _next_payload(head: bytes, read: Callable[[int], bytes]) -> bytes | None:
    if len(head) < _HEAD.size:
        return None
    length, checksum = _HEAD.unpack(head)
    if length > _LONGEST:
        return None
    payload = read(length)
    return payload if len(payload) == length and zlib.crc32(payload) == checksum else None


def _reaches_end(path: Path, offset: int) -> bool:
    """Tell whether the unreadable record at `offset` is the last thing in the file (torn, not changed)."""
    data = path.read_bytes()[offset:]
    if len(data) < _HEAD.size:
        return True
    length = int(_HEAD.unpack_from(data)[0])
    return length > _LONGEST or _HEAD.size + length >= len(data)


def _sound_end(path: Path) -> tuple[int, int]:
    """Give the offset behind the last sound record, and how many bytes follow it."""
    if not path.is_file() or path.stat().st_size == 0:
        return 0, 0
    data = path.read_bytes()
    if not data.startswith(_MAGIC):
        if _MAGIC.startswith(data):
            return 0, len(data)
        raise CorruptData(f"{path} is no tape of this workbench; move it away")
    offset = len(_MAGIC)
    while offset + _HEAD.size <= len(data):
        length, checksum = _HEAD.unpack_from(data, offset)
        end = offset + _HEAD.size + length
        if length > _LONGEST or end > len(data) or zlib.crc32(data[offset + _HEAD.size : end]) != checksum:
            break
        offset = end
    return offset, len(data) - offset


def _record(path: Path, offset: int, payload: bytes) -> TapeRecord | Hole:
    try:
        kind, seq, now, *rest = payload.decode().split("\t")
        if kind == _HOLE:
            return Hole(offset=offset, lost_bytes=int(rest[0]), reason=rest[1])
        quote = _quote(rest) if kind == _QUOTE else None
        return TapeRecord(seq=int(seq), now=datetime.fromisoformat(now), quote=quote)
    except (ValueError, ArithmeticError, IndexError) as error:
        raise CorruptData(f"{path}: the record at byte {offset} does not read: {error}") from error


def _quote_text(quote: Quote) -> str:
    return (
        f"{_plain(quote.key)}\t{quote.time.isoformat()}\t{quote.last}\t{quote.bid}\t{quote.ask}"
        f"\t{quote.bid_quantity}\t{quote.ask_quantity}\t{quote.volume}\t{int(quote.model)}"
    )


def _quote(rest: list[str]) -> Quote:
    key, time, last, bid, ask, bid_quantity, ask_quantity, volume, model = rest
    return Quote(
        key,
        datetime.fromisoformat(time),
        Decimal(last),
        Decimal(bid),
        Decimal(ask),
        int(bid_quantity),
        int(ask_quantity),
        int(volume),
        model == "1",
    )


def _plain(text: str) -> str:
    """Keep field and line marks out of a field."""
    return text.replace("\t", " ").replace("\n", " ")[:400]

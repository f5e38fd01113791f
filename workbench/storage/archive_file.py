"""One archive of a journal: a zip with a database of entries, and a manifest of what is in it.

Whatever is wrong with the file is told as one error that names it and says what a person can do: a single flipped bit
shows itself as one of a dozen errors of the zip, of its packing or of the text within, and none of them may end a start
that watches a position.

Invariants: what is read was checked by the zip's own checksum; an archive is laid down beside itself and never changed.
"""

from __future__ import annotations

import json
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from workbench.core.errors import BadInput, CorruptData
from workbench.storage.journal_file import check, open_file

MANIFEST = "archive.json"
DATABASE = "journal.db"
SCRATCH = "unpacked-"
"""Begins the name of a folder in which an archive lies unpacked for a while."""

DAMAGED = (
    zipfile.BadZipFile, zlib.error, struct.error, EOFError, RuntimeError, LookupError, ValueError, TypeError,
    AttributeError, OverflowError,
)  # fmt: skip
"""As what a flipped bit shows itself: of the zip, of what it packs, or of the text within.

RuntimeError is a password that nobody set or, as NotImplementedError, a way of packing that does not exist; ValueError
is also text that is no UTF-8 or no JSON.
"""

UNREADABLE = (OSError, *DAMAGED)

_WAY_OUT = "put a good copy in its place, or move it elsewhere: its days are then neither counted nor reported"


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """What one archive says of itself.

    Parameters
    ----------
    file : Path
    first_seq, last_seq, entries : int
    days : mapping
        Days by account.
    fills : mapping
        By account and day, the deployments that had a fill.
    """

    file: Path
    first_seq: int
    last_seq: int
    entries: int
    days: Mapping[str, Sequence[date]]
    fills: Mapping[str, Mapping[date, Sequence[str]]]


def read_manifest(file: Path) -> Archive:
    """Read what an archive says of itself.

    Raises
    ------
    CorruptData
        It is no archive of a journal, or damaged.
    """
    try:
        body = json.loads(_member(file, MANIFEST))
        return Archive(
            file=file,
            first_seq=int(body["first_seq"]),
            last_seq=int(body["last_seq"]),
            entries=int(body["entries"]),
            days={name: [date.fromisoformat(each) for each in days] for name, days in body["days"].items()},
            fills={
                name: {date.fromisoformat(day): list(names) for day, names in days.items()}
                for name, days in body["fills"].items()
            },
        )
    except UNREADABLE as error:
        raise CorruptData(f"{file} is no archive of a journal, or damaged ({_named(error)}); {_WAY_OUT}") from error


@contextmanager
def unpacked(file: Path) -> Iterator[Path]:
    """Lay an archive's database down beside it for a while, checked as the engine checks a journal.

    Raises
    ------
    CorruptData
        It is damaged.
    BadInput
        There is no room beside it, or nothing may be written there.
    """
    try:
        body = _member(file, DATABASE)
    except UNREADABLE as error:
        raise CorruptData(f"{file} is damaged ({_named(error)}); nothing was changed; {_WAY_OUT}") from error
    with ExitStack() as ends:
        database = _laid_down(file, body, ends)
        engine = open_file(database)
        try:
            check(engine, database)
        except CorruptData as error:
            why = error.__cause__ or "its database is"
            raise CorruptData(f"{file} is damaged ({why}); nothing was changed; {_WAY_OUT}") from error
        finally:
            engine.dispose()
        yield database


def _laid_down(file: Path, body: bytes, ends: ExitStack) -> Path:
    try:
        scratch = tempfile.TemporaryDirectory(prefix=SCRATCH, dir=file.parent)
        database = Path(ends.enter_context(scratch)) / DATABASE
        database.write_bytes(body)
    except OSError as error:
        raise BadInput(
            f"{file.name} cannot be unpacked in {file.parent}: {error}; make room there and let it be written to, then "
            "order it again"
        ) from error
    return database


def _member(file: Path, name: str) -> bytes:
    with zipfile.ZipFile(file) as packed:
        info = packed.getinfo(name)
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise zipfile.BadZipFile(f"{name} is packed in a way that was never used")
        return packed.read(info)


def _named(error: BaseException) -> str:
    # The zip's own words may hold half of the file.
    return f"{type(error).__name__}: {str(error)[:100]}"

"""Logs: a human line on the console, one JSON object a line in a file a day, and no secret in either.

Files are `data/logs/<part>-<date>.jsonl`, a new one at midnight in India, the newest 14 kept. What any logger of any
library tells runs through the same redactor: the secrets that are known, and what looks like a token.

Invariant: nothing is written before it was redacted, and one record is one line of the file, whatever its text holds.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Callable, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import TextIO

from pythonjsonlogger.json import JsonFormatter

from workbench.config import Secrets
from workbench.core.session import IST

FILES_KEPT = 14
MOST_BYTES = 64 * 1024 * 1024
"""Of one day's file; beyond it only the console goes on."""

_HIDDEN = "[hidden]"
_NOISY = ("websockets", "httpx", "urllib3")
# A JSON web token, and what stands behind a name of a secret in an address, a header or a dictionary.
_TOKEN_LIKE = re.compile(r"eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*")
_NAMED = re.compile(
    r"(?i)\b(access[-_]?token|token|pin|totp|password|secret|authorization|bearer|api[-_]?key)"
    r"(\\?[\"']?\s*[=:]\s*(?:bearer\s+)?\\?[\"']?)([^\s\"'&,;\\}\])]{4,})"
)


class Redactor:
    """Takes secrets out of text.

    Parameters
    ----------
    secrets : sequence of str
        Known secrets; short ones (below four characters) are left to the patterns.
    """

    def __init__(self, secrets: Sequence[str]) -> None:
        self._secrets = sorted({each for each in secrets if len(each) >= 4}, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """Give the text without secrets."""
        for secret in self._secrets:
            text = text.replace(secret, _HIDDEN)
        text = _TOKEN_LIKE.sub(_HIDDEN, text)
        return _NAMED.sub(rf"\1\2{_HIDDEN}", text)


class _Formatter(logging.Formatter):
    """Another formatter's line, redacted."""

    def __init__(self, inner: logging.Formatter, redact: Redactor, *, escape: bool) -> None:
        super().__init__()
        self._inner, self._redact, self._escape = inner, redact, escape

    def format(self, record: logging.LogRecord) -> str:
        if self._escape:
            # A text from outside could forge a line, or paint the terminal; a traceback keeps its lines.
            record = logging.makeLogRecord(record.__dict__)
            record.msg, record.args = _escaped(record.getMessage()), None
        return self._redact(self._inner.format(record))


class DailyFile(logging.Handler):
    """Writes to the file of the day (in India) and keeps the newest of them.

    Parameters
    ----------
    folder : Path
    part : str
        First part of the file's name: engine, simulator.
    now : callable
        Wall time.
    """

    def __init__(self, folder: Path, part: str, now: Callable[[], datetime] = lambda: datetime.now(IST)) -> None:
        super().__init__()
        self.folder, self.part, self._now = folder, part, now
        self._day: date | None = None
        self._stream: TextIO | None = None
        self._written = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line; a log that cannot be written never stops what it tells of."""
        try:
            line = self.format(record) + "\n"
            stream = self._of_today()
            if self._written + len(line) > MOST_BYTES:
                return
            stream.write(line)
            stream.flush()
            self._written += len(line)
        except (OSError, ValueError):
            self.handleError(record)

    def close(self) -> None:
        """Close the file."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None
        super().close()

    def _of_today(self) -> TextIO:
        day = self._now().astimezone(IST).date()
        if self._stream is None or day != self._day:
            if self._stream is not None:
                self._stream.close()
            self.folder.mkdir(parents=True, exist_ok=True)
            file = self.folder / f"{self.part}-{day.isoformat()}.jsonl"
            self._written = file.stat().st_size if file.is_file() else 0
            self._stream, self._day = file.open("a", encoding="utf-8"), day
            for old in sorted(self.folder.glob(f"{self.part}-????-??-??.jsonl"))[:-FILES_KEPT]:
                old.unlink(missing_ok=True)
        return self._stream


def set_up(data: Path, part: str, secrets: Secrets, *, also: Sequence[str] = ()) -> None:
    """Send every logger of this process to the console and to the day's file, both redacted.

    Parameters
    ----------
    data : Path
        The data folder.
    part : str
        Which process this is.
    secrets : Secrets
    also : sequence of str
        Further secrets, such as the engine's own admin token.
    """
    known = [value.get_secret_value() for _, value in secrets if value is not None]
    redact = Redactor([*known, *(part for value in known for part in value.split()), *also])
    console = logging.StreamHandler(sys.stderr)
    human = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
    console.setFormatter(_Formatter(human, redact, escape=True))
    file = DailyFile(data / "logs", part)
    structured = JsonFormatter(
        "{asctime}{levelname}{name}{message}{threadName}",
        style="{",
        rename_fields={"asctime": "at", "levelname": "level"},
    )
    file.setFormatter(_Formatter(structured, redact, escape=False))
    root = logging.getLogger()
    for handler in list(root.handlers):
        root.removeHandler(handler)
    root.addHandler(console)
    root.addHandler(file)
    root.setLevel(logging.INFO)
    for noisy in _NOISY:
        logging.getLogger(noisy).setLevel(logging.WARNING)
    # It warns when a look at the market's clock is left out because the last one still works; the next look is near.
    logging.getLogger("apscheduler").setLevel(logging.ERROR)


def _escaped(text: str) -> str:
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode("ascii") for each in text)

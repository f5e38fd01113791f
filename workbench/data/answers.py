"""What one answer of Dhan's data endpoints means: data, nothing to give, no to this request, no to all, or silence.

Dhan says "there is nothing" with an error code that also says "your parameters are wrong" (DH-905, DH-907), so the
words decide where the code does not, and a caller that gets nothing at all for an instrument must doubt its own
question.

Invariant: only what passes by itself (pace, trouble at Dhan's, silence) is asked again, and only once: the transport
has tried before.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from workbench.core.errors import BrokerUnavailable

ATTEMPTS = 2
_FIRST_WAIT_S = 0.3
# Worth another try: rate limits and Dhan's own trouble.
_PASSING = frozenset({"DH-904", "DH-908", "DH-909", "800", "805"})
# Nothing else will be answered either: login, data plan, token, client.
_SHUT = frozenset({"DH-901", "DH-902", "DH-903", "806", "807", "808", "809", "810"})
_TOKEN_WORDS = re.compile(r"invalid (token|ip)", re.IGNORECASE)
_NOTHING_WORDS = re.compile(
    r"\bno (data|records?|candles?)\b|\bdata (is )?not (available|found|present)\b", re.IGNORECASE
)


class Verdict(StrEnum):
    """What an answer comes to."""

    DATA = "data"
    NOTHING = "nothing"
    REFUSED = "refused"
    SHUT = "shut"
    SILENT = "silent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One answer, read.

    Parameters
    ----------
    verdict : Verdict
        `NOTHING` may also mean wrong parameters; `SHUT` that no other request will do better; `SILENT` that nobody
        gave a usable answer.
    document : object
        The body, where the verdict is `DATA`.
    code, words : str
        Dhan's own, or why there is no answer.
    """

    verdict: Verdict
    document: Any = None
    code: str = ""
    words: str = ""

    def error(self, what: str) -> BrokerUnavailable:
        """Give the error of a caller that needed data: `what` says of which instrument and window."""
        match self.verdict:
            case Verdict.SILENT:
                return BrokerUnavailable(f"{what}: no usable answer ({self.words}); try again")
            case Verdict.SHUT:
                way_out = "look at the login and the data plan: workbench doctor"
            case _:
                way_out = "check the instrument and the dates"
        return BrokerUnavailable(f"{what}: Dhan refuses: {self.code} {self.words}; {way_out}")


def read(
    ask: Callable[[], Mapping[str, Any]], *, pause: Callable[[float], None] = time.sleep, attempts: int = ATTEMPTS
) -> Reading:
    """Ask until the answer is one, at most `attempts` times.

    Parameters
    ----------
    ask : callable
        One call of the official library; gives its envelope.
    pause : callable
        Waits between two tries.
    """
    reading = Reading(verdict=Verdict.SILENT)
    for attempt in range(attempts):
        if attempt:
            pause(_FIRST_WAIT_S * 2 ** (attempt - 1))
        reading = reading_of(ask())
        if reading.verdict is not Verdict.SILENT:
            break
    return reading


def reading_of(envelope: Mapping[str, Any]) -> Reading:
    """Read the library's envelope."""
    if envelope["status"] == "success":
        return Reading(verdict=Verdict.DATA, document=envelope["data"])
    remarks = envelope["remarks"]
    code = str(remarks.get("error_code") or "") if isinstance(remarks, dict) else ""
    if not isinstance(remarks, dict) or not code:
        return Reading(verdict=Verdict.SILENT, words=str(remarks))
    words = str(remarks.get("error_message") or "")
    return Reading(verdict=_verdict(code, words), code=code, words=words)


def _verdict(code: str, words: str) -> Verdict:
    if code in _PASSING:
        return Verdict.SILENT
    if code in _SHUT or (code in ("DH-905", "DH-906") and _TOKEN_WORDS.search(words)):
        return Verdict.SHUT
    if code == "DH-907" or (code == "DH-905" and _NOTHING_WORDS.search(words)):
        return Verdict.NOTHING
    return Verdict.REFUSED

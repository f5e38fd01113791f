"""One request's end, and what its body says of errors.

Dhan writes errors in two styles, and with HTTP statuses from 200 to 500; both styles are read here and nowhere else.

Invariant: an answer holds what came over the wire, and nothing is concluded here about an order.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

_TOKEN_CODES = frozenset({"DH-901", "807", "808", "809"})
_RATE_CODES = frozenset({"DH-904", "805"})


class Fate(StrEnum):
    """How far a request came."""

    NOT_SENT = "not_sent"
    ANSWERED = "answered"
    UNANSWERED = "unanswered"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One request's end.

    Parameters
    ----------
    fate : Fate
    status : int
        HTTP status, 0 without an answer.
    body : bytes
        As received.
    document : object
        The body read as JSON; None where it is none (see `is_json`).
    is_json : bool
    reason : str
        What a person reads; without secrets.
    elapsed_s : float
        Wire time.
    retry_after_s : float or None
        The broker's ``Retry-After``, where it gave one in seconds.
    """

    fate: Fate
    status: int = 0
    body: bytes = b""
    document: Any = None
    is_json: bool = False
    reason: str = ""
    elapsed_s: float = 0.0
    retry_after_s: float | None = None


def error_of(document: Any) -> tuple[str, str, str]:
    """Read an error body: ``(code, type, message)``, empty where the body is no error of Dhan's.

    Both styles are read: ``{"errorType","errorCode","errorMessage"}`` and the data endpoints'
    ``{"status":"failed","data":{"813":"Invalid SecurityId"}}``, whose code the library loses.
    """
    if not isinstance(document, dict):
        return "", "", ""
    code = document.get("errorCode")
    if code and isinstance(code, str | int) and not isinstance(code, bool):
        return str(code), str(document.get("errorType") or ""), str(document.get("errorMessage") or "")
    data = document.get("data")
    if document.get("status") == "failed" and isinstance(data, dict) and data:
        number, message = next(iter(data.items()))
        return str(number), "", str(message)
    return "", "", ""


def says_token(document: Any) -> bool:
    """Say whether an answer refuses the access token: by its code, or as Dhan's "DH-906 Invalid Token"."""
    code, _, message = error_of(document)
    return code in _TOKEN_CODES or (bool(code) and "token" in message.lower())


def says_too_fast(answer: Answer) -> bool:
    """Say whether an answer is about the pace of requests."""
    return answer.status == 429 or error_of(answer.document)[0] in _RATE_CODES

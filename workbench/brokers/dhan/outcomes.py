"""What an answer means: for a write one of four outcomes, for a read its content or a reason to try again.

The rule is suspicion: an order was rejected only if the body says so in Dhan's own words, was accepted only if the body
names the order, and was not sent only if the connection was never made. All else is UNKNOWN, to be found out by
reading, never by sending again (fault catalogue R1 to R6).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from workbench.brokers.dhan.transport import Answer, Fate, error_of
from workbench.core.errors import BrokerUnavailable
from workbench.core.messages import Outcome

# Dhan's "internal", "network" and "other" errors: after a write they say nothing about the order.
_SAYS_NOTHING = frozenset({"DH-908", "DH-909", "DH-910", "800"})
_TOKEN_CODES = frozenset({"DH-901", "807", "808", "809"})
_RATE_CODES = frozenset({"DH-904", "805"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What became of a write; `status` is Dhan's word on the order where it said one."""

    outcome: Outcome
    order_id: str = ""
    status: str = ""
    reason: str = ""
    token_refused: bool = False
    too_fast: bool = False


def judge_write(answer: Answer, *, order_id: str = "") -> Verdict:
    """Say how a write ended.

    Parameters
    ----------
    answer : Answer
    order_id : str
        For a modification or cancellation: the order it was about; an answer on another order proves nothing.
    """
    if answer.fate is Fate.NOT_SENT:
        return Verdict(outcome=Outcome.NOT_SENT, reason=answer.reason)
    if answer.fate is Fate.UNANSWERED or not answer.is_json:
        return Verdict(outcome=Outcome.UNKNOWN, reason=answer.reason)
    if 200 <= answer.status <= 299:
        return _accepted(answer, order_id)
    code, kind, message = error_of(answer.document)
    too_fast = answer.status == 429 or code in _RATE_CODES
    if not code or code in _SAYS_NOTHING or not 400 <= answer.status <= 499:
        return Verdict(outcome=Outcome.UNKNOWN, reason=answer.reason, too_fast=too_fast)
    if answer.status == 429 and code not in _RATE_CODES and kind != "Rate_Limit":
        return Verdict(outcome=Outcome.UNKNOWN, reason=answer.reason, too_fast=True)
    return Verdict(
        outcome=Outcome.REJECTED,
        reason=" ".join(part for part in (code, message) if part),
        token_refused=_is_token(code, message),
        too_fast=too_fast,
    )


def _accepted(answer: Answer, order_id: str) -> Verdict:
    document = answer.document
    named = document.get("orderId") if isinstance(document, dict) else None
    if isinstance(named, bool) or not isinstance(named, str | int) or not str(named).strip():
        return Verdict(outcome=Outcome.UNKNOWN, reason=f"no order id in the answer; {answer.reason}")
    if order_id and str(named) != order_id:
        return Verdict(outcome=Outcome.UNKNOWN, reason=f"the answer is about order {named}; {answer.reason}")
    status = str(document.get("orderStatus") or "").upper()
    if status == "REJECTED" and not order_id:
        reason = str(document.get("omsErrorDescription") or document.get("errorMessage") or "rejected by the broker")
        return Verdict(outcome=Outcome.REJECTED, order_id=str(named), status=status, reason=reason)
    return Verdict(outcome=Outcome.ACCEPTED, order_id=str(named), status=status)


def read_list(answer: Answer, what: str) -> list[dict[str, Any]]:
    """Give the rows of a list answer.

    Raises
    ------
    BrokerUnavailable
        Anything but a readable list: unknown is never empty.
    """
    document = _content(answer, what)
    if not isinstance(document, list) or not all(isinstance(row, dict) for row in document):
        raise BrokerUnavailable(f"{what} cannot be read: no list of rows; {answer.reason}")
    if any(str(row.get("status", "")).upper() == "ERROR" for row in document):
        raise BrokerUnavailable(f"{what} cannot be read: {answer.reason}")
    return document


def read_one(answer: Answer, what: str) -> dict[str, Any] | None:
    """Give one row; None for the empty list that Dhan answers on an unknown id.

    Raises
    ------
    BrokerUnavailable
        The answer cannot be read.
    """
    document = _content(answer, what)
    if isinstance(document, list):
        if not document:
            return None
        if len(document) > 1:
            raise BrokerUnavailable(f"{what} cannot be read: {len(document)} rows for one id")
        document = document[0]
    if not isinstance(document, dict):
        raise BrokerUnavailable(f"{what} cannot be read: no object; {answer.reason}")
    return document


def is_absent(answer: Answer) -> bool:
    """Say whether a look-up was answered with "no such order" (which is no proof: it also answers so in TRANSIT)."""
    code, _, message = error_of(answer.document)
    return answer.status in (400, 404) and code == "DH-906" and not _is_token(code, message)


def _content(answer: Answer, what: str) -> Any:
    code, _, message = error_of(answer.document)
    if answer.fate is not Fate.ANSWERED or not answer.is_json or not 200 <= answer.status <= 299 or code:
        reason = " ".join((code, message)) if code else answer.reason
        raise BrokerUnavailable(f"{what} cannot be read: {reason}; try again")
    return answer.document


def _is_token(code: str, message: str) -> bool:
    return code in _TOKEN_CODES or "token" in message.lower()

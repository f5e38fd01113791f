"""What an answer means: for a write one of four outcomes, for a read its content or a reason to try again.

The rule is suspicion: an order was rejected only if the body says so in Dhan's own words, was accepted only if the body
names the order, and was not sent only if the connection was never made. All else is UNKNOWN, to be found out by
reading, never by sending again (fault catalogue R1 to R6).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from workbench.brokers.dhan.answers import Answer, Fate, error_of, says_token, says_too_fast
from workbench.core.errors import BrokerUnavailable
from workbench.core.messages import Outcome

# Dhan's "internal", "network" and "other" errors: after a write they say nothing about the order.
_SAYS_NOTHING = frozenset({"DH-908", "DH-909", "DH-910", "800"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What became of a write; `status` is Dhan's word on the order where it said one."""

    outcome: Outcome
    order_id: str = ""
    status: str = ""
    reason: str = ""
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
    too_fast = says_too_fast(answer)
    if not code or code in _SAYS_NOTHING or not 400 <= answer.status <= 499:
        return Verdict(outcome=Outcome.UNKNOWN, reason=answer.reason, too_fast=too_fast)
    if answer.status == 429 and code not in ("DH-904", "805") and kind != "Rate_Limit":
        return Verdict(outcome=Outcome.UNKNOWN, reason=answer.reason, too_fast=True)
    return Verdict(
        outcome=Outcome.REJECTED,
        reason=" ".join(part for part in (code, message) if part),
        too_fast=too_fast,
    )


def judge_words(answer: Answer) -> Verdict:
    """Say how a write ended whose good answer names nothing: words, an object without id, or an empty 2xx.

    ACCEPTED here is Dhan's word alone: the caller reads back.
    """
    if answer.fate is Fate.ANSWERED and 200 <= answer.status <= 299 and not error_of(answer.document)[0]:
        listed = answer.document if isinstance(answer.document, list) else [answer.document]
        failed = any(isinstance(each, dict) and _is_failure(each) for each in listed)
        # An HTML page with status 200 is a proxy's or a firewall's, not Dhan's.
        readable = answer.is_json or not answer.body.lstrip().startswith(b"<")
        if readable and not failed:
            return Verdict(outcome=Outcome.ACCEPTED)
        return Verdict(outcome=Outcome.UNKNOWN, reason=answer.reason)
    return judge_write(answer)


def _is_failure(row: dict[str, Any]) -> bool:
    return str(row.get("status", "")).upper() in ("ERROR", "FAILED", "FAILURE")


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
    if any(_is_failure(row) for row in document):
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
    # Dhan has answered errors as a list of one object with HTTP 200 (recorded: ip/getIP).
    if not isinstance(document, dict) or _is_failure(document):
        raise BrokerUnavailable(f"{what} cannot be read: no object; {answer.reason}")
    return document


def is_absent(answer: Answer) -> bool:
    """Say whether a look-up was answered with "no such order" (which is no proof: it also answers so in TRANSIT)."""
    code, _, _ = error_of(answer.document)
    return answer.status in (400, 404) and code == "DH-906" and not says_token(answer.document)


def _content(answer: Answer, what: str) -> Any:
    code, _, message = error_of(answer.document)
    if answer.fate is not Fate.ANSWERED or not answer.is_json or not 200 <= answer.status <= 299 or code:
        reason = " ".join((code, message)) if code else answer.reason
        raise BrokerUnavailable(f"{what} cannot be read: {reason}; try again")
    return answer.document

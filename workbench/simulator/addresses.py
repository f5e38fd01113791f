"""The static addresses from which a client may write orders: set once, then frozen for a week.

Reads, market data and sockets work from anywhere, as at Dhan; so reads that work prove nothing about orders.

Invariant: orders are taken only from an address on the list.
"""

from __future__ import annotations

from datetime import date, timedelta
from ipaddress import ip_address
from typing import Any

Answer = tuple[int, Any]
"""HTTP status and JSON body."""

HERE = "127.0.0.1"
ELSEWHERE = "203.0.113.7"
"""An address of the documentation's range, which nobody has."""

FROZEN = timedelta(days=7)
_FLAGS = ("PRIMARY", "SECONDARY")


class Addresses:
    """The list.

    Parameters
    ----------
    allowed : bool
        Whether the client's address is on it at the start.
    """

    def __init__(self, *, allowed: bool = True) -> None:
        self._listed: dict[str, tuple[str, date | None]] = {"PRIMARY": (HERE if allowed else ELSEWHERE, None)}

    @property
    def may_write(self) -> bool:
        """Orders are taken from the client's address."""
        return any(address == HERE for address, _ in self._listed.values())

    def set(self, body: dict[str, Any], today: date, *, change: bool) -> Answer:
        """Set an address, or change one that is older than a week."""
        flag, text = str(body.get("ipFlag")), str(body.get("ip"))
        if flag not in _FLAGS or not _is_address(text):
            return _refused("Missing required fields, bad values for parameters etc.")
        known = self._listed.get(flag)
        if change and known is None:
            return _refused(f"{flag} IP is not set")
        if not change and known is not None:
            return _refused(f"{flag} IP is already set")
        if known is not None and known[1] is not None and today - known[1] < FROZEN:
            return _refused("IP can be modified only once in 7 days")
        self._listed[flag] = (text, today)
        word = "modified" if change else "saved"
        return 200, {"message": f"IP {word} successfully", "status": "SUCCESS"}

    def listed(self) -> Answer:
        """Give the list; an empty one is an error in an HTTP 200."""
        if not self._listed:
            return 200, [{"message": "No IP found for the client", "status": "ERROR"}]
        row: dict[str, Any] = {}
        for flag in _FLAGS:
            address, changed = self._listed.get(flag, ("", None))
            row[f"modifyDate{flag.title()}"] = changed.isoformat() if changed else ""
            row[f"{flag.lower()}IP"] = address
        match = "MATCH" if self.may_write else "MISMATCH"
        return 200, {**row, "detectedIP": HERE, "ipMatchStatus": match, "ordersAllowed": self.may_write}

    def use(self, address: str | None) -> None:
        """Put another address on the list, or none: for whoever plays the broker."""
        self._listed = {} if address is None else {"PRIMARY": (address, None)}


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _refused(message: str) -> Answer:
    return 400, {"errorType": "Input_Exception", "errorCode": "DH-905", "errorMessage": message}

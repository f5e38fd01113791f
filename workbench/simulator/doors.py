"""What every call to the broker's REST has to pass: token, rate limit, registered address, data plan.

Invariant: a call that is turned away here has changed nothing at the broker.
"""

from __future__ import annotations

from collections.abc import Mapping

from workbench.simulator.addresses import Addresses
from workbench.simulator.limits import Answer, RateLimits, is_data, is_order_write
from workbench.simulator.tokens import Tokens

ACTIVE = "Active"
_NO_PLAN = (
    "User has not subscribed to Data APIs or does not have access to Trading APIs. "
    "Kindly subscribe to Data APIs to be able to fetch Data."
)


class TurnedAway(Exception):
    """A call that is answered at the door."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(f"HTTP {answer[0]}")
        self.answer = answer


class Doors:
    """The broker's front door.

    Parameters
    ----------
    client_id : str
    tokens : Tokens
    limits : RateLimits
    addresses : Addresses
    data_plan : str
        What the profile says of the data plan; market data is for "Active" alone.
    """

    def __init__(
        self, client_id: str, *, tokens: Tokens, limits: RateLimits, addresses: Addresses, data_plan: str = ACTIVE
    ) -> None:
        self._client_id = client_id
        self.tokens, self.limits, self.addresses, self.data_plan = tokens, limits, addresses, data_plan

    def refused(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer | None:
        """Give the answer for a call that is not let through, else None."""
        client = headers.get("client-id") or headers.get("dhanclientid") or self._client_id
        if client != self._client_id or not self.tokens.check(headers.get("access-token")):
            if path.removeprefix("/v2").startswith("/charts/"):
                # Recorded in March 2026: candles say it in words of their own.
                return 400, {"errorType": "Order_Error", "errorCode": "DH-906", "errorMessage": "Invalid Token"}
            text = "Client ID or user generated access token is invalid or expired."
            return 401, {"errorType": "Invalid_Authentication", "errorCode": "DH-901", "errorMessage": text}
        limited = self.limits.limited(method, path, body)
        if limited is not None:
            return limited
        path = path.removeprefix("/v2")
        if is_order_write(method, path) and not self.addresses.may_write:
            return 400, {"errorType": "Input_Exception", "errorCode": "DH-905", "errorMessage": "Invalid IP"}
        if is_data(path) and self.data_plan != ACTIVE:
            if path.startswith("/charts/"):
                return 400, {"errorType": "Invalid_Access", "errorCode": "DH-902", "errorMessage": _NO_PLAN}
            return 400, {"status": "failed", "data": {"806": "Data APIs not Subscribed"}}
        return None

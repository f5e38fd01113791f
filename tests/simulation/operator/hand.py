"""A person at the broker's own app: orders that are not ours, placed straight at the simulator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx

from workbench.core.signal import Side
from workbench.testing.simulator import RunningSimulator


@dataclass(frozen=True)
class Hand:
    """What a person does beside us."""

    sim: RunningSimulator

    def trade(self, side: Side, security_id: str, units: int, **changes: Any) -> str:
        """Place an order without a correlation id of ours; at the market, where nothing else is said."""
        body = {
            "dhanClientId": self.sim.client_id,
            "transactionType": side.value,
            "exchangeSegment": "NSE_FNO",
            "productType": "INTRADAY",
            "orderType": "MARKET",
            "validity": "DAY",
            "securityId": security_id,
            "quantity": units,
            **changes,
        }
        answer = self._ask("POST", "/orders", body)
        return str(answer["orderId"])

    def cancel(self, order_id: str) -> None:
        """Take an order back, whosever it is."""
        self._ask("DELETE", f"/orders/{order_id}", None)

    def _ask(self, method: str, path: str, body: dict[str, Any] | None) -> Any:
        headers = {"access-token": self.sim.token, "client-id": self.sim.client_id}
        answer = httpx.request(method, self.sim.base_url + path, json=body, headers=headers, timeout=10)
        assert answer.status_code in (200, 202), answer.text
        return answer.json()

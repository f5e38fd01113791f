"""A simulator whose one option costs what a test says, second by second."""

from __future__ import annotations

import functools
from datetime import date
from decimal import Decimal
from typing import Any

from workbench.core.instrument import Right
from workbench.reference import calendar, charge_table, contract_table
from workbench.simulator import Simulator, SimulatorConfig, SyntheticMarket
from workbench.simulator.board import Level
from workbench.simulator.listing import Listed

DAY = date(2026, 11, 16)


@functools.cache
def _market() -> SyntheticMarket:
    return SyntheticMarket(3, calendar(), DAY)


class Venue:
    """A simulator at 09:16:01 of 2026-11-16; its option is the middle call of the nearest expiry, which is next day."""

    def __init__(self, **options: Any) -> None:
        config = SimulatorConfig(**({"starting_funds": Decimal(100_000_000)} | options))
        self.sim = Simulator(_market(), calendar(), contract_table(), charge_table(), config)
        while self.sim.board.second < 60:
            self.sim.step()
        expiry = self.sim.listing.expiries("NIFTY")[0]
        calls = [each for each in self.sim.listing.options("NIFTY", expiry) if each.instrument.right is Right.CE]
        self.listed = calls[len(calls) // 2]
        self.lot = self.listed.instrument.lot
        self._price, self._lots = 100.0, 30
        make = self.sim.board._make

        def level(listed: Listed) -> Level:
            if listed.instrument.key != self.listed.instrument.key:
                return make(listed)
            size = self.lot * self._lots
            return Level(self._price - 0.05, self._price, self._price + 0.05, size, size, self.lot)

        self.sim.board._make = level  # type: ignore[method-assign]
        self.sim.step()
        self.alerts: list[dict[str, Any]] = []
        self.sim.updates.tell = lambda message: self.alerts.append(message["Data"])  # type: ignore[method-assign]

    def price(self, value: float, lots: int = 30) -> None:
        self._price, self._lots = value, lots
        self.sim.step()

    def place(self, **changes: Any) -> str:
        status, answer = self.sim.super_orders.place(self.body(**changes))
        assert status == 200, answer
        assert answer["orderStatus"] == "TRANSIT"
        self.sim.desk.admit_transit()
        return str(answer["orderId"])

    def body(self, **changes: Any) -> dict[str, Any]:
        return {
            "transactionType": "BUY", "exchangeSegment": "NSE_FNO", "productType": "INTRADAY", "orderType": "LIMIT",
            "securityId": self.listed.instrument.security_id, "quantity": self.lot * 2, "price": 101.0,
            "targetPrice": 120.0, "stopLossPrice": 90.0, "trailingJump": 0.0, "correlationId": "super",
        } | changes  # fmt: skip

    def row(self, order_id: str) -> dict[str, Any]:
        rows: Any = self.sim.super_rows()
        found: dict[str, Any] = next(each for each in rows if each["orderId"] == order_id)
        return found

    def legs(self, order_id: str) -> dict[str, tuple[str, float, int]]:
        return {
            each["legName"]: (each["orderStatus"], each["price"], each["totalQuatity"])
            for each in self.row(order_id)["legDetails"]
        }

    @property
    def net(self) -> int:
        return self.sim.account.held(self.listed.instrument.key)

    def order(self, **changes: Any) -> dict[str, Any]:
        """Send a plain order and give its row once the exchange has seen it."""
        status, answer = self.sim.desk.place(self.plain(**changes))
        assert status == 200, answer
        self.sim.desk.admit_transit()
        return self.order_row(str(answer["orderId"]))

    def plain(self, **changes: Any) -> dict[str, Any]:
        return {
            "transactionType": "BUY", "exchangeSegment": "NSE_FNO", "productType": "INTRADAY", "orderType": "LIMIT",
            "validity": "DAY", "securityId": self.listed.instrument.security_id, "quantity": self.lot, "price": 101.0,
            "triggerPrice": 0.0, "disclosedQuantity": 0, "afterMarketOrder": False,
        } | changes  # fmt: skip

    def order_row(self, order_id: str) -> dict[str, Any]:
        rows: Any = self.sim.book()["orders"]
        found: dict[str, Any] = next(each for each in rows if each["orderId"] == order_id)
        return found

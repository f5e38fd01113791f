"""Dhan's exit on profit and loss: for the day, when the account's result passes a threshold, everything is closed.

Invariant: it acts once; a threshold that is passed already when it is set acts at the next look, in the same second.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from workbench.core.money import ZERO
from workbench.simulator.admission import Refused, number, refusal
from workbench.simulator.desk import Desk
from workbench.simulator.limits import Answer
from workbench.simulator.orders import Status

_PRODUCTS = {"INTRADAY": ("INTRADAY",), "DELIVERY": ("CNC", "MARGIN", "MTF")}
_REASON = "CANCELLED BY BROKER: P&L BASED EXIT"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rule:
    profit: Decimal
    loss: Decimal
    names: tuple[str, ...]
    kill: bool

    @property
    def products(self) -> tuple[str, ...]:
        return tuple(each for name in self.names for each in _PRODUCTS[name])


class PnlExit:
    """The rule of the day, if one is set.

    Parameters
    ----------
    desk : Desk
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._rule: _Rule | None = None
        self._kill_when_flat = False
        desk.annexes.append(self)

    def open_day(self) -> None:
        """Start a day without a rule."""
        self._rule, self._kill_when_flat = None, False

    def set(self, body: dict[str, Any]) -> Answer:
        """Set the rule; thresholds are amounts, whatever their sign."""
        profit, loss = number(body.get("profitValue")), number(body.get("lossValue"))
        names = body.get("productType")
        known = isinstance(names, list) and bool(names) and set(names) <= set(_PRODUCTS)
        if profit is None or loss is None or not known or not (profit or loss):
            return refusal(Refused(message="Missing required fields, bad values for parameters etc."))
        kill = body.get("enableKillSwitch") is True
        self._rule = _Rule(profit=abs(profit), loss=abs(loss), names=tuple(sorted(set(names or ()))), kill=kill)
        if self._desk.session.contains(self._desk.now):
            self.watch()
        return 200, {"pnlExitStatus": "ACTIVE", "message": "P&L based exit configured successfully"}

    def stop(self) -> Answer:
        """Take the rule away."""
        self._rule = None
        return 200, {"pnlExitStatus": "DISABLED", "message": "P&L based exit stopped successfully"}

    def shown(self) -> Answer:
        """Give the rule in the names of the broker's read, which are not those of its write."""
        rule = self._rule or _Rule(profit=ZERO, loss=ZERO, names=(), kill=False)
        return 200, {
            "pnlExitStatus": "ACTIVE" if self._rule else "DISABLED",
            "profit": f"{rule.profit:.2f}",
            "loss": f"{rule.loss:.2f}",
            "productType": list(rule.names),
            "enable_kill_switch": rule.kill,
        }

    def watch(self) -> None:
        """Act when a threshold is passed; the kill switch follows when nothing is open any more."""
        if self._kill_when_flat and self._desk.kill(active=True)[0] == 200:
            self._kill_when_flat = False
        rule = self._rule
        if rule is None:
            return
        result = self._result(rule)
        if result is None:
            return
        if (rule.profit and result >= rule.profit) or (rule.loss and result <= -rule.loss):
            self._rule, self._kill_when_flat = None, rule.kill
            for product in rule.products:
                self._desk.flatten(product, _REASON, source="N")
            if self._kill_when_flat and self._desk.kill(active=True)[0] == 200:
                self._kill_when_flat = False

    def clear(self, status: Status, reason: str, product: str | None) -> None:
        """Nothing waits here that could be ended."""

    def _result(self, rule: _Rule) -> Decimal | None:
        """Give the result of the rule's products; None while somebody's price is not known."""
        total = ZERO
        for position in self._desk.account.positions.values():
            if position.product not in rule.products:
                continue
            total += position.realised
            if position.net:
                last = self._desk.board.quote(position.listed).last
                if last <= ZERO:
                    return None
                total += position.unrealised(last)
        return total

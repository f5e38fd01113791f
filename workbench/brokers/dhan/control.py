"""What can be done to the whole account at Dhan: kill switch, P&L exit, exit of everything, conversion of a position.

Dhan answers these with words or with nothing (HTTP 202 without a body), so each is read back: `confirmed` says that the
account was found as wished. The kill switch is no way out of positions: Dhan takes it only when all is flat.

Invariant: nothing is sent twice from here, and words alone never confirm.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from workbench.brokers.dhan.answers import Fate, error_of
from workbench.brokers.dhan.client import DhanClient
from workbench.brokers.dhan.fields import Row, decimal_of, lowered
from workbench.brokers.dhan.outcomes import judge_words, read_list, read_one
from workbench.brokers.dhan.rows import order_from_row, position_from_row
from workbench.brokers.dhan.writer import Call, Writer, read_back
from workbench.core.account import ControlReply, Conversion, KillSwitch, PnlExit
from workbench.core.errors import BrokerUnavailable, CorruptData
from workbench.core.messages import Outcome

# A look or two for what is a setting; closing positions takes the market's time.
SETTING_PATIENCE_S = 1.0
FLAT_PATIENCE_S = 5.0


class DhanControl:
    """One account's controls; implements `core.ports.AccountControl`.

    Parameters
    ----------
    client : DhanClient
        With the `orders` endpoint.
    """

    def __init__(self, client: DhanClient) -> None:
        self._api = client.api
        self._writer = Writer(client)

    def switch(self, wish: KillSwitch) -> ControlReply:
        """Turn Dhan's kill switch; ON is refused by Dhan while a position is open or an order rests."""
        word = "ACTIVATE" if wish is KillSwitch.ON else "DEACTIVATE"

        def wanting() -> str:
            found = self.kill_switch()
            return "" if found is wish else f"the kill switch is {found.value}"

        return self._done(f"kill switch {wish.value}", lambda: self._api.kill_switch(word), wanting)

    def kill_switch(self) -> KillSwitch:
        """Read the kill switch.

        Raises
        ------
        BrokerUnavailable
            Dhan gave no readable answer.
        """
        row = read_one(self._api.status_kill_switch()["answer"], "kill switch") or {}
        word = str(lowered(row).get("killswitchstatus") or "").upper()
        if word.startswith("DEACTIV"):
            return KillSwitch.OFF
        if word.startswith("ACTIV"):
            return KillSwitch.ON
        raise BrokerUnavailable(f"kill switch cannot be read: status {word!r}")

    def set_pnl_exit(self, wish: PnlExit) -> ControlReply:
        """Let Dhan leave all positions at a profit or a loss of the day.

        A threshold already passed fires at once, so both must be above zero: who wants only the loss gives a profit
        that the day cannot reach. `products` are Dhan's words, INTRADAY and DELIVERY.
        """
        if not (wish.profit > 0 and wish.loss > 0 and wish.products):
            reason = f"a P&L exit needs a profit and a loss above zero and a product, got {wish.profit} and {wish.loss}"
            return ControlReply(outcome=Outcome.NOT_SENT, reason=reason)

        def wanting() -> str:
            found = self.pnl_exit()
            if found is None:
                return "there is no P&L exit"
            # The products are not always told, and in any order.
            same = not found.products or set(found.products) == set(wish.products)
            return "" if same and replace(found, products=wish.products) == wish else f"the P&L exit is {found}"

        def call() -> dict[str, object]:
            reply: dict[str, object] = self._api.set_pnl_exit(
                profit_value=float(wish.profit),
                loss_value=float(wish.loss),
                product_type=list(wish.products),
                enable_kill_switch=wish.kill_switch,
            )
            return reply

        return self._done("setting the P&L exit", call, wanting)

    def stop_pnl_exit(self) -> ControlReply:
        """Take the P&L exit back."""

        def wanting() -> str:
            found = self.pnl_exit()
            return "" if found is None else f"the P&L exit is still {found}"

        return self._done("stopping the P&L exit", self._api.stop_pnl_exit, wanting)

    def pnl_exit(self) -> PnlExit | None:
        """Read the P&L exit; None when there is none.

        Raises
        ------
        BrokerUnavailable
            Dhan gave no readable answer.
        """
        answer = self._api.get_pnl_exit()["answer"]
        if answer.fate is Fate.ANSWERED and answer.status in (400, 404) and error_of(answer.document)[0] == "DH-907":
            return None
        row = read_one(answer, "P&L exit")
        low = lowered(row or {})
        status = str(low.get("pnlexitstatus") or low.get("status") or "ACTIVE").upper()
        if not any(low.get(name) for name in ("profit", "profitvalue")) or status not in ("ACTIVE", "SUCCESS"):
            return None
        try:
            return _pnl_exit(low)
        except CorruptData as error:
            raise BrokerUnavailable(f"P&L exit cannot be read: {error}") from error

    def exit_all(self, *, patience_s: float = FLAT_PATIENCE_S) -> ControlReply:
        """Close all positions and cancel all orders; confirmed when the account was read flat and without orders.

        Parameters
        ----------
        patience_s : float
            Real seconds to look on: Dhan sends protected limit orders, which may rest.
        """
        return self._done("exit of all", self._api.exit_all_positions, self._not_flat, patience_s=patience_s)

    def convert(self, wish: Conversion) -> ControlReply:
        """Change the product of a position."""
        try:
            before = self._held(wish)
        except BrokerUnavailable as error:
            return ControlReply(outcome=Outcome.NOT_SENT, reason=str(error))
        sign = 1 if wish.is_long else -1

        def wanting() -> str:
            held = self._held(wish)
            found = f"{held} units are {wish.after.value}, {before} were before"
            return "" if held - before == sign * wish.quantity else found

        def call() -> dict[str, object]:
            reply: dict[str, object] = self._api.convert_position(
                from_product_type=wish.before.value,
                exchange_segment=wish.segment,
                position_type="LONG" if wish.is_long else "SHORT",
                security_id=wish.security_id,
                convert_qty=wish.quantity,
                to_product_type=wish.after.value,
            )
            return reply

        return self._done(f"conversion of {wish.security_id}", call, wanting)

    def _done(
        self, what: str, call: Call, wanting: Callable[[], str], *, patience_s: float | None = None
    ) -> ControlReply:
        """Send once and look; an order that was not answered may have been carried out all the same."""
        verdict = self._writer.send(what, call, is_exit=True, judge=judge_words)
        if verdict.outcome in (Outcome.NOT_SENT, Outcome.REJECTED):
            return ControlReply(outcome=verdict.outcome, reason=verdict.reason)

        def look() -> str:
            try:
                return wanting()
            except BrokerUnavailable as error:
                return str(error)

        missing = read_back(look, patience_s=SETTING_PATIENCE_S if patience_s is None else patience_s)
        if not missing:
            return ControlReply(outcome=Outcome.ACCEPTED, confirmed=True)
        reason = "; ".join(part for part in (verdict.reason, f"not confirmed: {missing}") if part)
        return ControlReply(outcome=verdict.outcome, reason=reason)

    def _not_flat(self) -> str:
        try:
            positions = [position_from_row(row) for row in read_list(self._api.get_positions()["answer"], "positions")]
            orders = [order_from_row(row) for row in read_list(self._api.get_order_list()["answer"], "order book")]
        except CorruptData as error:
            raise BrokerUnavailable(str(error)) from error
        held = [f"{each.net_quantity} of {each.trading_symbol or each.security_id}" for each in positions]
        held = [text for text, each in zip(held, positions, strict=True) if each.net_quantity]
        resting = [f"order {each.order_id} {each.state.value}" for each in orders if each.state.may_rest]
        return ", ".join(held + resting)

    def _held(self, wish: Conversion) -> int:
        rows: list[Row] = list(read_list(self._api.get_positions()["answer"], "positions"))
        try:
            found = [position_from_row(row) for row in rows]
        except CorruptData as error:
            raise BrokerUnavailable(str(error)) from error
        return sum(
            each.net_quantity
            for each in found
            if (each.segment, each.security_id, each.product) == (wish.segment, wish.security_id, wish.after.value)
        )


def _pnl_exit(low: Row) -> PnlExit:
    products = low.get("producttype")
    return PnlExit(
        profit=decimal_of(low, "profit" if "profit" in low else "profitvalue"),
        loss=abs(decimal_of(low, "loss" if "loss" in low else "lossvalue")),
        products=tuple(str(each) for each in products) if isinstance(products, list) else (),
        kill_switch=str(low.get("enablekillswitch")).lower() == "true",
    )

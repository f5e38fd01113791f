"""The kill switch: in its order, verified at each step, and never called done where anything is in doubt."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.simulation.live.rig import Rig, rig
from tests.simulation.live.test_api import LINK, client, side
from workbench.core.account import ControlReply, Conversion, KillSwitch, PnlExit
from workbench.core.deployment import Mode
from workbench.core.errors import BrokerUnavailable
from workbench.core.messages import (
    BrokerOrder,
    BrokerPosition,
    Operator,
    OperatorOrdered,
    OrderUpdated,
    Outcome,
    SnapshotTaken,
)
from workbench.core.order import OrderState, Purpose
from workbench.core.signal import Side
from workbench.live.kill import NONCE_LIVES_S, KillRun


@dataclass
class Switch:
    """The broker's own switch; `core.ports.AccountControl` where the kill switch asks it."""

    found: KillSwitch = KillSwitch.OFF
    takes: bool = True
    readable: bool = True
    turned: list[KillSwitch] = field(default_factory=list)

    def switch(self, wish: KillSwitch) -> ControlReply:
        self.turned.append(wish)
        if self.takes:
            self.found = wish
        return ControlReply(outcome=Outcome.ACCEPTED, confirmed=True, reason="")

    def kill_switch(self) -> KillSwitch:
        if not self.readable:
            raise BrokerUnavailable("kill switch cannot be read: HTTP 500")
        return self.found

    def set_pnl_exit(self, wish: PnlExit) -> ControlReply:
        raise NotImplementedError

    def stop_pnl_exit(self) -> ControlReply:
        raise NotImplementedError

    def pnl_exit(self) -> PnlExit | None:
        raise NotImplementedError

    def exit_all(self, *, patience_s: float = 5.0) -> ControlReply:
        raise NotImplementedError

    def convert(self, wish: Conversion) -> ControlReply:
        raise NotImplementedError


@dataclass
class Killed:
    """A running account with its kill switch, and what the broker says of the account."""

    it: Rig
    http: httpx.AsyncClient
    switch: Switch
    wire: list[float]
    positions: tuple[BrokerPosition, ...] = ()
    orders: tuple[BrokerOrder, ...] = ()
    known: bool = True

    def snapshot(self) -> SnapshotTaken:
        return SnapshotTaken(
            taken_at=self.it.clock.now(),
            known=self.known,
            reason="" if self.known else "HTTP 502",
            positions=self.positions,
            orders=self.orders,
            available_funds=Decimal(1_000_000),
        )

    async def order(self) -> httpx.Response:
        asked = (await self.http.post("/api/kill/ask", json={})).json()
        return await self.http.post("/api/kill", json={"nonce": asked["nonce"], "who": "test"})

    async def until(self, step: str, state: str) -> None:
        """Wait until a step of the run is so far."""
        async with asyncio.timeout(20):
            while steps((await self.http.get("/api/kill")).json())[step] != state:
                await asyncio.sleep(0.005)
        await self.it.runner.drained()

    async def ended(self) -> dict[str, Any]:
        """Wait for the end of the run."""
        async with asyncio.timeout(20):
            while (seen := (await self.http.get("/api/kill")).json())["state"] == "running":
                await asyncio.sleep(0.005)
        await self.it.runner.drained()
        return dict(seen)

    async def alarmed(self, words: str) -> None:
        """Wait until a person was told."""
        async with asyncio.timeout(20):
            while not any(words in item.text for item in self.it.notifier.notices if item.level == "alarm"):
                await asyncio.sleep(0.005)

    async def buy(self) -> BrokerPosition:
        """Hold one lot, with its stop at the broker."""
        assert (await self.http.post(LINK, json=side())).json()["fate"] == "entered"
        await self.it.runner.drained()
        (ticket,) = self.it.broker.of(Purpose.ENTRY)
        await self.it.fill(ticket, "o1", "100.15")
        return BrokerPosition(
            segment="NSE_FNO",
            security_id=ticket.instrument.security_id,
            product="INTRADAY",
            net_quantity=ticket.quantity,
            trading_symbol="NIFTY 15700 CE",
        )

    async def leave(self) -> None:
        """Let the broker fill what leaves the position, whichever order that is."""
        resting = [order for order in self.it.runner.engine.book.orders.values() if order.state.may_rest]
        for order in resting:
            await self.it.fill(order.ticket, order.order_id, "99.00")


def with_kill(
    folder: Path,
    work: Callable[[Killed], Awaitable[None]],
    *,
    control: bool = True,
    dry_run: bool = False,
    within_s: float = 60.0,
) -> None:
    async def run() -> None:
        async with rig(folder, dry_run=dry_run) as it:
            switch, wire = Switch(), [0.0]
            it.system.kill = KillRun(
                it.runner,
                mode=Mode.PRACTICE,
                control=switch if control else None,
                flat_within_s=within_s,
                alarm_every_s=10.0,
                look_every_s=0.005,
                monotonic=lambda: wire[0],
            )
            async with client(it) as http:
                found = Killed(it, http, switch, wire)
                it.broker.snapshot = found.snapshot  # type: ignore[method-assign]
                await it.quotes()
                await work(found)

    asyncio.run(run())


def steps(seen: dict[str, Any]) -> dict[str, str]:
    return {item["step"]: item["state"] for item in seen["steps"]}


DONE = {"halt": "done", "flatten": "done", "verify": "done", "broker": "done"}


def test_a_flat_account_is_halted_verified_and_then_the_broker_is_told(tmp_path: Path) -> None:
    async def work(kill: Killed) -> None:
        assert (await kill.http.get("/api/kill")).json()["state"] == "not ordered"
        assert (await kill.http.get("/api/status")).json()["kill"] is None
        assert (await kill.order()).json()["state"] == "running"
        seen = await kill.ended()
        assert (seen["state"], steps(seen), seen["must_do"]) == ("done", DONE, "")
        assert kill.switch.turned == [KillSwitch.ON]
        book = kill.it.runner.engine.book
        assert (book.halted, book.halted_by) == (True, "kill")
        assert "flat and verified" in book.halt_reason
        assert (await kill.http.get("/api/status")).json()["kill"]["state"] == "done"

    with_kill(tmp_path, work)


def test_the_broker_is_told_only_when_book_and_broker_are_flat(tmp_path: Path) -> None:
    async def work(kill: Killed) -> None:
        kill.positions = (await kill.buy(),)
        await kill.order()
        await kill.until("verify", "running")
        assert kill.switch.turned == []
        await kill.leave()
        assert not kill.it.runner.engine.book.live_positions()
        async with asyncio.timeout(20):
            while "holds 50 of NIFTY 15700 CE" not in (await kill.http.get("/api/kill")).json()["steps"][2]["text"]:
                await asyncio.sleep(0.005)
        assert kill.switch.turned == [], "the broker still tells of units"
        kill.positions = ()
        assert (await kill.ended())["state"] == "done"
        assert kill.switch.turned == [KillSwitch.ON]

    with_kill(tmp_path, work)


def test_an_entry_that_waits_is_taken_back_and_no_further_one_is_taken(tmp_path: Path) -> None:
    async def work(kill: Killed) -> None:
        assert (await kill.http.post(LINK, json=side())).json()["fate"] == "entered"
        await kill.it.runner.drained()
        await kill.order()
        await kill.until("verify", "running")
        assert kill.it.broker.cancelled == ["o1"]
        await kill.http.post(LINK, json=side(id="another"))
        (ticket,) = kill.it.broker.of(Purpose.ENTRY)
        gone = BrokerOrder(
            order_id="o1", correlation_id=ticket.correlation_id, state=OrderState.CANCELLED, segment="NSE_FNO",
            security_id=ticket.instrument.security_id, side=ticket.side, quantity=ticket.quantity,
        )  # fmt: skip
        kill.it.runner.enqueue(OrderUpdated(order=gone))
        await kill.ended()
        rows = (await kill.http.get("/live/alerts")).json()
        assert [(row["fate"], row["gate"]) for row in rows if row["id"].endswith("another")] == [
            ("denied", "trading_switch")
        ]
        assert len(kill.it.broker.of(Purpose.ENTRY)) == 1

    with_kill(tmp_path, work)


def test_what_is_not_ours_is_not_touched_and_keeps_the_switch_off(tmp_path: Path) -> None:
    async def work(kill: Killed) -> None:
        kill.orders = (
            BrokerOrder(
                order_id="his-1", correlation_id="", state=OrderState.WORKING, segment="NSE_EQ", security_id="1333",
                side=Side.BUY, quantity=1,
            ),
        )  # fmt: skip
        await kill.order()
        await kill.until("verify", "running")
        kill.wire[0] = 11.0
        await kill.alarmed("not flat yet")
        kill.wire[0] = 61.0
        seen = await kill.ended()
        assert (seen["state"], steps(seen)["verify"], steps(seen)["broker"]) == ("failed", "failed", "waiting")
        assert "his-1" in seen["steps"][2]["text"]
        assert "broker's own app" in seen["must_do"]
        assert (kill.switch.turned, kill.it.broker.cancelled) == ([], [])
        await kill.alarmed("NOT DONE, verify failed")
        assert "NOT DONE" in kill.it.runner.engine.book.halt_reason

    with_kill(tmp_path, work)


def test_an_account_that_cannot_be_read_is_not_flat(tmp_path: Path) -> None:
    async def work(kill: Killed) -> None:
        kill.known = False
        await kill.order()
        await kill.until("verify", "running")
        kill.wire[0] = 61.0
        seen = await kill.ended()
        assert "could not be read: HTTP 502" in seen["steps"][2]["text"]
        assert (seen["state"], kill.switch.turned) == ("failed", [])
        assert kill.it.runner.engine.book.halted

    with_kill(tmp_path, work)


@pytest.mark.parametrize("doubt", ["not taken", "not readable", "none", "dry run"])
def test_a_switch_that_is_not_read_back_as_on_is_not_done(tmp_path: Path, doubt: str) -> None:
    async def work(kill: Killed) -> None:
        kill.switch.takes, kill.switch.readable = doubt != "not taken", doubt != "not readable"
        await kill.order()
        seen = await kill.ended()
        assert (seen["state"], steps(seen)["verify"], steps(seen)["broker"]) == ("failed", "done", "failed")
        assert "kill switch" in seen["must_do"]
        assert kill.it.runner.engine.book.halted
        assert bool(kill.switch.turned) is (doubt in ("not taken", "not readable"))

    with_kill(tmp_path, work, control=doubt != "none", dry_run=doubt == "dry run")


def test_who_resumes_meanwhile_ends_the_run_and_stays_halted(tmp_path: Path) -> None:
    async def work(kill: Killed) -> None:
        kill.positions = (await kill.buy(),)
        await kill.order()
        assert kill.it.runner.engine.book.halted, "before it is answered"
        await kill.until("verify", "running")
        await kill.it.runner.put(OperatorOrdered(command=Operator.RESUME))
        seen = await kill.ended()
        assert "resumed meanwhile" in seen["steps"][2]["text"]
        assert (seen["state"], kill.it.runner.engine.book.halted) == ("failed", True)

    with_kill(tmp_path, work)


def test_w15_the_word_of_the_question_is_good_once_and_for_half_a_minute(tmp_path: Path) -> None:
    async def work(kill: Killed) -> None:
        for body, code in (({}, 422), ({"nonce": ""}, 422), ({"nonce": "guess"}, 409)):
            assert (await kill.http.post("/api/kill", json=body)).status_code == code
        asked = (await kill.http.post("/api/kill/ask", json={})).json()
        assert (asked["good_for_s"], asked["positions"], asked["mode"]) == (30, 0, "practice")
        kill.wire[0] = NONCE_LIVES_S + 1
        late = await kill.http.post("/api/kill", json={"nonce": asked["nonce"]})
        assert (late.status_code, "has expired" in late.text) == (409, True)
        earlier = (await kill.http.post("/api/kill/ask", json={})).json()["nonce"]
        await kill.http.post("/api/kill/ask", json={})
        assert (await kill.http.post("/api/kill", json={"nonce": earlier})).status_code == 409
        assert not kill.it.runner.engine.book.halted
        nonce = (await kill.http.post("/api/kill/ask", json={})).json()["nonce"]
        kill.known = False
        assert (await kill.http.post("/api/kill", json={"nonce": nonce})).status_code == 200
        assert (await kill.http.post("/api/kill", json={"nonce": nonce})).status_code == 409, "it is under way"
        kill.known = True
        assert (await kill.ended())["state"] == "done"
        assert (await kill.http.post("/api/kill", json={"nonce": nonce})).status_code == 409

    with_kill(tmp_path, work)


def test_w15_the_kill_switch_needs_token_and_own_origin(tmp_path: Path) -> None:
    async def work(kill: Killed) -> None:
        async with client(kill.it, token="") as stranger:
            assert (await stranger.post("/api/kill/ask", json={})).status_code == 401
        foreign = {"origin": "https://evil.example"}
        assert (await kill.http.post("/api/kill/ask", json={}, headers=foreign)).status_code == 403
        assert kill.it.system.kill is not None
        assert kill.it.system.kill.view() is None

    with_kill(tmp_path, work)


def test_a_restart_in_the_middle_stays_halted_goes_on_leaving_and_is_not_called_done(tmp_path: Path) -> None:
    async def first() -> None:
        async with rig(tmp_path) as it, client(it) as http:
            it.system.kill = KillRun(it.runner, mode=Mode.PRACTICE, control=Switch(), look_every_s=0.005)
            await it.quotes()
            kill = Killed(it, http, Switch(), [])
            await kill.buy()
            await kill.order()
            await kill.until("verify", "running")

    async def second() -> None:
        async with rig(tmp_path) as it, client(it) as http:
            book = it.runner.engine.book
            assert (book.halted, book.halted_by) == (True, "kill")
            assert "kill" in book.halt_reason
            assert [item.exit_reason for item in book.live_positions()] == ["manual"]
            assert (await http.get("/api/kill")).status_code == 409

    asyncio.run(first())
    asyncio.run(second())


def test_a_run_that_breaks_is_shown_as_failed(tmp_path: Path) -> None:
    async def work(kill: Killed) -> None:
        def broken() -> SnapshotTaken:
            raise RuntimeError("a bug in the adapter")

        kill.it.broker.snapshot = broken  # type: ignore[method-assign]
        await kill.order()
        seen = await kill.ended()
        assert (seen["state"], steps(seen)["verify"]) == ("failed", "failed")
        assert "a bug in the adapter" in seen["steps"][2]["text"]
        assert kill.it.runner.engine.book.halted

    with_kill(tmp_path, work)

"""Where an engine can do no more: it ends loudly, nothing half-done leaves, and whoever waits is told."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.simulation.live.rig import Rig, rig
from tests.simulation.live.test_api import LINK, client, side
from tests.simulation.live.test_runner import alert, bought
from workbench.core.deployment import Deployment, Mode
from workbench.core.engine import Decision, Engine
from workbench.core.messages import DecisionMade, Operator, OperatorOrdered
from workbench.core.order import Purpose
from workbench.core.plan import plan_from_mapping
from workbench.live.kill import KillRun
from workbench.live.runner import MOST_FAULTS_A_DAY, NotDurableError
from workbench.storage.journal import JournalError

HALT = OperatorOrdered(command=Operator.HALT)


class NeverHalts(Engine):
    """An engine with a bug where it is to be halted."""

    def handle(self, message: Any, *, now: Any) -> Decision:
        if isinstance(message, OperatorOrdered) and message.command is Operator.HALT:
            raise RuntimeError("a bug in the engine")
        return super().handle(message, now=now)


def full(*_: object) -> None:
    raise JournalError("database or disk is full")


def alarms(it: Rig) -> list[str]:
    return [item.text for item in it.notifier.notices if item.level == "alarm"]


async def killed(it: Rig) -> dict[str, Any]:
    """Order the kill switch and wait for its end."""
    kill = KillRun(it.runner, mode=Mode.PRACTICE, control=None, look_every_s=0.005)
    await kill.begin(kill.ask()["nonce"], who="test", reason="")
    async with asyncio.timeout(20):
        while kill.is_running:
            await asyncio.sleep(0.005)
    seen = kill.view()
    assert seen is not None
    return seen


def test_a_command_that_cannot_be_handed_over_ends_the_engine_and_none_behind_it_leaves(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            await it.quotes()
            it.runner.lanes.close()
            async with asyncio.timeout(20):
                with pytest.raises(NotDurableError, match="not carried out in full"):
                    await it.runner.put_alert(alert())
            assert it.runner.stopped_because.startswith("cannot carry out PlaceOrder")
            assert any("cannot carry out PlaceOrder" in text for text in alarms(it))
            assert it.broker.placed == []

    asyncio.run(run())


def test_an_engine_that_breaks_again_and_again_is_given_up(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path, make_engine=NeverHalts) as it:
            for _ in range(MOST_FAULTS_A_DAY):
                await it.runner.put(HALT)
                await it.runner.drained()
            assert not it.runner.stopped_because
            with pytest.raises(NotDurableError):
                await it.runner.put(HALT)
            assert f"{MOST_FAULTS_A_DAY + 1} engine faults" in it.runner.stopped_because
            assert it.runner.stopped.is_set()

    asyncio.run(run())


def test_an_order_on_which_the_engine_is_given_up_is_not_answered_as_done(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path, make_engine=NeverHalts) as it:
            for _ in range(MOST_FAULTS_A_DAY):
                await it.runner.put(HALT)
                await it.runner.drained()
            seen = await killed(it)
            assert (seen["state"], seen["steps"][0]["state"]) == ("failed", "failed")

    asyncio.run(run())


def test_an_alert_that_cannot_be_kept_is_answered_503_and_may_be_sent_again(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it, client(it) as http:
            await it.quotes()
            it.journal.append = full  # type: ignore[method-assign, assignment]
            body = side()
            for _ in range(2):  # the second finds an engine that has stopped
                answer = await http.post(LINK, json=body)
                assert (answer.status_code, answer.json()["way_out"]) == (
                    503,
                    "send it again: the same alert is taken once",
                )
            assert it.broker.placed == []
            assert it.runner.stopped_because

    asyncio.run(run())


def test_where_no_margin_can_be_asked_for_nothing_is_sold(tmp_path: Path) -> None:
    legs = [{"side": "sell", "right": right, "strike": "ATM", "exits": {"stop": "40%"}} for right in ("CE", "PE")]
    plan = plan_from_mapping({"name": "straddle", "legs": legs, "combined": {"stop": 3000, "target": 3000}})
    sold = Deployment(name="SCALP_ATM", symbol="NIFTY", plan=plan, webhook_link="scalp-link")

    async def run() -> None:
        made: list[DecisionMade] = []
        async with rig(tmp_path, deployments=(sold,)) as it:
            it.runner.listeners.append(
                lambda _, decision: made.extend(each for each in decision.events if isinstance(each, DecisionMade))
            )
            await it.quotes()
            await it.runner.put_alert(alert())
            await it.runner.drained()
            await it.quotes()
            await it.beats(1)
            assert it.broker.placed == []
            assert [(each.fate, each.gate) for each in made] == [("denied", "margin")]
            assert "nobody can be asked here" in made[0].reason

    asyncio.run(run())


def test_a_kill_switch_that_cannot_halt_leaves_nothing_and_says_what_a_person_must_do(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path, make_engine=NeverHalts) as it:
            await bought(it)
            seen = await killed(it)
            assert [item["state"] for item in seen["steps"]] == ["failed", "waiting", "waiting", "waiting"]
            assert "halt was not carried out" in seen["steps"][0]["text"]
            assert "broker's own app" in seen["must_do"]
            assert not it.broker.of(Purpose.EXIT)

    asyncio.run(run())


def test_a_kill_switch_whose_journal_is_full_is_not_done_and_says_that_its_halt_is_not_kept(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            await bought(it)
            it.journal.append = full  # type: ignore[method-assign, assignment]
            seen = await killed(it)
            assert seen["state"] == "failed"
            assert any("the halt could not be kept either" in text for text in alarms(it))

    asyncio.run(run())


def test_a_kill_switch_whose_engine_stops_on_the_way_is_not_done(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            await bought(it)
            kill = KillRun(it.runner, mode=Mode.PRACTICE, control=None, look_every_s=0.005)
            await kill.begin(kill.ask()["nonce"], who="test", reason="")
            async with asyncio.timeout(20):
                while (seen := kill.view()) is None or seen["steps"][2]["state"] != "running":
                    await asyncio.sleep(0.005)
                it.runner.stop("the power went")
                while kill.is_running:
                    await asyncio.sleep(0.005)
            seen = kill.view()
            assert seen is not None
            assert (seen["state"], seen["steps"][2]["state"]) == ("failed", "failed")
            assert "the power went" in seen["steps"][2]["text"]
            assert not kill.is_done

    asyncio.run(run())

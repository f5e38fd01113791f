"""Every gate left out, one by one, and the switches that gates read ignored (I7)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from workbench.core import risk
from workbench.core.deployment import OwnLimits
from workbench.core.engine import entries, machine, slicing, steering
from workbench.core.messages import FeedChecked, Operator, SwitchTurned
from workbench.core.plan import Plan
from workbench.core.risk import times
from workbench.live.system import FeedWatch
from workbench.testing.proof.planted.registry import Bug, add, bug, replace_with, wrap


def _left_out(name: str) -> None:
    risk.GATES[name] = lambda ask, book, limits, now: None

    def make(judge: Any) -> Any:
        def blind(*asked: Any) -> Any:
            denied = judge(*asked)
            return None if denied is not None and denied.gate == name else denied

        return blind

    wrap(entries, "judge_before_contract", make)


def _register() -> None:
    for name in risk.GATES:
        add(Bug(f"gate_{name}", "I7", f"The gate {name} is never asked.", lambda name=name: _left_out(name)))  # type: ignore[misc]


_register()

OF_A_DEPLOYMENT = (
    "entry_window",
    "cooling_off",
    "trades_a_day",
    "order_rate",
    "daily_loss",
    "lots",
    "price_band",
    "spread",
    "depth",
    "premium_range",
    "open_premium",
    "loss_per_trade",
)
"""Gates that keep a deployment's own limits beside the account's and that a day by seed can show to do so."""


def _own_left_out(name: str) -> None:
    gate = risk.GATES[name]

    def blind(ask: Any, book: Any, limits: Any, now: Any) -> Any:
        return gate(replace(ask, deployment=replace(ask.deployment, limits=OwnLimits())), book, limits, now)

    risk.GATES[name] = blind


def _register_own() -> None:
    for name in OF_A_DEPLOYMENT:
        text = f"The gate {name} does not know the limits of the deployment itself."
        add(Bug(f"own_{name}", "I7", text, lambda name=name: _own_left_out(name)))  # type: ignore[misc]


_register_own()


@bug("I7")
def halt_ignored() -> None:
    """HALT does not halt."""

    def make(on_operator: Any) -> Any:
        def deaf(turn: Any, order: Any) -> None:
            if order.command is not Operator.HALT:
                on_operator(turn, order)

        return deaf

    wrap(machine, "_on_operator", make)


@bug("I7")
def own_switch_ignored() -> None:
    """The switch of one deployment halts nothing; that of the account does."""

    def make(halted: Any) -> Any:
        return lambda book, deployment: halted(book, "")

    wrap(times, "halted", make)


@bug("I7")
def own_resume_allows_all() -> None:
    """To allow one deployment again allows all of them, though the account is halted."""

    def make(switch: Any) -> Any:
        def turned(turn: Any, order: Any) -> None:
            switch(turn, order)
            if order.command is Operator.RESUME and turn.book.halted:
                turn.emit(SwitchTurned(halted=False, at=turn.now, reason="", who="operator"))

        return turned

    wrap(machine, "_switch", make)


@bug("I7")
def flatten_leaves_one() -> None:
    """FLATTEN halts, and leaves the oldest position where it is."""

    def make(on_operator: Any) -> Any:
        def lazy(turn: Any, order: Any) -> None:
            live, begin = turn.book.live_positions(), steering.begin_exit
            kept = live[0].position_id if order.command is Operator.FLATTEN and live else ""

            def begin_others(turn: Any, position_id: str, reason: str) -> None:
                if position_id != kept:
                    begin(turn, position_id, reason)

            replace_with(steering, "begin_exit", begin_others)
            try:
                on_operator(turn, order)
            finally:
                replace_with(steering, "begin_exit", begin)

        return lazy

    wrap(machine, "_on_operator", make)


@bug("I7")
def leaving_time_ignored() -> None:
    """After the time at which its plan leaves, an entry is made all the same."""
    replace_with(Plan, "leaves_at", None)


@bug("S3")
def dead_feed_not_heard() -> None:
    """That the feed is dead is told to the engine and ignored."""

    def make(on_check: Any) -> Any:
        def deaf(turn: Any, message: Any) -> None:
            if not isinstance(message, FeedChecked):
                on_check(turn, message)

        return deaf

    wrap(machine, "_on_check", make)


@bug("S3")
def silence_not_noticed() -> None:
    """A feed that is connected and silent is alive."""

    def make(judge: Any) -> Any:
        return lambda self, *, market_open: judge(self, market_open=False)

    wrap(FeedWatch, "judge", make)


@bug("R19")
def slices_go_on() -> None:
    """The further orders of an entry are sent whatever has happened since the first."""
    replace_with(slicing, "_why_not", lambda turn, each: "")

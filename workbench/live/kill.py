"""The kill switch: stop entries, leave everything, see with the broker that all is flat, and only then tell the broker.

Dhan takes its own kill switch only from an account without positions and without resting orders, so it is the last step
and never the way out. A person starts it in two steps: a question gives a word that is good for half a minute, and the
order brings that word back.

Invariants: no step begins before the one before it is seen to be done; whatever is in doubt ends the run as not done,
with what a person must do, and entries stay halted; nothing here runs on the event loop but waiting.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from workbench.core.account import KillSwitch
from workbench.core.deployment import Mode
from workbench.core.errors import BadInput, BrokerUnavailable, WorkbenchError
from workbench.core.messages import AccountFrozen, Level, Operator, OperatorOrdered, SnapshotTaken
from workbench.core.ports import AccountControl
from workbench.core.position import PositionState
from workbench.core.reconcile import without_look_ups
from workbench.live.runner import Runner

log = logging.getLogger(__name__)

KILL = "kill"
"""Who halts; a person resumes."""

NONCE_LIVES_S = 30.0
"""Real seconds in which the answer to the question must come (two steps, fault W15)."""

FLAT_WITHIN_S = 60.0
"""Real seconds in which the account must be seen to be flat; then a person is told what is left."""

ALARM_EVERY_S = 10.0
LOOK_EVERY_S = 1.0


class Step(StrEnum):
    """What is done, in this order."""

    HALT = "halt"
    FLATTEN = "flatten"
    VERIFY = "verify"
    BROKER = "broker"


class StepState(StrEnum):
    """How far a step is."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass(slots=True)
class _Progress:
    state: StepState = StepState.WAITING
    text: str = ""
    at: datetime | None = None


class _NotDoneError(WorkbenchError):
    """A step could not be seen to be done."""


class KillRun:
    """Kill switch of one running account.

    Parameters
    ----------
    runner : Runner
    mode : Mode
    control : AccountControl or None
        The broker's own switch; None where there is none to turn.
    flat_within_s, alarm_every_s, look_every_s : float
        Real seconds.
    monotonic : callable
        Wire time.
    """

    def __init__(  # noqa: PLR0913 - times that tests shorten
        self,
        runner: Runner,
        *,
        mode: Mode,
        control: AccountControl | None,
        flat_within_s: float = FLAT_WITHIN_S,
        alarm_every_s: float = ALARM_EVERY_S,
        look_every_s: float = LOOK_EVERY_S,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._runner, self._mode, self._control = runner, mode, control
        self._flat_within_s, self._alarm_every_s, self._look_every_s = flat_within_s, alarm_every_s, look_every_s
        self._monotonic = monotonic
        self._word, self._word_ends = "", 0.0
        self._steps: dict[Step, _Progress] = {}
        self._task: asyncio.Task[None] | None = None
        self._who, self._must_do = "", ""
        self._halt_seen = asyncio.Event()

    # --- two steps ----------------------------------------------------------------------------------------------

    def ask(self) -> dict[str, Any]:
        """Say what the kill switch would do, and give the word that orders it; an earlier word is good no more."""
        self._word, self._word_ends = secrets.token_urlsafe(16), self._monotonic() + NONCE_LIVES_S
        held = self._runner.engine.book.live_positions()
        return {
            "nonce": self._word,
            "good_for_s": NONCE_LIVES_S,
            "mode": self._mode.value,
            "account": self._runner.account_id,
            "positions": len(held),
            "instruments": sorted({item.plan.instrument.name for item in held}),
            "then": self._then(),
        }

    async def begin(self, nonce: str, *, who: str, reason: str) -> None:
        """Start, and come back as soon as entries are halted (or could not be); the rest goes on by itself.

        Raises
        ------
        BadInput
            The word is wrong, was used, or is too old; or a run is under way.
        """
        if self.is_running:
            raise BadInput("the kill switch is being carried out already; see GET /api/kill")
        good = bool(self._word) and hmac.compare_digest(self._word.encode(), nonce.encode())
        in_time = self._monotonic() < self._word_ends
        self._word = ""
        if not good or not in_time:
            why = "has expired" if good else "is not the one that was given"
            raise BadInput(f"nothing was done: the nonce {why}; ask anew: POST /api/kill/ask")
        self._steps = {step: _Progress() for step in Step}
        self._who, self._must_do = who, ""
        self._halt_seen = asyncio.Event()
        self._task = asyncio.create_task(self._run(reason))
        self._task.add_done_callback(self._ended)
        await self._halt_seen.wait()

    @property
    def is_running(self) -> bool:
        """It was ordered and has not ended."""
        return self._task is not None

    @property
    def is_done(self) -> bool:
        """All steps were seen to be done."""
        return bool(self._steps) and all(item.state is StepState.DONE for item in self._steps.values())

    def view(self) -> dict[str, Any] | None:
        """What the faces show; None where it was not ordered since this process began."""
        if not self._steps:
            return None
        state = "running" if self.is_running else "done" if self.is_done else "failed"
        return {
            "state": state,
            "who": self._who,
            "steps": [
                {
                    "step": step.value,
                    "state": item.state.value,
                    "text": item.text,
                    "at": item.at.isoformat() if item.at else None,
                }
                for step, item in self._steps.items()
            ],
            "must_do": self._must_do,
        }

    # --- carrying it out ----------------------------------------------------------------------------------------

    async def _run(self, reason: str) -> None:
        async def halt() -> str:
            return await self._halt(f"kill switch by {self._who}: not verified yet. {reason}".strip())

        works: dict[Step, Callable[[], Awaitable[str]]] = {
            Step.HALT: halt,
            Step.FLATTEN: self._flatten,
            Step.VERIFY: self._verify,
            Step.BROKER: self._tell_broker,
        }
        step = Step.HALT
        try:
            for step, work in works.items():
                self._note(step, StepState.RUNNING)
                self._note(step, StepState.DONE, await work())
                self._halt_seen.set()
            await self._halt(f"kill switch by {self._who}: flat and verified; {self._steps[Step.BROKER].text}")
        except WorkbenchError as error:
            await self._fail(step, str(error))

    async def _halt(self, reason: str) -> str:
        """Halt entries; the reason stands in the journal, so that a restart shows how far the run came."""
        await self._order(OperatorOrdered(command=Operator.HALT, reason=reason, who=KILL))
        return "no entry is taken"

    async def _flatten(self) -> str:
        held = len(self._runner.engine.book.live_positions())
        await self._order(OperatorOrdered(command=Operator.FLATTEN, reason="kill switch", who=KILL))
        return f"{held} positions are being left, entries that had not filled are taken back"

    async def _order(self, order: OperatorOrdered) -> None:
        decision = await self._runner.put(order)
        fault = next((item for item in decision.events if isinstance(item, AccountFrozen)), None)
        if fault is not None:
            raise _NotDoneError(f"{order.command.value} was not carried out: {fault.differences[0]}")

    async def _verify(self) -> str:
        """Wait until book and a fresh look at the broker both say: nothing held, nothing rests."""
        began = told = self._monotonic()
        while True:
            self._still_halted()
            left = self._left_by_book() or await self._left_at_broker() or self._left_by_book()
            if not left:
                return "book and broker agree: nothing is held, nothing rests"
            now = self._monotonic()
            if now - began >= self._flat_within_s:
                raise _NotDoneError(f"not flat after {self._flat_within_s:.0f} s: {left}")
            if now - told >= self._alarm_every_s:
                told = now
                self._tell(Level.ALARM, f"kill switch: not flat yet: {left}")
            self._steps[Step.VERIFY].text = left
            await asyncio.sleep(self._look_every_s)

    async def _tell_broker(self) -> str:
        self._still_halted()
        control = self._control
        if self._runner.dry_run:
            raise _NotDoneError("dry run: the broker's own switch was not turned")
        if control is None:
            raise _NotDoneError("this broker has no switch of its own that could be turned from here")
        reply = await self._runner.lanes.ask(lambda _: control.switch(KillSwitch.ON))
        try:
            found = await self._runner.lanes.ask(lambda _: control.kill_switch())
        except BrokerUnavailable as error:
            raise _NotDoneError(f"whether the broker's switch is on cannot be read: {error}") from error
        if found is not KillSwitch.ON:
            raise _NotDoneError(f"the broker's switch is {found.value}: {reply.reason or reply.outcome.value}")
        return "the broker's own switch is on, as read back"

    def _still_halted(self) -> None:
        if self._runner.stopped_because:
            raise _NotDoneError(f"the engine has stopped: {self._runner.stopped_because}")
        if not self._runner.engine.book.halted:
            raise _NotDoneError("entries were resumed meanwhile")

    def _left_by_book(self) -> str:
        """What our own book says is left; what waits for its settlement is no order's to leave."""
        book = self._runner.engine.book
        held = [
            f"{item.open_quantity} units of {item.plan.instrument.name} are {item.state.value}"
            for item in book.live_positions()
            if item.state is not PositionState.EXPIRING
        ]
        resting = [
            f"order {item.order_id or key} is {item.state.value}"
            for key, item in book.orders.items()
            if item.state.may_rest
        ]
        return "; ".join((*held, *resting))

    async def _left_at_broker(self) -> str:
        # A leg that was given up may rest armed where only the list of super orders shows it.
        seen = await self._runner.lanes.read(with_legs=self._runner.engine.book.has_super_orders)
        self._runner.enqueue(without_look_ups(self._runner.engine.book, seen))
        return what_is_left(seen)

    async def _fail(self, step: Step, why: str) -> None:
        """End as not done: entries stay halted, and a person reads what failed and what is to be done."""
        self._must_do = _must_do(step)
        self._note(step, StepState.FAILED, why)
        try:
            await self._halt(f"kill switch by {self._who} NOT DONE, {step.value}: {why}. {self._must_do}")
        except WorkbenchError as error:
            self._tell(Level.ALARM, f"kill switch: the halt could not be kept either: {error}")

    def _note(self, step: Step, state: StepState, text: str = "") -> None:
        self._steps[step] = _Progress(state=state, text=text, at=self._runner.clock.now())
        if state is StepState.DONE:
            is_last = step is Step.BROKER
            self._tell(Level.WARNING, f"kill switch: {step.value} done: {text}{'; ALL DONE' if is_last else ''}")
        elif state is StepState.FAILED:
            self._tell(Level.ALARM, f"kill switch NOT DONE, {step.value} failed: {text}. {self._must_do}")

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Name what broke a run that did not end by itself; without it a bug would look like a run that goes on."""
        self._task = None
        self._halt_seen.set()
        broke = "it was cancelled with the process" if task.cancelled() else task.exception()
        if broke is None:
            return
        log.error("the kill switch broke off", exc_info=None if isinstance(broke, str) else broke)
        step = next((step for step, item in self._steps.items() if item.state is StepState.RUNNING), Step.HALT)
        self._must_do = _must_do(step)
        self._note(step, StepState.FAILED, f"it broke off: {broke}")

    def _tell(self, level: Level, text: str) -> None:
        self._runner.notifier.send(level.value, text)

    def _then(self) -> str:
        if self._runner.dry_run:
            return "dry run: nothing is sent, and the broker's own switch is not turned"
        whose = "Dhan's" if self._mode is Mode.LIVE else "the simulated broker's"
        return f"all is left, and once it is seen to be flat {whose} own kill switch ends trading for the day"


def what_is_left(seen: SnapshotTaken) -> str:
    """Say what keeps an account from being flat by the broker's word; unknown is never flat."""
    if not seen.known:
        return f"the broker's orders and positions could not be read: {seen.reason or 'no reason told'}"
    unread = ["the list of super orders could not be read: a leg may rest there"] if seen.legs_unread else []
    held = [
        f"the broker holds {row.net_quantity} of {row.trading_symbol or row.security_id}"
        for row in seen.positions
        if row.net_quantity
    ]
    resting = [f"order {row.order_id} is {row.state.value} at the broker" for row in seen.orders if row.state.may_rest]
    return "; ".join((*held, *resting, *unread))


def _must_do(step: Step) -> str:
    match step:
        case Step.HALT | Step.FLATTEN:
            return "Close positions and cancel orders in the broker's own app, then order it again"
        case Step.VERIFY:
            return "Close what is named in the broker's own app and cancel what rests there, then order it again"
        case Step.BROKER:
            return "All is flat: turn the kill switch in the broker's own app, or order it again"

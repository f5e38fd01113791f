"""Start-up, step by step: each of the eight steps is shown with its time and result, and a failure stops the start.

Invariant: the engine is ready only after all steps have succeeded, in this order.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from workbench.core.errors import WorkbenchError

STEPS = ("config", "login", "master", "journal", "reconcile", "feed", "webhook", "schedule")


class StartUpError(WorkbenchError):
    """A step of the start failed; nothing trades.

    Parameters
    ----------
    step : str
    reason : str
    """

    def __init__(self, step: str, reason: str) -> None:
        super().__init__(f"start-up stopped at {step}: {reason}")
        self.step, self.reason = step, reason


@dataclass(frozen=True, slots=True, kw_only=True)
class StepDone:
    """One step with its result."""

    name: str
    ok: bool
    elapsed_s: float
    detail: str

    @property
    def line(self) -> str:
        """What is printed."""
        place = STEPS.index(self.name) + 1
        result = "ok" if self.ok else "FAILED"
        return f"[{place}/{len(STEPS)}] {self.name:<10} {result:<6} {self.elapsed_s:6.2f} s  {self.detail}"


class StartUp:
    """Runs the steps in their order.

    Parameters
    ----------
    show : callable
        Prints one line.
    """

    def __init__(self, show: Callable[[str], None]) -> None:
        self._show = show
        self.done: list[StepDone] = []

    async def step(self, name: str, work: Callable[[], Awaitable[str]]) -> None:
        """Run one step; `work` gives a line of detail.

        Raises
        ------
        StartUpError
            The step failed, or it is not the next one.
        """
        expected = STEPS[len(self.done)] if len(self.done) < len(STEPS) else ""
        if name != expected:
            raise StartUpError(name, f"the next step is {expected or 'none'}")
        started = time.monotonic()
        try:
            detail = await work()
        except (WorkbenchError, OSError, TimeoutError) as error:
            self._note(StepDone(name=name, ok=False, elapsed_s=time.monotonic() - started, detail=str(error)))
            raise StartUpError(name, str(error)) from error
        self._note(StepDone(name=name, ok=True, elapsed_s=time.monotonic() - started, detail=detail))

    @property
    def is_complete(self) -> bool:
        """All steps have succeeded."""
        return len(self.done) == len(STEPS) and all(step.ok for step in self.done)

    @property
    def elapsed_s(self) -> float:
        """Real seconds of all steps together."""
        return sum(step.elapsed_s for step in self.done)

    def _note(self, step: StepDone) -> None:
        self.done.append(step)
        self._show(step.line)

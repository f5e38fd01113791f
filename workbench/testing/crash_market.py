"""Holds a simulator's market at chosen seconds, so that what happens there happens in every run at the same moment.

Invariant: while the market is held no second passes, whatever the engine does.
"""

from __future__ import annotations

from collections.abc import Callable

from workbench.testing.simulator import RunningSimulator


class Valve:
    """Lets the market run to a second and holds it there."""

    def __init__(self, simulator: RunningSimulator, look: Callable[[], None]) -> None:
        conductor = simulator.application.conductor
        if conductor is None:
            raise RuntimeError("the simulator is not running")
        self._simulator, self._conductor, self._until = simulator, conductor, 0
        strike = conductor.strike

        async def at_each_second() -> None:
            if strike is not None:
                await strike()
            look()
            if simulator.simulator.board.second >= self._until:
                conductor.halted = True

        conductor.strike = at_each_second

    def let_go(self, *, seconds: int = 0, until: int | None = None) -> None:
        """Let the market run so many seconds, or to that second."""

        def opened() -> None:
            self._until = until if until is not None else self._simulator.simulator.board.second + seconds
            self._conductor.halted = False

        self._simulator.call(opened)

    @property
    def is_held(self) -> bool:
        """The market stands, and who leads it has done all that the last second led to."""

        def held() -> bool:
            leader, conductor = self._conductor.leader, self._conductor
            free = self._simulator.simulator.config.free_run
            return conductor.halted and (leader.acknowledged >= conductor.step_number if leader else free)

        return self._simulator.call(held)

"""A person who halts single deployments and allows them again, on some seeds, by a random stream of his own."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from workbench.core.messages import Message, Operator, OperatorOrdered


class Switches:
    """The hand at the switches of deployments.

    Parameters
    ----------
    seed : int
    names : sequence of str
        Deployments of the day.
    """

    def __init__(self, seed: int, names: Sequence[str]) -> None:
        self._rng = random.Random(f"switches {seed}")
        self._names = names if seed % 8 == 5 else ()
        self._off: set[str] = set()

    def second(self, tell: Callable[[Message], None]) -> None:
        """Let a second of trading pass."""
        for name in self._names:
            is_off = name in self._off
            if self._rng.random() < (0.03 if is_off else 0.02):
                self._turn(tell, name, halt=not is_off)

    def over(self, tell: Callable[[Message], None]) -> None:
        """Allow all of them again."""
        for name in sorted(self._off):
            self._turn(tell, name, halt=False)

    def _turn(self, tell: Callable[[Message], None], name: str, *, halt: bool) -> None:
        (self._off.add if halt else self._off.discard)(name)
        tell(OperatorOrdered(command=Operator.HALT if halt else Operator.RESUME, target=name))

"""The seam between the desk and what the broker does beside plain orders.

Invariant: an annex is asked in the order in which it was added, after the fills of the second.
"""

from __future__ import annotations

from typing import Protocol

from workbench.simulator.orders import Status


class Annex(Protocol):
    """What the broker does beside plain orders, and when it has to look: super orders, the exit on profit and loss."""

    def open_day(self) -> None:
        """Start a day."""
        ...

    def watch(self) -> None:
        """Look at the prices and fills of this second."""
        ...

    def clear(self, status: Status, reason: str, product: str | None) -> None:
        """End what waits, of one product or of all."""
        ...

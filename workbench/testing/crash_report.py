"""What a day with kills came to.

Invariant: a report is good only if nothing was found, whatever its counts.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class CrashReport:
    """What a day with kills came to; `lost`, `doubled` and `unprotected` should be zero.

    Parameters
    ----------
    kills : int
        Engines that were killed.
    missed : int
        Kills whose named point did not come; they struck at the end of their wait.
    orders : int
        Orders at the broker.
    lost, doubled : int
        Forgotten orders, positions or alerts; what was sent, filled or decided twice.
    unprotected : int
        Positions that stood naked for longer than the bound, or at the end.
    longest_naked_s : float
        Seconds as the bound counts them.
    longest_naked_real_s, longest_recovery_s : float
        Real seconds, the restart included; from the kill to "ready to trade".
    findings : tuple of str
        Each of the faults in words.
    """

    seed: int
    kills: int
    missed: int
    alerts: int
    orders: int
    lost: int
    doubled: int
    unprotected: int
    longest_naked_s: float
    longest_naked_real_s: float
    longest_recovery_s: float
    by_point: dict[str, int] = field(default_factory=dict)
    findings: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Nothing was lost, doubled or left without protection."""
        return not self.findings

    def as_dict(self) -> dict[str, Any]:
        """Give it for JSON."""
        return asdict(self)

"""What a person is told of an entry that was refused: one notice, and one more when the same gate still refuses later.

The record has every refusal; a strategy that is refused at each bar is not to ring a phone at each bar.

Invariant: nothing is decided here, and nothing of it is kept: after a restart a refusal may be told once more.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from workbench.core.signal import Direction

QUIET = timedelta(minutes=10)
"""Within this time one gate's refusals of one deployment are counted, and told with its next one."""

UNTOLD: Mapping[str, str] = {
    "withdrawn": "a newer wish or a person took it back",
    "duplicate": "it has entered already",
    "rate_limit": "the order's own notice has told it",
}
"""Gates whose refusals are no news, and why."""


@dataclass(slots=True)
class Refusals:
    """When a gate's refusal of a deployment was told last, and how many came since."""

    _told: dict[tuple[str, str], tuple[datetime, int]] = field(default_factory=dict)

    def notice(self, deployment: str, gate: str, reason: str, direction: Direction | None, now: datetime) -> str:
        """Give the words for a refusal, or "" where it is no news.

        Parameters
        ----------
        deployment : str
            Empty for a request that came by no deployment's link: a stranger's, which nobody is called for.
        gate : str
            Empty where the alert itself did not fit.
        """
        if not deployment or gate in UNTOLD:
            return ""
        since, more = self._told.get((deployment, gate), (None, 0))
        if since is not None and now - since < QUIET:
            self._told[deployment, gate] = (since, more + 1)
            return ""
        self._told[deployment, gate] = (now, 0)
        what = f"no {direction.value} entry" if direction is not None else "alert not taken"
        by = f" ({gate.replace('_', ' ')})" if gate else ""
        again = f"; {more} more since {since:%H:%M}" if since is not None and more else ""
        return f"{deployment}: {what}{by}: {reason}{again}"

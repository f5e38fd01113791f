"""How far the kill switch is, in words: from the status to one banner.

Invariant: it is called done only where the engine says that every step is done; what failed names the way out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apps.control.shapes import Banner
from apps.control.words import Tone, plain

WHAT_IT_DOES = (
    "Halts entries, leaves every position, waits until the account is seen to be flat, and then turns the broker's own "
    "kill switch: no order for the rest of the day."
)
_WORDS = {
    "halt": "halting entries",
    "flatten": "leaving everything",
    "verify": "waiting until the broker shows a flat account",
    "broker": "turning the broker's own switch",
}


def kill_banner(status: Mapping[str, Any]) -> Banner | None:
    """Say how far a kill switch that was ordered is; None where none was."""
    kill = status.get("kill")
    if not isinstance(kill, Mapping):
        return None
    state = kill.get("state")
    steps = [item for item in kill.get("steps") or () if isinstance(item, Mapping)]
    if state == "done":
        last = plain(steps[-1].get("text")) if steps else ""
        return Banner(tone=Tone.WARN, text=f"**KILLED**: flat and verified; {last}.")
    wanted = "running" if state == "running" else "failed"
    step = next((item for item in steps if item.get("state") == wanted), {})
    what = _WORDS.get(str(step.get("step")), "the next step")
    said = plain(step.get("text") or "")
    if state == "running":
        return Banner(tone=Tone.WARN, text=f"**KILL SWITCH**: {what}{': ' + said if said else ''}.")
    must_do = plain(kill.get("must_do") or "look at the broker's own app")
    return Banner(tone=Tone.BAD, text=f"**KILL SWITCH NOT DONE**, {what} failed: {said}. {must_do}.")

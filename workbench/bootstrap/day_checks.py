"""What must be right of a day before it is traded: its hours, and the contracts that are listed on it.

Invariant: it only looks, and what is not known is refused.
"""

from __future__ import annotations

import contextlib
from datetime import date
from pathlib import Path

from workbench.core.errors import UnknownSession, WorkbenchError
from workbench.core.instrument import Segment
from workbench.core.session import Calendar


def sessions(known: Calendar, day: date) -> str:
    """Say when the day and the next one trade; a year without rows, or hours that nobody has confirmed, are refused."""
    newer = "install a newer version of the workbench, whose tables have them"
    if not known.knows(Segment.NSE_FNO, day):
        raise WorkbenchError(f"no session rows for the year {day.year}: nothing is traded on a guess; {newer}")
    session = known.session(Segment.NSE_FNO, day)
    try:
        following = known.next_session(Segment.NSE_FNO, day)
    except UnknownSession as error:
        raise WorkbenchError(f"no sessions known after {day}: {error}; {newer}") from None
    if session is not None and not session.times_confirmed:
        raise WorkbenchError(
            f"the hours of {day} are not confirmed ({session.note or session.source}); trade it by hand, or install a "
            "version whose tables have them"
        )
    note = "" if following.times_confirmed else " (its hours are not confirmed: live trading is refused on it)"
    present = f"{day} {session.open:%H:%M} to {session.close:%H:%M}" if session else f"{day} is no trading day"
    return f"{present}; next session of NSE F&O: {following.date}{note}"


def master(known: Calendar, day: date, folder: Path, *, is_simulated: bool) -> str:
    """Say of which day the newest instrument master is; one that is older than the day's session is refused."""
    # A simulator lists other contracts than Dhan, in a file of its own.
    newest = newest_master(folder, "practice" if is_simulated else "dhan")
    way_out = "workbench up fetches the day's at its start; if that fails, check the connection to images.dhan.co"
    if newest is None:
        raise WorkbenchError(f"no instrument master in {folder}; {way_out}")
    wanted = (
        day if known.session(Segment.NSE_FNO, day) is not None else known.previous_session(Segment.NSE_FNO, day).date
    )
    if newest < wanted:
        raise WorkbenchError(f"the newest instrument master is of {newest}, older than trading day {wanted}; {way_out}")
    return f"of {newest}"


def newest_master(folder: Path, source: str) -> date | None:
    """Give the day of the newest instrument master of a source in a folder; it stands in the file's name."""
    days = []
    for file in folder.glob(f"{source}-????-??-??.csv"):
        with contextlib.suppress(ValueError):  # 2026-99-99 is somebody else's file
            days.append(date.fromisoformat(file.stem.removeprefix(f"{source}-")))
    return max(days, default=None)

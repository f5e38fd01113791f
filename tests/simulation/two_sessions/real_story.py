"""The story on two recorded sessions of NIFTY: a day that rose all along, and the open after it 220 points lower.

What is asked for at which minute was chosen with the minutes at hand, so that each exit has its turn.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

from tests.simulation.two_sessions.journey import Rates, Story, steps_of
from tests.simulation.two_sessions.market import SYMBOL, Sessions
from tests.simulation.two_sessions.plans import KEPT, PLANS, STRATEGIES
from workbench.bootstrap.desk import Desk

RISE, AFTER = date(2022, 8, 30), date(2022, 9, 1)
"""The 31st between them was a holiday; the weekly contract of the first of September expires on the second day."""

MONTHS = ("2022 JUL", "2022 AUG", "2022 SEP")
COLUMNS = ("symbol", "date", "time", "open", "high", "low", "close", "volume", "oi")

RISE_STEPS = steps_of("""
    09:36 long LOCK
    09:40 long WINNER_TOO
    10:20 long CLOCK
    10:20 long HAND
    10:21 long HEDGED
    10:35 short STOP
    10:35 long TARGET
    10:36 long TRAIL
    10:37 long PARTS
    10:40 close HAND
    10:40 short TOUCH
    10:40 short HOUR_STRIKE
    11:20 short HOUR
    11:30 short LOSER
    11:35 long TURN
    11:40 long SPOT_TARGET
    12:00 short TURN
    12:00 short DISASTER
    12:00 short SPOT_STOP
    12:10 flat TURN
    13:00 long EVENING
    14:00 long WINNER
""")
AFTER_STEPS = steps_of("""
    09:36 short STOP
    09:36 long TARGET
    10:02 long STRADDLE
    10:05 long HAND
    10:20 flat WINNER_TOO
    11:10 close HAND
    12:05 short HEDGED
    12:30 flat HEDGED
    13:00 long EVENING
""")


def real_story(shared: Path, scratch: Path) -> Story:
    """Read the recorded months into a bar store of the test's own, and tell the story on two of their days."""
    folder = shared / "nifty-1m-2021-2022"
    desk = Desk(scratch)
    desk.import_files([folder / f"{month} NIFTY.txt" for month in MONTHS], symbol=SYMBOL, label="end", columns=COLUMNS)
    days = (RISE, AFTER)
    market = Sessions(desk.bars(SYMBOL, "1m", end=AFTER.isoformat()), days)
    plans = {**PLANS, "WINNER_TOO": {**KEPT, "exits": {"stop": "40%"}}}
    return Story(
        market=market,
        days=days,
        rates=Rates(stt_sell=Decimal("0.05"), txn=Decimal("0.0530001")),
        plans=plans,
        steps=(RISE_STEPS, AFTER_STEPS),
        strategies=STRATEGIES,
    )

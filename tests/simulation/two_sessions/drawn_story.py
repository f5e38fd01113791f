"""The story on two drawn sessions: every way to leave at least once, a night, a gap through a stop.

The second session is the hour of Muhurat trading of 2025, so that the test is short; the first is a full day, on which
the nearest contract expires.
"""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pandas as pd

from tests.simulation.two_sessions.journey import Rates, Story, steps_of
from tests.simulation.two_sessions.market import Sessions, drawn
from tests.simulation.two_sessions.plans import PLANS, STRATEGIES
from workbench.reference import calendar
from workbench.simulator.market import CLOCK_SEGMENT

MONDAY, MUHURAT = date(2025, 10, 20), date(2025, 10, 21)
WARM_UP_SESSIONS = 12
MONDAY_CORNERS = {
    "09:15": 25400, "09:32": 25402, "09:45": 25310, "10:05": 25460, "10:14": 25350, "10:20": 25360, "11:00": 25470,
    "11:30": 25380, "11:45": 25420, "11:55": 25380, "12:30": 25450, "12:40": 25400, "14:30": 25580, "15:30": 25540,
}  # fmt: skip
MUHURAT_CORNERS = {"13:45": 25200, "13:58": 25140, "14:02": 25145, "14:18": 25300, "14:30": 25270, "14:45": 25275}

MONDAY_STEPS = steps_of("""
    09:31 long STOP
    09:32 long DISASTER
    09:46 long TARGET
    09:46 long TRAIL
    09:47 long LOCK
    09:47 long PARTS
    09:48 long SPOT_TARGET
    10:04 long SPOT_STOP
    10:04 long TOUCH
    10:04 long HOUR_STRIKE
    10:04 long HOUR
    10:20 long CLOCK
    10:20 long HAND
    10:21 long HEDGED
    10:40 close HAND
    11:30 long WINNER
    11:30 short LOSER
    11:35 long TURN
    12:00 short TURN
    12:10 flat TURN
    13:00 long EVENING
    14:30 short WINNER_TOO
""")
MUHURAT_STEPS = steps_of("""
    13:50 long STOP
    14:01 long TARGET
    14:02 long STRADDLE
    14:03 long HAND
    14:16 close HAND
    14:20 short HEDGED
    14:24 flat HEDGED
    14:25 long EVENING
""")


def drawn_story() -> Story:
    """Draw the two sessions and some quiet ones before them."""
    frame = pd.concat([*_warm_up(), drawn(MONDAY, MONDAY_CORNERS), drawn(MUHURAT, MUHURAT_CORNERS)])
    days = (MONDAY, MUHURAT)
    return Story(
        market=Sessions(frame, days),
        days=days,
        rates=Rates(stt_sell=Decimal("0.1"), txn=Decimal("0.03553")),
        plans=PLANS,
        steps=(MONDAY_STEPS, MUHURAT_STEPS),
        strategies=STRATEGIES,
    )


def _warm_up() -> list[pd.DataFrame]:
    """Give sessions that swing by two thirds of a percent: they set the model's volatility and warm the strategy up."""
    sessions = calendar().sessions(CLOCK_SEGMENT, MONDAY - timedelta(days=40), MONDAY - timedelta(days=1))
    frames, price = [], 25300.0
    for number, session in enumerate(sessions[-WARM_UP_SESSIONS:]):
        close = 25400.0 + 90.0 * (-1) ** number
        middle = (price + close) / 2 + 60
        frames.append(drawn(session.date, {"09:15": price, "10:30": middle, "13:00": middle - 120, "15:30": close}))
        price = close
    return frames

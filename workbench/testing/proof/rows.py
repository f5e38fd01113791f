"""Which rows of the fault tables the days by seed make, and which are only tested by name.

A row is drawn where some seed makes it happen, or something like it: `DRAWN` names what makes it. What the adapter or
a start-up makes of a fault (a refused connection, a full disk) lies outside of a day and has tests of its own.

Invariant: each name here exists, each row that no day makes has a test that carries its id, and `docs/proof.md` tells
the same list (a test holds the three together).
"""

from __future__ import annotations

ROWS = (
    *(f"R{number}" for number in range(1, 26)),
    *(f"S{number}" for number in range(1, 15)),
    *(f"P{number}" for number in range(1, 16)),
)
"""Faults of broker (R), of streams and time (S), of process and storage (P)."""

DRAWN = {
    "R1": "rare_days.HIDDEN_S",
    "R2": "faults.Faults.throttled",
    "R3": "faults.Faults.unknown",
    "R4": "faults.Faults.unknown",
    "R5": "faults.Faults.not_sent",
    "R6": "walls.judge_walls",
    "R7": "faults.Faults.outages",
    "R10": "venue.Venue._modify",
    "R11": "venue.MODIFICATIONS_TAKEN",
    "R12": "pair_venue.SECOND_SALE",
    "R13": "faults.Faults.rejected_later",
    "R14": "rarities.NO_BIDS_S",
    "R15": "pair_venue.PairVenue.stuck",
    "R16": "faults.Faults.partial",
    "R17": "faults.Faults.partial",
    "R18": "super_weather.SuperWeather.gone",
    "R19": "market.FREEZE",
    "R20": "oracle.Oracle._is_valid",
    "R21": "oracle.Oracle._in_hours",
    "R22": "day.Day.weather_clears",
    "R23": "faults.Faults.by_hand",
    "R24": "scenario.scenario_of",
    "R25": "scenario.THEMES",
    "S1": "faults.Faults.lost_update",
    "S2": "faults.Faults.answer_late",
    "S3": "faults.Faults.silent",
    "S4": "faults.Faults.silent",
    "S6": "wire.TIMES",
    "S12": "night.Night.settled",
    "S14": "structure_plans.LegsWeather.answered_badly",
    "P1": "scenario.DEATH_STAGES",
    "P6": "disk.Disk",
    "P11": "walls.judge_walls",
}
"""What of `workbench.testing.proof` makes a row happen, or judges it at every order."""

BY_NAME = tuple(row for row in ROWS if row not in DRAWN)
"""Rows that no day makes: each is tested by name."""

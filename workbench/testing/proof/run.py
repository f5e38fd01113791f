"""Running seeds: one day each, a failure told with its seed.

Invariant: what a judge has found and what merely broke on the way are told apart. An engine that raises freezes itself,
and what then goes wrong says nothing of the judges.
"""

from __future__ import annotations

import asyncio
import random

from workbench.testing.proof.cut_off_day import CutOffDay, is_cut_off
from workbench.testing.proof.day import Day
from workbench.testing.proof.late_night import LateNight, is_late
from workbench.testing.proof.night import Night
from workbench.testing.proof.oracle import BrokenPromise
from workbench.testing.proof.pair_day import PairsDay, PairsNight, is_paired, with_pairs
from workbench.testing.proof.rare_days import DAYS, rare_of, with_rare
from workbench.testing.proof.results import SeedResult
from workbench.testing.proof.scenario import Scenario, scenario_of
from workbench.testing.proof.slept_night import SleptNight, is_slept
from workbench.testing.proof.structure_day import LegsDay, LegsNight
from workbench.testing.proof.super_day import SupersDay
from workbench.testing.proof.super_weather import is_super, with_supers
from workbench.testing.proof.walls import judge_walls, judge_written, listened

BROKE = "the run itself broke: "
"""Begins a failure that no judge has found: something raised, in the engine or beside it."""

_ENGINE_FAULT = "engine fault on "


def day_of(scenario: Scenario, *, verbose: bool = False) -> Day:
    """Give the day that a scenario asks for."""
    rare = rare_of(scenario.seed)
    if rare is not None:
        return DAYS[rare](scenario, verbose=verbose)
    if scenario.legs is not None:
        return LegsNight(scenario, verbose=verbose) if scenario.is_night else LegsDay(scenario, verbose=verbose)
    if is_super(scenario):
        return SupersDay(scenario, verbose=verbose)
    if is_paired(scenario):
        return PairsNight(scenario, verbose=verbose) if scenario.is_night else PairsDay(scenario, verbose=verbose)
    if is_late(scenario):
        return LateNight(scenario, verbose=verbose)
    if is_slept(scenario):
        return SleptNight(scenario, verbose=verbose)
    if is_cut_off(scenario):
        return CutOffDay(scenario, verbose=verbose)
    kind = Night if scenario.is_night else Day
    return kind(scenario, verbose=verbose)


def run_seed(seed: int, *, verbose: bool = False, log: list[str] | None = None) -> SeedResult:
    """Run one seed; whatever breaks is a failure of that seed and is told, never raised."""
    day = day_of(with_supers(with_rare(with_pairs(scenario_of(seed)))), verbose=verbose)
    failure = ""
    with listened() as logged:
        try:
            judge_walls(random.Random(f"walls {seed}"))
            asyncio.run(day.run())
            judge_written(day.disk.entries, day.notices.texts, logged.getvalue())
        except Exception as error:  # noqa: BLE001 - a planted bug may break anything, and that is told
            failure = str(error) if isinstance(error, BrokenPromise) else f"{BROKE}{type(error).__name__}: {error}"
    fault = next((text for text in day.notices.texts if _ENGINE_FAULT in text), "")
    if fault:
        failure = f"{BROKE}{fault}"
    if log is not None:
        log.extend(day.log)
    measures = day.measures
    return SeedResult(
        seed=seed,
        kind="seed",
        orders=measures.orders,
        restarts=measures.restarts,
        lost=measures.lost,
        doubled=measures.doubled,
        unprotected=measures.unprotected,
        longest_naked_s=measures.longest_naked_s,
        longest_recovery_s=measures.longest_recovery_s,
        failure=failure,
    )

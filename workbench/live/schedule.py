"""The calendar of the day on APScheduler: pre-open check, open, last entry, square-off, close, export.

APScheduler 3 knows wall time only, and a practice market runs at another speed and may stand still. So `ClockTrigger`
maps a market time to the wall time at which it is expected, and a job that wakes too early goes to sleep again. It
never sleeps long, because the market's clock itself may be put right meanwhile.

Invariant: a point of the day fires once, at or after its market time, never before.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.base import BaseTrigger

from workbench.core.session import Session

log = logging.getLogger(__name__)

PRE_OPEN_LEAD = timedelta(minutes=10)
FLAT_AFTER_SQUARE_OFF = timedelta(minutes=1)
EXPORT_AFTER_CLOSE = timedelta(seconds=5)
NAP = timedelta(seconds=1)
LONGEST_NAP = timedelta(seconds=10)
"""So long a point sleeps at most: after lost time the market's clock is behind until the broker has told his, and a
wake-up reckoned by it would come too late by all that was lost."""

Job = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A named market time of the day, with what is done at it where that is not the schedule's job of its name."""

    name: str
    at: datetime
    job: Job | None = None


def points_of(
    session: Session, last_entry: datetime | None = None, square_off: datetime | None = None
) -> tuple[Point, ...]:
    """The day's points in order; the session's own square-off holds where none is given."""
    square_off = square_off or session.square_off_start
    found = [
        Point(name="pre_open", at=session.open - PRE_OPEN_LEAD),
        Point(name="open", at=session.open),
        Point(name="last_entry", at=last_entry or square_off),
        Point(name="square_off", at=square_off),
        Point(name="must_be_flat", at=square_off + FLAT_AFTER_SQUARE_OFF),
        Point(name="close", at=session.close),
        Point(name="export", at=session.close + EXPORT_AFTER_CLOSE),
    ]
    return tuple(sorted(found, key=lambda point: point.at))


class ClockTrigger(BaseTrigger):  # type: ignore[misc] # APScheduler ships no types
    """Wakes a job when a market time is expected, and again until it is reached.

    Parameters
    ----------
    at : datetime
        Market time.
    market_now : callable
        The market's clock.
    speed : callable
        Market seconds in a real second now; 0 while the market stands still or runs unpaced.
    """

    def __init__(self, at: datetime, market_now: Callable[[], datetime], speed: Callable[[], float]) -> None:
        self.at, self._market_now, self._speed = at, market_now, speed
        self.is_over = False

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime | None:
        """Give the wall time to look at; None once the point has fired."""
        if self.is_over:
            return None
        left = self.at - self._market_now()
        if left <= timedelta(0):
            return now if previous_fire_time is None else max(now, previous_fire_time + timedelta(milliseconds=1))
        speed = self._speed()
        wait = NAP if speed <= 0 else max(timedelta(milliseconds=10), left / speed)
        return now + min(wait, LONGEST_NAP)

    def reached(self) -> bool:
        """Say whether the point is reached, and end the trigger when it is."""
        if not self.is_over and self._market_now() >= self.at:
            self.is_over = True
            return True
        return False

    def __str__(self) -> str:
        return f"at {self.at:%H:%M:%S} market time"


class DaySchedule:
    """Runs the jobs of a day.

    Parameters
    ----------
    jobs : Mapping of str to coroutine function
        By point name; a point without a job is only logged.
    market_now, speed
        See `ClockTrigger`.
    """

    def __init__(
        self,
        jobs: Mapping[str, Job],
        *,
        market_now: Callable[[], datetime],
        speed: Callable[[], float] = lambda: 1.0,
    ) -> None:
        self._jobs, self._market_now, self._speed = jobs, market_now, speed
        self._scheduler = AsyncIOScheduler(timezone=UTC)
        self._pending: list[tuple[Point, ClockTrigger]] = []
        self.fired: list[str] = []

    def start(self) -> None:
        """Start on the running loop."""
        self._scheduler.start()

    def plan_day(
        self,
        session: Session,
        last_entry: datetime | None = None,
        square_off: datetime | None = None,
        own: Iterable[Point] = (),
    ) -> tuple[Point, ...]:
        """Plan a day's points that are still ahead; what was planned before is dropped.

        `own` points take the place of the day's of the same name, or stand beside them.
        """
        self._scheduler.remove_all_jobs()
        by_name = {point.name: point for point in (*points_of(session, last_entry, square_off), *own)}
        ordered = sorted(by_name.values(), key=lambda point: point.at)
        ahead = tuple(point for point in ordered if point.at > self._market_now())
        self._pending = [(point, ClockTrigger(point.at, self._market_now, self._speed)) for point in ahead]
        for point, trigger in self._pending:
            self._scheduler.add_job(self._wake, trigger, id=point.name, misfire_grace_time=None, coalesce=True)
        return ahead

    def rearm(self) -> None:
        """Wait for what is still ahead anew: the wall clock by which it was to wake has been set, or stood."""
        for point, trigger in self._pending:
            if not trigger.is_over:
                self._scheduler.add_job(
                    self._wake, trigger, id=point.name, misfire_grace_time=None, coalesce=True, replace_existing=True
                )

    def upcoming(self) -> list[dict[str, Any]]:
        """Names and wall times of what is planned."""
        return [{"name": job.id, "wakes_at": job.next_run_time.isoformat()} for job in self._scheduler.get_jobs()]

    def stop(self) -> None:
        """Stop; jobs that run are not waited for."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)

    async def _wake(self) -> None:
        """Fire what is due, in the order of the day: a market that runs fast may reach several points in one nap."""
        for point, trigger in self._pending:
            if not trigger.reached():
                continue
            log.info("schedule: %s at %s", point.name, point.at.isoformat())
            self.fired.append(point.name)
            job = point.job or self._jobs.get(point.name)
            if job is not None:
                await job()

"""The broker's rate limits, kept on our side: how fast a request may leave, and which part belongs to exits.

Dhan counts requests in windows of a second, a minute, an hour and a day. A request over the limit is refused (429), and
repeated breaches may block the user (805), so the limits are kept here, on the real monotonic clock. Of the order
windows entries may use only a share: the rest is there when a stop has to be moved or a position left.

Invariants: entries and reads never exceed a window; an exit waits a bounded time and is then sent whatever the windows
say, since a 429 proves that an order was not taken, and a missing exit is worse than a refused one.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from workbench.brokers.dhan.circuit import Circuit

log = logging.getLogger(__name__)

ENTRY_SHARE = 0.7
ENTRY_PATIENCE_S = 2.0
EXIT_PATIENCE_S = 1.5
# A chart can wait for its turn; a look at the order book is soon repeated anyway.
READ_PATIENCE_S = 60.0
LOOK_PATIENCE_S = 5.0
UNIQUE_S = 3.0
# Windows are kept a little longer than they are: requests do not all take equally long to arrive.
MARGIN_S = 0.03
# Of candles and chains each request is counted from when it may have arrived (`left`, `held_up`), so little is left.
DATA_MARGIN_S = 0.02
_FIRST_PAUSE_S, _LONGEST_PAUSE_S, _LONGEST_RETRY_AFTER_S = 1.0, 60.0, 300.0
_HALVED_S = 60.0
_EXIT_PAUSE_S = 0.25
_SHORT_WINDOW_S = 60.0
# Every pause has reached its longest long before; two to the power of all refusals would be no number any more.
_MOST_LEVELS = 16


class Bucket(StrEnum):
    """What is counted together."""

    ORDERS = "orders"
    DATA = "data"
    QUOTE = "quote"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """At most `limit` requests in any `length_s` seconds."""

    limit: int
    length_s: float

    @property
    def name(self) -> str:
        """What a person reads."""
        return {1.0: "a second", 60.0: "a minute", 3600.0: "an hour", 86400.0: "a day"}.get(
            self.length_s, f"{self.length_s:g} s"
        )


# Introduction of Dhan's API documents, "Rate limit", as of 2026-07; orders are 10 a second since 2026-03-21. That
# modifications and cancellations share the order windows is assumed; order and trade reads are outside of them.
DHAN_LIMITS: Mapping[Bucket, tuple[Window, ...]] = MappingProxyType(
    {
        Bucket.ORDERS: (
            Window(limit=10, length_s=1.0),
            Window(limit=250, length_s=60.0),
            Window(limit=1000, length_s=3600.0),
            Window(limit=7000, length_s=86400.0),
        ),
        Bucket.DATA: (Window(limit=5, length_s=1.0), Window(limit=100_000, length_s=86400.0)),
        Bucket.QUOTE: (Window(limit=1, length_s=1.0),),
        Bucket.OTHER: (Window(limit=20, length_s=1.0),),
    }
)


class Pace:
    """The turns of one client id; one object for all connections of that client, safe for several threads.

    Parameters
    ----------
    limits : mapping of Bucket to windows, optional
        Default: Dhan's.
    scale : float
        How many times faster than in reality the windows pass: a practice market may run N seconds a second.
    clock, sleep : callable
        Monotonic seconds, and waiting.

    Attributes
    ----------
    circuit : Circuit
        Open after several unclear writes; whoever sends an entry asks it first.
    """

    def __init__(
        self,
        limits: Mapping[Bucket, tuple[Window, ...]] = DHAN_LIMITS,
        *,
        scale: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.circuit = Circuit()
        self.clock = clock
        self._sleep = sleep
        self._scale = scale
        self._lock = threading.Lock()
        self._buckets = {
            bucket: _Counter(
                limits.get(bucket, ()), scale, margin_s=DATA_MARGIN_S if bucket is Bucket.DATA else MARGIN_S
            )
            for bucket in Bucket
        }
        self._asked: dict[str, float] = {}

    @classmethod
    def unlimited(cls) -> Pace:
        """Give a pace without windows; a broker's own 429 still makes it pause."""
        return cls({})

    def entry_turn(self, *, patience_s: float = ENTRY_PATIENCE_S) -> str:
        """Wait for room in the entries' share of the order windows.

        Returns
        -------
        str
            Why there is no room within `patience_s`; empty if the order may go, and is counted.
        """
        until = self.clock() + patience_s
        while True:
            need, reason = self._take(Bucket.ORDERS, share=ENTRY_SHARE)
            if need <= 0:
                return ""
            if self.clock() + need > until:
                return reason
            self._sleep(need)

    def exit_turn(self, *, patience_s: float = EXIT_PATIENCE_S) -> None:
        """Wait a bounded time for a place in the whole of the short order windows, then go."""
        until = self.clock() + patience_s
        counter = self._buckets[Bucket.ORDERS]
        while True:
            with self._lock:
                now = self.clock()
                need = max(counter.exit_pause_s(now), counter.wait(now, longest_s=_SHORT_WINDOW_S)[0])
                if need <= 0 or now >= until:
                    counter.stamp(now)
                    return
            self._sleep(min(need, until - now))

    def read_turn(self, bucket: Bucket, *, unique: str = "", patience_s: float | None = None) -> str:
        """Wait for a read's turn.

        Parameters
        ----------
        unique : str
            What the request is about, where the broker takes the same question only once in three seconds.
        patience_s : float, optional
            How long a wait is bearable; default by bucket, 5 s for books and 60 s for data.

        Returns
        -------
        str
            Why the turn would not come within a bearable time; empty if the request may go, and is counted.
        """
        if patience_s is None:
            patience_s = LOOK_PATIENCE_S if bucket is Bucket.OTHER else READ_PATIENCE_S
        until = self.clock() + patience_s
        while True:
            need, reason = self._take(bucket, unique=unique)
            if need <= 0:
                return ""
            if self.clock() + need > until:
                return reason
            self._sleep(need)

    def left(self, bucket: Bucket, turn_at: float) -> None:
        """Count a read that had its turn at `turn_at` from now on: only now it has left, and it arrives later still."""
        with self._lock:
            self._buckets[bucket].move(turn_at, self.clock())

    def held_up(self, bucket: Bucket, left_at: float, delay_s: float) -> None:
        """Count a read that left at `left_at` from `delay_s` later on: it may have arrived only then."""
        if delay_s > 0:
            with self._lock:
                self._buckets[bucket].move(left_at, left_at + delay_s)

    def refused(self, bucket: Bucket, *, sent_at: float, retry_after_s: float | None = None) -> None:
        """Note that the broker said "too fast" to a request that left at `sent_at` (monotonic).

        The bucket pauses (twice as long with each further refusal, or as long as the broker says) and is halved for a
        minute. Refusals of requests that were under way together count once.
        """
        with self._lock:
            pause_s = self._buckets[bucket].punish(self.clock(), sent_at, retry_after_s)
        if pause_s:
            log.warning("the broker refused the pace of %s: pause of %.1f s", bucket.value, pause_s)

    def _take(self, bucket: Bucket, *, share: float = 1.0, unique: str = "") -> tuple[float, str]:
        """Count a request if it may go now; else say how long to wait, in seconds, and why."""
        counter = self._buckets[bucket]
        with self._lock:
            now = self.clock()
            pause_s = counter.paused_until - now
            if pause_s > 0:
                return pause_s, f"the broker refused the pace of {bucket.value}; {pause_s:.1f} s of pause are left"
            need, window = counter.wait(now, share=share)
            if window is not None:
                allowed = counter.allowed(window, share, now)
                kept = "" if share == 1.0 else f" (of {window.limit}; the rest is kept for exits)"
                return need, f"rate limit of {allowed} {bucket.value} in {window.name}{kept}: next in {need:.1f} s"
            again = self._asked.get(unique, float("-inf")) + (UNIQUE_S + MARGIN_S) / self._scale if unique else 0.0
            if unique and counter.windows and again > now:
                return again - now, f"the same question may be asked once in {UNIQUE_S:g} s"
            counter.stamp(now)
            if unique:
                self._asked = {key: at for key, at in self._asked.items() if now - at <= UNIQUE_S + MARGIN_S}
                self._asked[unique] = now
        return 0.0, ""


class _Counter:
    """The windows of one bucket and the broker's displeasure; its owner holds the lock."""

    def __init__(self, windows: tuple[Window, ...], scale: float, *, margin_s: float = MARGIN_S) -> None:
        self._margin_s = margin_s
        self._scale = scale
        # The oldest of the last `limit` stamps says when the window has room again.
        self.windows = [(each, deque[float](maxlen=each.limit)) for each in windows]
        self.paused_until = float("-inf")
        self._halved_until = float("-inf")
        self._refused_at = float("-inf")
        self._level = 0

    def allowed(self, window: Window, share: float, now: float) -> int:
        """Requests that may be in a window."""
        return max(1, int(window.limit * share * (0.5 if now < self._halved_until else 1.0)))

    def wait(self, now: float, *, share: float = 1.0, longest_s: float = float("inf")) -> tuple[float, Window | None]:
        """Seconds until every window up to `longest_s` has room, and the window that takes longest; (0, None) if none.

        Halving is for those who can wait: an exit asks with `longest_s` and may use the whole window.
        """
        need, tightest = 0.0, None
        for window, stamps in self.windows:
            if window.length_s > longest_s:
                continue
            allowed = window.limit if longest_s < float("inf") else self.allowed(window, share, now)
            if len(stamps) >= allowed:
                left = stamps[-allowed] + window.length_s / self._scale + self._margin_s - now
                if left > need:
                    need, tightest = left, window
        return need, tightest

    def stamp(self, now: float) -> None:
        """Count one request."""
        for _, stamps in self.windows:
            stamps.append(now)

    def move(self, counted_at: float, at: float) -> None:
        """Put the last stamp that is not after `counted_at` to a later moment, in the windows where it matters."""
        for window, stamps in self.windows:
            if window.length_s > _SHORT_WINDOW_S:
                continue
            earlier = [stamp for stamp in stamps if stamp <= counted_at]
            if earlier:
                stamps.remove(earlier[-1])
                moved = sorted((*stamps, at))
                stamps.clear()
                stamps.extend(moved)

    def exit_pause_s(self, now: float) -> float:
        """Give the back-off of exits: short, and growing with each refusal."""
        if not self._level or now >= self._halved_until:
            return 0.0
        return self._refused_at + _EXIT_PAUSE_S * 2.0 ** (self._level - 1) / self._scale - now

    def punish(self, now: float, sent_at: float, retry_after_s: float | None) -> float:
        """Pause and halve; gives the pause in seconds, 0 for a refusal that was under way with the last one."""
        if sent_at <= self._refused_at:
            return 0.0
        self._level = min(self._level + 1, _MOST_LEVELS) if now < self._halved_until else 1
        pause_s = min(_FIRST_PAUSE_S * 2.0 ** (self._level - 1), _LONGEST_PAUSE_S) / self._scale
        if retry_after_s is not None:
            pause_s = min(max(retry_after_s, pause_s), _LONGEST_RETRY_AFTER_S)
        self._refused_at = now
        self.paused_until = max(self.paused_until, now + pause_s)
        self._halved_until = now + pause_s + _HALVED_S / self._scale
        return pause_s

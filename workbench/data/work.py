"""Jobs worked off by a few threads, because a network answers in parallel and a rate limit should bind, not the wait.

Invariant: at most twice as many jobs as threads are taken on ahead of the consumer, so that what is asked is kept, and
a consumer that stops early leaves nothing running but the requests already on the wire.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TypeVar

from workbench.core.errors import WorkbenchError

Job = TypeVar("Job")
Result = TypeVar("Result")


class Spread:
    """Lets the jobs of all threads begin evenly: a burst arrives bunched, and a broker may count its end later.

    Parameters
    ----------
    every_s : float
        Seconds from one beginning to the next; 0 lets them begin at once.
    """

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._lock = threading.Lock()
        self._next = 0.0

    def wait(self) -> None:
        """Wait for this thread's turn."""
        with self._lock:
            now = time.monotonic()
            begin = max(now, self._next)
            self._next = begin + self._every_s
        if begin > now:
            time.sleep(begin - now)


def work_off(
    jobs: Iterable[Job], ask: Callable[[Job], Result], *, workers: int, spread: Spread
) -> Generator[tuple[Job, Result | WorkbenchError], None, None]:
    """Give each job with its result, or with the error raised on purpose, as they are done."""
    waiting = iter(jobs)

    def begin(job: Job) -> Result:
        spread.wait()
        return ask(job)

    running: dict[Future[Result], Job] = {}
    with ThreadPoolExecutor(workers, thread_name_prefix="fetch") as pool:
        try:
            while True:
                while len(running) < 2 * workers and (job := next(waiting, None)) is not None:
                    running[pool.submit(begin, job)] = job
                if not running:
                    return
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    job = running.pop(future)
                    try:
                        result: Result | WorkbenchError = future.result()
                    except WorkbenchError as error:
                        result = error
                    yield job, result
        finally:
            for future in running:
                future.cancel()

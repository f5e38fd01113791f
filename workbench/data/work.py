"""Jobs worked off by a few threads, because a network answers in parallel and a rate limit should bind, not the wait.

Invariant: at most twice as many jobs as threads are taken on ahead of the consumer, so that what is asked is kept, and
a consumer that stops early leaves nothing running but the requests already on the wire.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TypeVar

from workbench.core.errors import WorkbenchError

Job = TypeVar("Job")
Result = TypeVar("Result")


def work_off(
    jobs: Iterable[Job], ask: Callable[[Job], Result], *, workers: int
) -> Generator[tuple[Job, Result | WorkbenchError], None, None]:
    """Give each job with its result, or with the error raised on purpose, as they are done."""
    waiting = iter(jobs)
    running: dict[Future[Result], Job] = {}
    with ThreadPoolExecutor(workers, thread_name_prefix="fetch") as pool:
        try:
            while True:
                while len(running) < 2 * workers and (job := next(waiting, None)) is not None:
                    running[pool.submit(ask, job)] = job
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

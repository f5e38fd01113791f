"""One life of the engine process on the proof's disk: runner, webhook door and feed watch as in production.

What differs from production stands outside of them: the order lanes hand what leaves to the venue without threads, the
disk syncs when it is told to, and time is told. So a day is the same for the same seed.

Invariant: nothing that a life held survives it except through the disk.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, cast

from starlette.requests import Request

from workbench.core.bars import Quote
from workbench.core.deployment import Mode
from workbench.core.engine import Decision, Engine, EngineConfig
from workbench.core.instrument import Instrument
from workbench.core.messages import CancelOrder, Level, Message, ModifyOrder, PlaceOrder, TakeSnapshot
from workbench.core.order import OrderTicket
from workbench.core.ports import JournalEntry
from workbench.live.alerts import AlertDesk
from workbench.live.lanes import OrderLanes
from workbench.live.runner import Runner
from workbench.live.system import FeedWatch, LiveSystem
from workbench.live.webhook import AlertDoor
from workbench.storage.ledger import DayLedger
from workbench.testing.proof.disk import Disk, DiskJournal, Tape
from workbench.testing.proof.market import CALENDAR, CHARGES, DAY
from workbench.testing.proof.venue import Asked

STALE_AFTER_S = 5.0


class ToldClock:
    """Market time as the proof tells it; wire time runs along."""

    def __init__(self, now: datetime) -> None:
        self.time = now
        self._began = now

    def now(self) -> datetime:
        """Market time."""
        return self.time

    def monotonic(self) -> float:
        """Wire time, seconds."""
        return (self.time - self._began).total_seconds()


class HandLanes:
    """The order lanes without threads: what leaves waits here until the proof hands it to the venue."""

    def __init__(self) -> None:
        self.leaving: deque[Asked] = deque()
        self.is_idle = True

    def start(self, loop: asyncio.AbstractEventLoop, deliver: Callable[[Message], None]) -> None:
        """Begin; answers come from the venue."""

    def write(self, command: PlaceOrder | ModifyOrder | CancelOrder, ticket: OrderTicket | None) -> None:
        """Let an order, a change or a cancellation leave."""
        self.leaving.append(command)

    def look(self, command: TakeSnapshot) -> None:
        """Let a question leave; two that wait become one."""
        if not any(isinstance(each, TakeSnapshot) for each in self.leaving):
            self.leaving.append(command)


class Notices:
    """What a person was told."""

    def __init__(self) -> None:
        self.alarms = 0
        self.texts: list[str] = []

    def send(self, level: str, text: str) -> None:
        """Keep a notice."""
        self.alarms += level == Level.ALARM.value
        self.texts.append(text)


class NoFeed:
    """Takes subscriptions; the proof quotes all that it has."""

    async def run(self, on_quote: Any, on_state: Any) -> None:
        """Never asked."""

    def subscribe(self, instruments: Sequence[Instrument]) -> None:
        """Nothing to do."""

    def unsubscribe(self, instruments: Sequence[Instrument]) -> None:
        """Nothing to do."""


@dataclass(frozen=True, slots=True)
class Eyes:
    """What looks at a life: each journal entry as it is handed over, each decision, each idle quote."""

    on_entry: Callable[[JournalEntry], None]
    on_decision: Callable[[Message, Decision], None]
    on_quote: Callable[[Quote], None]


class Process:
    """One life.

    Parameters
    ----------
    config : EngineConfig
    disk : Disk
    clock : ToldClock
    notices : Notices
    eyes : Eyes
    """

    def __init__(
        self,
        config: EngineConfig,
        *,
        disk: Disk,
        clock: ToldClock,
        notices: Notices,
        eyes: Eyes,
    ) -> None:
        self.clock, self.lanes = clock, HandLanes()
        self.journal = DiskJournal(disk, eyes.on_entry)
        seq = len(disk.entries)
        self.runner = Runner(
            make_engine=lambda: Engine(config),
            journal=self.journal,
            tape=Tape(eyes.on_quote),
            ledger=DayLedger(CHARGES),
            lanes=cast(OrderLanes, self.lanes),
            feed=NoFeed(),
            clock=clock,
            notifier=notices,
            first_seq=seq + 1,
        )
        self.runner.listeners.append(eyes.on_decision)
        self.watch = FeedWatch(STALE_AFTER_S, monotonic=clock.monotonic)
        self.watch.feed_state(True, "")
        self.watch.saw_quote(clock.monotonic())
        desk = AlertDesk(
            deployments=config.deployments,
            mode=Mode.PAPER,
            calendar=CALENDAR,
            max_age_s=config.limits.max_alert_age_s,
            spot=self._spot,
        )
        self.system = LiveSystem(
            runner=self.runner,
            mode=Mode.PAPER,
            calendar=CALENDAR,
            alerts=desk,
            watch=self.watch,
            admin_token="token-of-the-proof",  # noqa: S106 - opens nothing
            ready=True,
        )
        self.door = AlertDoor(self.system)
        self.runner.recover(self.journal.read_day(config.account_id, DAY))

    def _spot(self, symbol: str) -> Decimal | None:
        return self.system.spot(symbol)

    async def post(self, link: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Send an alert to the webhook, as a sender does; gives the status and the body of the answer."""
        text = json.dumps(body).encode()
        sent = False

        async def receive() -> dict[str, Any]:
            nonlocal sent
            if sent:
                return {"type": "http.disconnect"}
            sent = True
            return {"type": "http.request", "body": text, "more_body": False}

        scope = {
            "type": "http",
            "method": "POST",
            "path": f"/webhook/{link}",
            "query_string": b"",
            "headers": [(b"content-type", b"application/json"), (b"content-length", str(len(text)).encode())],
        }
        answer = await self.door.take(Request(scope, receive), link=link)
        return answer.status_code, json.loads(bytes(answer.body))

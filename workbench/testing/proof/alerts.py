"""Senders of alerts: they send, wait, send again as TradingView does, and remember what they were answered (I9)."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from workbench.core.messages import AlertReceived, DecisionMade, EntryPostponed, PositionPlanned
from workbench.core.ports import JournalEntry
from workbench.testing.proof.market import STRIKE, SYMBOL
from workbench.testing.proof.oracle import promise
from workbench.testing.proof.process import Process
from workbench.testing.proof.scenario import ALERT_KEY

RESENT_AT_MOST = 3


@dataclass(slots=True)
class Sent:
    """One alert and what came back: 0 for a connection that died."""

    link: str
    body: dict[str, Any]
    forged: bool = False
    answers: list[tuple[int, str]] = field(default_factory=list)
    again_at: datetime | None = None
    task: asyncio.Task[None] | None = None

    @property
    def was_taken(self) -> bool:
        """Some answer said 2xx and that it was accepted."""
        return any(status == 200 and word == "accepted" for status, word in self.answers)


class Senders:
    """All senders of a day; they outlive the process."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self.sent: dict[str, Sent] = {}

    def enter(self, process: Process, name: str, now: datetime) -> None:
        """Ask a deployment to be long or short, if it holds nothing yet."""
        body = {"strategy": name, "symbol": SYMBOL, "timestamp": now.isoformat(timespec="seconds")}
        body |= {"position": self._rng.choice(["long", "short"])}
        self._send(process, name, body | {"id": f"n{len(self.sent)}", "key": ALERT_KEY})

    def send(self, process: Process, name: str, now: datetime, *, forged: bool = False) -> None:
        """Send some alert to a deployment; a forged one has a wrong key or is a day old, and must never act."""
        number = f"n{len(self.sent)}"
        is_old = forged and self._rng.random() < 0.5
        body = self._some(name, now - timedelta(days=is_old))
        body |= {"id": number, "key": "some-other-key" if forged and not is_old else ALERT_KEY}
        self._send(process, name, body, forged=forged)

    def again(self, process: Process, now: datetime) -> None:
        """Send again what was not taken, and now and then something that was."""
        for each in self.sent.values():
            if each.again_at is not None and each.again_at <= now:
                each.again_at = None
                self._post(process, each)

    def settle(self, now_plus_5: datetime) -> None:
        """Note the answers that have come: what failed is sent again, five seconds later."""
        for each in self.sent.values():
            if each.task is None or not each.task.done():
                continue
            each.task = None
            refused = not each.answers or each.answers[-1][0] >= 500 or each.answers[-1][0] == 0
            if (refused or self._rng.random() < 0.15) and len(each.answers) <= RESENT_AT_MOST:
                each.again_at = now_plus_5

    def line_dead(self) -> None:
        """The process died: whoever waits for an answer gets none."""
        for each in self.sent.values():
            if each.task is not None and not each.task.done():
                each.task.cancel()
                each.answers.append((0, "no answer"))

    def judge(self, entries: list[JournalEntry]) -> None:
        """What was taken is on the disk once and has its fate; nothing acted twice, and nothing forged at all (I9)."""
        kept: dict[str, int] = {}
        fates: set[str] = set()
        waiting: dict[str, datetime] = {}
        acted: dict[str, int] = {}
        for entry in entries:
            if isinstance(entry.message, AlertReceived):
                kept[entry.message.alert_id] = kept.get(entry.message.alert_id, 0) + 1
            for event in entry.events:
                if isinstance(event, DecisionMade):
                    fates.add(event.subject)
                    waiting.pop(event.subject, None)
                elif isinstance(event, EntryPostponed):
                    waiting[event.subject] = event.until
                elif isinstance(event, PositionPlanned) and not event.group and event.at.date() == entry.now.date():
                    acted.setdefault(event.subject, 0)
                    acted[event.subject] += entry.now == event.at
        for alert_id, sent in self.sent.items():
            taken = kept.get(alert_id, 0)
            promise(not (sent.forged and (taken or sent.was_taken)), "I9", f"{alert_id} was forged and taken")
            promise(taken <= 1, "I9", f"{alert_id} is {taken} times in the journal")
            promise(taken == 1 or not sent.was_taken, "I9", f"{alert_id} was answered 2xx and is not in the journal")
            promise(acted.get(alert_id, 0) <= 1, "I9", f"{alert_id} entered {acted.get(alert_id)} times")
        # The last seconds of a day are cut off: what may still wait then is not forgotten.
        cut = entries[-1].now - timedelta(seconds=2) if entries else None
        open_yet = {each for each, until in waiting.items() if cut is not None and until >= cut}
        lost = sorted(kept.keys() - fates - open_yet)
        promise(not lost, "I9", f"alerts without a fate: {lost}")
        forgotten = sorted(waiting.keys() - open_yet)
        promise(not forgotten, "I9", f"entries that waited and were forgotten: {forgotten}")

    def _send(self, process: Process, name: str, body: dict[str, Any], *, forged: bool = False) -> None:
        sent = self.sent[f"{name}:{body['id']}"] = Sent(link=f"{name.lower()}-link", body=body, forged=forged)
        self._post(process, sent)

    def _post(self, process: Process, sent: Sent) -> None:
        async def post() -> None:
            status, answer = await process.post(sent.link, sent.body)
            sent.answers.append((status, str(answer.get("status", answer.get("error", "")))))

        sent.task = asyncio.get_running_loop().create_task(post())

    def _some(self, name: str, now: datetime) -> dict[str, Any]:
        stamp, dice = now.isoformat(timespec="seconds"), self._rng.random()
        base = {"strategy": name, "symbol": SYMBOL, "timestamp": stamp}
        if dice < 0.35:
            side = self._rng.choice(["BUY", "SELL", "buy"])
            return {**base, "side": side, "timeframe": "1", "price": 15710}
        if dice < 0.6:
            return {**base, "action": self._rng.choice(["BUY_CALL", "BUY_PUT", "SELL_CALL", "SELL_PUT"])}
        if dice < 0.9:
            return {**base, "position": self._rng.choice(["long", "short", "flat"])}
        action, right = self._rng.choice(["ENTRY", "EXIT"]), self._rng.choice(["CE", "PE"])
        given = {"signal": name, "action": action, "strike": STRIKE, "option_type": right, "timestamp": stamp}
        return {**given, "spot_price": 15710} if action == "ENTRY" else given

"""Who moves the market: the practice clock, and the socket by which the engine holds it.

Market time is owned here. It stands half a minute before the open until a client is ready, and it never runs more than
one market second ahead of what that client has acknowledged; a client that was ready and disappears stops it. At a
speed N a market second takes 1/N real seconds at least; in lockstep it takes as long as the client needs.

Invariant: steps are numbered without a gap; each is told on the socket after its packets and order updates were sent.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import orjson
from starlette.websockets import WebSocket, WebSocketDisconnect

from workbench.simulator.exchange import Simulator

_LATE_S = 0.5
_AHEAD = 2.0
"""Market seconds between a step and the next that can only be if the market was moved by hand."""


class State(StrEnum):
    """What the market does: stands, trades, or has closed for the day."""

    WAITING = "waiting"
    OPEN = "open"
    CLOSED = "closed"


@dataclass(eq=False, slots=True)
class Follower:
    """One client of the sync socket."""

    socket: WebSocket
    ready: bool = False
    acknowledged: int = -1
    asked_next: bool = False


class Conductor:
    """Moves a simulator.

    Parameters
    ----------
    simulator : Simulator
    """

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator
        self.step_number = 0
        self.halted = False
        self.strike: Callable[[], Awaitable[None]] | None = None
        self._followers: list[Follower] = []
        self._news = asyncio.Event()
        self._anchor_wall = time.time()
        self._anchor_clock = time.monotonic()
        self._anchor_step = 0
        self._anchor_market = simulator.now
        self._over = False

    @property
    def leader(self) -> Follower | None:
        """The client that holds the market: the newest that is ready."""
        return next((each for each in reversed(self._followers) if each.ready), None)

    @property
    def state(self) -> State:
        """What the market does now."""
        if self._over:
            return State.CLOSED
        running = self.simulator.config.free_run or self.leader is not None
        return State.OPEN if running and self.simulator.board.second >= 0 else State.WAITING

    def clock(self) -> dict[str, object]:
        """Give the practice clock."""
        simulator = self.simulator
        return {
            "now": simulator.now.isoformat(),
            "anchor_market": self._anchor_market.isoformat(),
            "anchor_wall": self._anchor_wall,
            "speed": simulator.config.speed or "max",
            "state": self.state.value,
            "day": simulator.day.isoformat(),
            "step": self.step_number,
            "facts": simulator.facts(),
        }

    async def run(self) -> None:
        """Conduct day after day until cancelled."""
        while True:
            self._over = False
            await self._tell()
            while not self.simulator.is_over:
                await self._allowed()
                await self._pace()
                if not self.halted:
                    await self.step()
            if not await self._closed():
                self._over = True
                await asyncio.Event().wait()

    async def step(self) -> None:
        """Move one market second and tell it."""
        simulator = self.simulator
        simulator.step()
        self.step_number += 1
        self._over = simulator.is_over
        if self.strike is not None:
            await self.strike()
        await simulator.feed.push()
        if simulator.board.second == 0 or self._over:
            await simulator.feed.say_status()
        await self._tell()

    async def serve(self, socket: WebSocket) -> None:
        """Serve one client of the sync socket until it leaves."""
        await socket.accept()
        follower = Follower(socket)
        self._followers.append(follower)
        try:
            await socket.send_text(self._message())
            while True:
                self._heard(follower, await socket.receive_text())
        except (WebSocketDisconnect, RuntimeError, KeyError):
            pass
        finally:
            self._followers.remove(follower)
            self._news.set()

    def _heard(self, follower: Follower, text: str) -> None:
        try:
            said: Any = orjson.loads(text)
        except ValueError:
            return
        if not isinstance(said, dict):
            return
        if isinstance(said.get("ack"), int):
            follower.acknowledged = max(follower.acknowledged, said["ack"])
            if not self.simulator.config.transit_s:
                # What the client sent while it had this second reaches the exchange in this second.
                self.simulator.desk.admit_transit()
        if said.get("ready") is True and not follower.ready:
            follower.ready = True
            follower.acknowledged = max(follower.acknowledged, self.step_number)
            self._followers.sort(key=lambda each: each is follower)
        if said.get("next") is True:
            follower.asked_next = True
        self._news.set()

    async def _allowed(self) -> None:
        """Wait until somebody holds the market and has acknowledged the last step."""
        stood = False
        while not self._may_step():
            stood = stood or self.leader is None
            self._news.clear()
            await self._news.wait()
        if stood:
            self._anchor()

    def _may_step(self) -> bool:
        leader = self.leader
        if leader is None:
            return self.simulator.config.free_run
        return leader.acknowledged >= self.step_number

    async def _pace(self) -> None:
        """Wait until the wall clock has reached the next market second."""
        speed = self.simulator.config.speed
        if speed is None or self.halted:
            await asyncio.sleep(0.01 if self.halted else 0)
            return
        due = self._anchor_clock + (self.step_number + 1 - self._anchor_step) / speed
        left = due - time.monotonic()
        if left > _AHEAD / speed:
            # Somebody moved the market by hand: it goes on from where it is, and does not wait for its clock.
            self._anchor()
            left = 1 / speed
        if left > 0:
            await asyncio.sleep(left)
        elif left < -_LATE_S:
            # Somebody was slow: the market was later than its clock, and does not hurry after it.
            self._anchor()
        else:
            await asyncio.sleep(0)

    def _anchor(self) -> None:
        self._anchor_wall, self._anchor_clock = time.time(), time.monotonic()
        self._anchor_step, self._anchor_market = self.step_number, self.simulator.now

    async def _closed(self) -> bool:
        """Stay closed a little; then open the next day, if there is one."""
        config = self.simulator.config
        if self.simulator.market.next_day(self.simulator.day) is None:
            return False
        until = time.monotonic() + config.closing_s
        while (left := until - time.monotonic()) > 0 and not self._next_wanted():
            self._news.clear()
            try:
                await asyncio.wait_for(self._news.wait(), left)
            except TimeoutError:
                break
        for follower in self._followers:
            follower.ready = follower.asked_next = False
        self.simulator.next_day()
        self._anchor()
        return True

    def _next_wanted(self) -> bool:
        leader = self.leader
        return leader is not None and leader.asked_next and leader.acknowledged >= self.step_number

    def _message(self) -> str:
        simulator = self.simulator
        message = {
            "step": self.step_number,
            "time": simulator.now.isoformat(),
            "packets": simulator.feed.packets,
            "updates": simulator.updates.updates,
            "state": self.state.value,
            "speed": simulator.config.speed or "max",
        }
        return orjson.dumps(message).decode()

    async def _tell(self) -> None:
        if not self._followers:
            return
        message = self._message()
        for follower in list(self._followers):
            try:
                await follower.socket.send_text(message)
            except (WebSocketDisconnect, RuntimeError):
                follower.ready = False

"""The mirror's door: the socket by which an engine forwards quotes and market time, and what moves the mirror.

One message is one JSON object: `token` and `client` in the first one; `now` (market time), `alive` and `reason` of the
forwarder's feed; `instruments` with their facts; `quotes` in their order. Each message is answered by how the mirror
stands. A message that cannot be read ends the connection, and the mirror becomes stale: half a message is no price.

Invariant: one engine forwards at a time, the newest one.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import orjson
from starlette.websockets import WebSocket, WebSocketDisconnect

from workbench.core.bars import Quote
from workbench.core.errors import BadInput
from workbench.core.instrument import Instrument, InstrumentKind, Right, Segment
from workbench.core.session import IST
from workbench.simulator.conductor import Conductor, State
from workbench.simulator.exchange import Simulator
from workbench.simulator.fault_plan import FaultPlan
from workbench.simulator.mirror import MirrorSimulator
from workbench.simulator.server import PORT, Application, server_of

log = logging.getLogger(__name__)

ADMIT_EVERY_S = 0.01
"""Real seconds between two looks at what was received: an order is at the exchange that soon without any quote."""

PATH = "/mirror"


class MirrorConductor(Conductor):
    """Lets forwarded time pass; nothing here moves the market by itself.

    Parameters
    ----------
    simulator : MirrorSimulator
    """

    simulator: MirrorSimulator

    def __init__(self, simulator: Simulator) -> None:
        if not isinstance(simulator, MirrorSimulator):
            raise BadInput("a mirror's conductor wants a mirror")
        super().__init__(simulator)

    @property
    def state(self) -> State:
        """What the market does at the forwarded time."""
        now, session = self.simulator.now, self.simulator.session
        if now >= session.close:
            return State.CLOSED
        return State.OPEN if now >= session.open else State.WAITING

    def clock(self) -> dict[str, object]:
        """Give the forwarded clock, and why nothing fills if that is so."""
        why = self.simulator.why_stale
        return {**super().clock(), "stale": bool(why), "why_stale": why, "quotes": self.simulator.quotes_taken}

    async def run(self) -> None:
        """Let orders reach the exchange and watch for silence, until cancelled."""
        while True:
            self.simulator.tick()
            await asyncio.sleep(ADMIT_EVERY_S)

    async def serve(self, socket: WebSocket) -> None:
        """Turn away who would hold the market: its time is the forwarder's."""
        await socket.close(1008, "a mirror has the time of its forwarder")


class MirrorDoor:
    """The forwarding socket.

    Parameters
    ----------
    simulator : MirrorSimulator
    """

    def __init__(self, simulator: MirrorSimulator) -> None:
        self._simulator = simulator
        self._newest: WebSocket | None = None

    async def serve(self, socket: WebSocket) -> None:
        """Serve one forwarder until it leaves, or until a newer one comes."""
        await socket.accept()
        try:
            if not self._may_forward(await socket.receive_text()):
                await socket.close(1008, "token or client id is wrong")
                return
            self._newest = socket
            while True:
                text = await socket.receive_text()
                if self._newest is not socket:
                    await socket.close(1001, "another engine forwards now")
                    return
                answer = self._take(text)
                await socket.send_text(orjson.dumps(answer).decode())
        except (WebSocketDisconnect, RuntimeError):
            return
        except (ValueError, TypeError, LookupError, ArithmeticError, BadInput) as error:
            log.error("the forwarder's message cannot be read: %s", error)
            await socket.close(1007, f"cannot be read: {type(error).__name__}")

    def _may_forward(self, text: str) -> bool:
        try:
            hello: Any = orjson.loads(text)
            return (hello["token"], hello["client"]) == (self._simulator.token, self._simulator.client_id)
        except (ValueError, KeyError, TypeError):
            return False

    def _take(self, text: str) -> dict[str, object]:
        said: Any = orjson.loads(text)
        simulator = self._simulator
        simulator.learn([read_instrument(each) for each in said.get("instruments", ())])
        unknown = simulator.hear(
            _moment(said["now"]),
            alive=said["alive"] is True,
            reason=str(said.get("reason", ""))[:200],
            quotes=[read_quote(each) for each in said.get("quotes", ())],
        )
        why = simulator.why_stale
        return {"number": said.get("number"), "stale": bool(why), "why_stale": why, "unknown": unknown}


def read_instrument(body: dict[str, Any]) -> Instrument:
    """Read the facts of an instrument."""
    expiry, strike, right, freeze = (body.get(name) for name in ("expiry", "strike", "right", "freeze"))
    return Instrument(
        segment=Segment(body["segment"]),
        security_id=str(body["security_id"]),
        symbol=str(body["symbol"]),
        kind=InstrumentKind(body["kind"]),
        lot=int(body["lot"]),
        tick=_decimal(body["tick"]),
        expiry=date.fromisoformat(expiry) if expiry else None,
        strike=_decimal(strike) if strike is not None else None,
        right=Right(right) if right else None,
        freeze=None if freeze is None else int(freeze),
        display_name=str(body.get("display_name", "")),
        trading_symbol=str(body.get("trading_symbol", "")),
    )


def read_quote(body: list[Any]) -> Quote:
    """Read a quote: key, time, last, bid, ask, bid quantity, ask quantity, volume."""
    key, moment, last, bid, ask, bid_quantity, ask_quantity, volume = body
    return Quote(
        key=str(key), time=_moment(moment), last=_decimal(last), bid=_decimal(bid), ask=_decimal(ask),
        bid_quantity=int(bid_quantity), ask_quantity=int(ask_quantity), volume=int(volume),
    )  # fmt: skip


def mirror_application(simulator: MirrorSimulator) -> Application:
    """Give the application of a mirror: Dhan's wire, and the forwarder's socket."""
    application = Application(simulator, conducted_by=MirrorConductor)
    application.api.add_api_websocket_route(PATH, MirrorDoor(simulator).serve)
    return application


def serve_mirror(simulator: MirrorSimulator, port: int = PORT, plan: FaultPlan | None = None) -> None:
    """Run a mirror in this process, with faults or without, until it is told to stop."""
    application = mirror_application(simulator)
    for fault in plan.faults if plan is not None else ():
        application.faults.order(fault)
    server_of(application, port).run()


def _moment(text: object) -> datetime:
    moment = datetime.fromisoformat(str(text))
    if moment.tzinfo is None:
        raise BadInput(f"{text} has no time zone")
    return moment.astimezone(IST)


def _decimal(text: object) -> Decimal:
    try:
        number = Decimal(str(text))
    except InvalidOperation:
        raise BadInput(f"{str(text)[:40]!r} is no number") from None
    if not number.is_finite():
        raise BadInput(f"{number} is no price")
    return number

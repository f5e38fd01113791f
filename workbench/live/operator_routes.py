"""Routes of the API for what a person does rarely and must not do by accident: the kill switch, what was done by hand.

Invariant: the kill switch needs the word that its question gave a moment before (two steps, fault W15).
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException
from pydantic import BaseModel, ConfigDict, Field

from workbench.core.errors import BadInput
from workbench.core.messages import ClosedByHand, FilledByHand, Notify
from workbench.live.kill import KillRun
from workbench.live.system import LiveSystem


class KillBody(BaseModel):
    """The word that `POST /api/kill/ask` gave, why, and who."""

    model_config = ConfigDict(strict=True, extra="forbid")

    nonce: Annotated[str, Field(min_length=1, max_length=64)]
    reason: Annotated[str, Field(max_length=200)] = ""
    who: Annotated[str, Field(max_length=40)] = "operator"


class ByHandBody(BaseModel):
    """How many units a person has closed himself, at which average price (rupees a unit), and who says so."""

    model_config = ConfigDict(strict=True, extra="forbid")

    price: Annotated[str, Field(pattern=r"^\d{1,7}(\.\d{1,4})?$")]
    quantity: Annotated[int, Field(ge=1, le=1_000_000)]
    who: Annotated[str, Field(max_length=40)] = "operator"


def by_hand_routes(system: LiveSystem) -> APIRouter:
    """Give the route by which a person says what he has done in the broker's own app."""
    router = APIRouter()

    @router.post("/live/position/{position_id}/closed-by-hand")
    async def closed(position_id: str, body: ByHandBody) -> dict[str, Any]:
        price = Decimal(body.price)
        told = ClosedByHand(position_id=position_id[:40], quantity=body.quantity, price=price, who=body.who)
        decision = await system.runner.put(told)
        if not any(isinstance(item, FilledByHand) for item in decision.events):
            reasons = [item.text for item in decision.commands if isinstance(item, Notify)]
            why = "; ".join(reasons) or "the engine did not take it"
            raise HTTPException(409, f"not booked: {why}; see: workbench positions")
        book = system.runner.engine.book
        left = book.positions[position_id].open_quantity
        return {"status": "done", "units_left": left, "frozen": list(book.frozen)}

    return router


def kill_routes(system: LiveSystem) -> APIRouter:
    """Give the routes of the kill switch."""
    router = APIRouter()

    def kill() -> KillRun:
        if system.kill is None:
            raise HTTPException(409, "this engine has no kill switch; workbench flatten leaves everything")
        return system.kill

    @router.get("/api/kill")
    async def shown() -> dict[str, Any]:
        return kill().view() or {"state": "not ordered", "who": "", "steps": [], "must_do": ""}

    @router.post("/api/kill/ask")
    async def ask() -> dict[str, Any]:
        return kill().ask()

    @router.post("/api/kill")
    async def begin(body: KillBody) -> dict[str, Any]:
        run = kill()
        try:
            await run.begin(body.nonce, who=body.who, reason=body.reason)
        except BadInput as error:
            raise HTTPException(409, str(error)) from None
        return run.view() or {}

    return router

"""Routes of the API for what a person does rarely and must not do by accident: the kill switch, what was done by hand.

Invariant: the kill switch needs the word that its question gave a moment before (two steps, fault W15).
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, HTTPException
from pydantic import BaseModel, ConfigDict, Field

from workbench.core.errors import BadInput
from workbench.live.kill import KillRun
from workbench.live.system import LiveSystem


class KillBody(BaseModel):
    """The word that `POST /api/kill/ask` gave, why, and who."""

    model_config = ConfigDict(strict=True, extra="forbid")

    nonce: Annotated[str, Field(min_length=1, max_length=64)]
    reason: Annotated[str, Field(max_length=200)] = ""
    who: Annotated[str, Field(max_length=40)] = "operator"


def kill_routes(system: LiveSystem) -> APIRouter:
    """Give the routes of the kill switch."""
    router = APIRouter()

    def kill() -> KillRun:
        if system.kill is None:
            raise HTTPException(409, "this engine has no kill switch; POST /api/flatten leaves everything")
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

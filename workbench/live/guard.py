"""Who may use the API: this machine, under its own name, and for writing only with the admin token.

It stands before all parsing. The webhook alone may be reached under another name, through a tunnel; it guards itself.

Invariant: a page of another site, or a foreign name that points here (DNS rebinding), reads and orders nothing.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

TOKEN_HEADER = "X-Workbench-Token"  # noqa: S105 - the name of a header
_LOCAL = ("127.0.0.1", "localhost", "[::1]")
_WEBHOOK = "/webhook/"


class Guard:
    """ASGI middleware that refuses foreign hosts and origins, and writing without the token."""

    def __init__(self, app: ASGIApp, *, admin_token: str) -> None:
        self._app, self._token = app, admin_token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket") or str(scope["path"]).startswith(_WEBHOOK):
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(Headers(scope=scope), str(scope.get("method", "GET")))
        if refusal is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": refusal[1][:120]})
        else:
            body = {"error": refusal[1], "field": "", "way_out": ""}
            await JSONResponse(body, status_code=refusal[0])(scope, receive, send)

    def _refusal(self, headers: Mapping[str, str], method: str) -> tuple[int, str] | None:
        if not is_local(headers.get("host", "")):
            return 403, "this API answers on 127.0.0.1 only; the webhook alone may have another name"
        if not own_origin(headers.get("origin")):
            return 403, "a page of another site may not use this API"
        if method in ("GET", "HEAD", "OPTIONS"):
            return None
        if not self._token or not hmac.compare_digest(headers.get(TOKEN_HEADER, "").encode(), self._token):
            return 401, f"{TOKEN_HEADER} is missing or wrong; it stands in journal/admin.token of the data folder"
        if headers.get("content-type", "").partition(";")[0].strip() != "application/json":
            return 415, "send JSON with Content-Type: application/json"
        return None


def is_local(host: str) -> bool:
    """Say whether a Host header names this machine itself."""
    name, colon, port = host.rpartition(":")
    return (name if colon and port.isdigit() else host) in _LOCAL


def own_origin(origin: str | None) -> bool:
    """Say whether a browser's page is one of this machine; other programs send no Origin."""
    if origin is None:
        return True
    scheme, _, rest = origin.partition("://")
    return scheme in ("http", "https") and is_local(rest)

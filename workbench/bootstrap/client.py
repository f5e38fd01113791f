"""A client of the running engine's API, for the command line; one clear error when nobody answers."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from workbench.core.errors import BadInput, WorkbenchError

TOKEN_HEADER = "X-Workbench-Token"  # noqa: S105 - the header's name


class EngineNotRunning(WorkbenchError):
    """Nobody answers on the engine's port."""


class EngineClient:
    """Talks to the engine on 127.0.0.1.

    Parameters
    ----------
    port : int
    data : Path
        Data folder; the admin token of the running engine lies in it.
    token : str or None
        The admin token where the user set one; it comes before the one in the folder.
    """

    def __init__(self, port: int, data: Path, *, token: str | None = None, timeout_s: float = 10.0) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._token = token
        self._token_file = data / "journal" / "admin.token"
        self._timeout_s = timeout_s
        # The address is this machine's own: a proxy set in the environment must not see it.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def get(self, path: str) -> Any:
        """GET a JSON document."""
        return self._send(urllib.request.Request(self.url + path))  # noqa: S310 - always http to 127.0.0.1

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """POST a JSON document with the admin token."""
        headers = {"Content-Type": "application/json"}
        if self._token:
            headers[TOKEN_HEADER] = self._token
        elif self._token_file.is_file():
            headers[TOKEN_HEADER] = self._token_file.read_text(encoding="utf-8").strip()
        request = urllib.request.Request(  # noqa: S310 - always http to 127.0.0.1
            self.url + path, data=json.dumps(body).encode(), headers=headers, method="POST"
        )
        return self._send(request)

    def is_up(self) -> bool:
        """Tell whether an engine answers."""
        try:
            self.get("/health")
        except EngineNotRunning:
            return False
        return True

    def _send(self, request: urllib.request.Request) -> Any:
        try:
            with self._opener.open(request, timeout=self._timeout_s) as reply:
                return json.loads(reply.read())
        except urllib.error.HTTPError as error:
            raise BadInput(f"the engine refused: {_in_words(error.code, error.read())}") from None
        except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
            raise EngineNotRunning(f"no engine answers at {self.url} ({error}); start it with: workbench up") from None


def _in_words(code: int, body: bytes) -> str:
    """Say a refusal as a person reads it: what, where, and the way out where the engine tells one."""
    try:
        told = json.loads(body)
    except ValueError:
        told = None
    if not isinstance(told, dict) or not told.get("error"):
        return f"HTTP {code} {body.decode('utf-8', 'replace')}"
    what, where, way_out = (str(told.get(key) or "") for key in ("error", "field", "way_out"))
    at = f" (field {where})" if where and where not in what else ""
    return f"{what}{at}" + (f"; {way_out}" if way_out else "")

"""The control app's line to the engine: HTTP on 127.0.0.1, and three ways in which a call can end.

It answers (`Reply`), it refuses with a reason (`Refused`), or nobody answers (`Unreachable`). A write without an answer
is `Unreachable` too, and its text says that nobody knows whether it was done.

Invariant: nothing is sent twice by itself, and no proxy of the environment sees a call.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

TOKEN_HEADER = "X-Workbench-Token"  # noqa: S105 - the name of a header
ENGINE_PORT = 8700
_ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Reply:
    """The engine's answer, as parsed JSON."""

    body: Any


@dataclass(frozen=True, slots=True)
class Refused:
    """The engine said no, and why."""

    reason: str


@dataclass(frozen=True, slots=True)
class Unreachable:
    """Nobody answered."""

    reason: str


Answer = Reply | Refused | Unreachable


def engine_url(env: Mapping[str, str] | None = None) -> str:
    """Address of the engine: ``WORKBENCH_ENGINE_PORT``, else 8700."""
    text = (os.environ if env is None else env).get("WORKBENCH_ENGINE_PORT", "").strip()
    return f"http://127.0.0.1:{int(text) if text.isdigit() else ENGINE_PORT}"


def data_dir(env: Mapping[str, str] | None = None) -> Path:
    """Folder that holds the engine's token: ``WORKBENCH_DATA``, else ``data`` of the checkout."""
    named = (os.environ if env is None else env).get("WORKBENCH_DATA", "").strip()
    return Path(named).expanduser() if named else _ROOT / "data"


def admin_token(env: Mapping[str, str] | None = None) -> str:
    """Token for writing, read anew each time: a restarted engine may have another one."""
    given = (os.environ if env is None else env).get("WORKBENCH_ADMIN_TOKEN", "").strip()
    if given:
        return given
    try:
        return (data_dir(env) / "journal" / "admin.token").read_text(encoding="utf-8").strip()
    except OSError:
        return ""


class Engine:
    """Calls of the control app.

    Parameters
    ----------
    url : str, optional
        Without one: `engine_url`.
    timeout_s : float
        Longest wait for an answer; the page is drawn anew each second.
    transport : httpx.BaseTransport, optional
        For tests.
    """

    def __init__(
        self, url: str | None = None, *, timeout_s: float = 3.0, transport: httpx.BaseTransport | None = None
    ) -> None:
        self.url = url or engine_url()
        self._http = httpx.Client(base_url=self.url, timeout=timeout_s, trust_env=False, transport=transport)

    def status(self) -> Answer:
        """Everything that the page shows."""
        return self._call("GET", "/api/status")

    def orders(self) -> Answer:
        """Orders of the day, for those whose fate is unknown."""
        return self._call("GET", "/live/orders")

    def preview(self, button: str, deployment: str) -> Answer:
        """Ask what a click on a button would do now."""
        return self._call("POST", "/api/preview", {"action": button, "deployment": deployment})

    def press(self, button: str, deployment: str) -> Answer:
        """Press one of BUY_CE, BUY_PE, SELL_CE, SELL_PE."""
        return self._call("POST", "/api/manual", {"action": button, "deployment": deployment})

    def order(self, command: str, deployment: str = "") -> Answer:
        """Give one of the orders halt, resume, flatten; halt and resume also to one deployment alone."""
        named = {"deployment": deployment} if deployment else {}
        return self._call("POST", f"/api/{command}", {"reason": "control app", "who": "control app", **named})

    def kill(self) -> Answer:
        """Order the kill switch: ask, and bring the word of the answer back at once; the person was asked before."""
        asked = self._call("POST", "/api/kill/ask", {})
        if not isinstance(asked, Reply):
            return asked
        nonce = str(asked.body.get("nonce", "")) if isinstance(asked.body, Mapping) else ""
        body = {"nonce": nonce, "reason": "control app", "who": "control app"}
        return self._call("POST", "/api/kill", body)

    def seen(self, number: int) -> Answer:
        """Say that a person has seen an alarm."""
        return self._call("POST", f"/api/alarms/{number}/seen", {"who": "control app"})

    def _call(self, method: str, path: str, body: dict[str, str] | None = None) -> Answer:
        headers = {TOKEN_HEADER: admin_token()} if method == "POST" else {}
        try:
            answer = self._http.request(method, path, json=body, headers=headers)
        except (httpx.ConnectError, httpx.ConnectTimeout):
            return Unreachable(f"nobody answers at {self.url}")
        except httpx.TransportError as error:
            doubt = "" if method == "GET" else "; nobody knows whether it was done: look at positions and orders"
            return Unreachable(f"no answer from {self.url} ({type(error).__name__}){doubt}")
        return _read(answer)


def _read(answer: httpx.Response) -> Answer:
    try:
        body = answer.json()
    except ValueError:
        return Refused(f"HTTP {answer.status_code} without JSON; is another program on the engine's port?")
    if answer.is_success:
        return Reply(body)
    told = body if isinstance(body, dict) else {}
    text = str(told.get("error") or f"HTTP {answer.status_code}")
    way_out = str(told.get("way_out") or "")
    return Refused(f"{text}; {way_out}" if way_out else text)

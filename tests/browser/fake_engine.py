"""An engine's API that answers from a recording and remembers what it was ordered; a thread with a port of its own."""

from __future__ import annotations

import copy
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

RECORDED = Path(__file__).with_name("recorded.json")
TOKEN = "token-of-the-test"


class FakeEngine:
    """State behind the fake API; tests change `status` and read `ordered`."""

    def __init__(self) -> None:
        self.port = 0
        self.reset()

    def reset(self) -> None:
        """Stand as it was recorded, with nothing ordered yet."""
        recorded = json.loads(RECORDED.read_text(encoding="utf-8"))
        self.status: dict[str, Any] = recorded["status"]
        self.orders: list[dict[str, Any]] = recorded["orders"]
        self.previews: dict[str, Any] = recorded["previews"]
        self.flat_previews: dict[str, Any] = recorded["flat_previews"]
        self.ordered: list[tuple[str, dict[str, Any]]] = []
        self.wrong_tokens = 0
        self.is_dead = False

    def go_flat(self) -> None:
        """Close what is held."""
        self.status["positions"] = []

    def kill(self) -> None:
        """Begin the kill switch; it waits for the account to be flat."""
        self.status["halted"], self.status["halt_reason"] = True, "kill switch"
        steps = [("halt", "done"), ("flatten", "done"), ("verify", "running"), ("broker", "waiting")]
        self.status["kill"] = {
            "state": "running",
            "who": "control app",
            "steps": [{"step": name, "state": state, "text": "", "at": None} for name, state in steps],
            "must_do": "",
        }

    def read(self, path: str) -> tuple[int, Any]:
        """Answer a GET."""
        if path == "/api/status":
            return 200, copy.deepcopy(self.status)
        return (200, self.orders) if path == "/live/orders" else (404, {"error": "not here"})

    def write(self, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        """Answer a POST."""
        if path == "/api/preview":
            shown = self.previews if self.status["positions"] else self.flat_previews
            return 200, shown[body["action"]]
        self.ordered.append((path, body))
        if path in ("/api/halt", "/api/resume") and "deployment" in body:
            halted = next(item for item in self.status["deployments"] if item["name"] == body["deployment"])
            halted |= {"halted": path == "/api/halt", "halt_reason": body["reason"] if path == "/api/halt" else ""}
        elif path in ("/api/halt", "/api/resume"):
            self.status["halted"] = path == "/api/halt"
            self.status["halt_reason"] = body["reason"] if self.status["halted"] else ""
        if path.startswith("/api/alarms/"):
            self.status["alarms"] = [
                item for item in self.status["alarms"] if path != f"/api/alarms/{item['number']}/seen"
            ]
        if path == "/api/flatten":
            self.go_flat()
        if path == "/api/kill/ask":
            return 200, {"nonce": "word", "good_for_s": 30}
        if path == "/api/kill":
            self.kill()
        if path == "/api/manual":
            return 200, {"status": "accepted", "fate": "entered", "gate": "", "reason": "BUY 50 NIFTY near 104.35"}
        return 200, {"status": "done"}


@contextmanager
def fake_engine() -> Iterator[FakeEngine]:
    """Serve on a free port of 127.0.0.1 until the block ends."""
    fake = FakeEngine()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if fake.is_dead:
                self.close_connection = True
                return
            self._answer(*fake.read(self.path))

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])) or b"{}")
            if self.headers.get("X-Workbench-Token") != TOKEN:
                fake.wrong_tokens += 1
                self._answer(401, {"error": "X-Workbench-Token is missing or wrong", "field": "", "way_out": ""})
                return
            self._answer(*fake.write(self.path, body))

        def _answer(self, status: int, body: Any) -> None:
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    fake.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

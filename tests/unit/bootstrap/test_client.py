"""What the command line says where the engine refuses: what, where, and the way out, as a person reads it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from workbench.bootstrap.client import EngineClient
from workbench.core.errors import BadInput

REFUSALS = {
    "/whole": json.dumps({"error": "the price is old", "field": "timestamp", "way_out": "send {{timenow}}"}),
    "/short": json.dumps({"error": "timestamp is missing", "field": "timestamp", "way_out": ""}),
    "/strange": "<html>another program</html>",
    "/list": "[1]",
}


class Refusing(BaseHTTPRequestHandler):
    """Refuses each path in its own words."""

    def do_GET(self) -> None:
        """Answer."""
        self.send_response(422)
        self.end_headers()
        self.wfile.write(REFUSALS[self.path].encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def client(tmp_path: Path) -> Iterator[EngineClient]:
    with HTTPServer(("127.0.0.1", 0), Refusing) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield EngineClient(server.server_port, tmp_path)
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/whole", "the engine refused: the price is old (field timestamp); send {{timenow}}"),
        ("/short", "the engine refused: timestamp is missing"),
        ("/strange", "the engine refused: HTTP 422 <html>another program</html>"),
        ("/list", "the engine refused: HTTP 422 [1]"),
    ],
)
def test_a_refusal_of_the_engine_is_said_in_words(client: EngineClient, path: str, said: str) -> None:
    with pytest.raises(BadInput) as refused:
        client.get(path)
    assert str(refused.value) == said

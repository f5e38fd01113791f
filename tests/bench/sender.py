"""Sends one alert as bytes over a connection that is open already, and notes when its first byte left."""

from __future__ import annotations

import http.client
import json
import socket
import time
from dataclasses import dataclass
from typing import Any

SETTLE_S = 0.01


@dataclass(frozen=True, slots=True)
class Sent:
    """An alert that was answered; moments are of the machine's monotonic clock."""

    at_ns: int
    answered_ns: int
    status: int
    answer: Any


def send(port: int, path: str, body: dict[str, Any], timeout_s: float = 10.0) -> Sent:
    """Open a connection, wait until the other side has it, then send and read the answer."""
    content = json.dumps(body).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(content)}\r\nConnection: close\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", port), timeout=timeout_s) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        time.sleep(SETTLE_S)
        at = time.monotonic_ns()
        connection.sendall(head.encode() + content)
        reply = http.client.HTTPResponse(connection)
        reply.begin()
        text = reply.read()
        return Sent(at, time.monotonic_ns(), reply.status, json.loads(text) if text else None)


def get(port: int, path: str, timeout_s: float = 10.0) -> Any:
    """GET a JSON document."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)
    try:
        connection.request("GET", path)
        reply = connection.getresponse()
        text = reply.read()
    finally:
        connection.close()
    if reply.status != 200:
        raise OSError(f"GET {path} on port {port}: HTTP {reply.status} {text[:300]!r}")
    return json.loads(text)

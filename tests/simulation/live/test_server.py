"""The API on a real port of this machine: the webhook as a sender sees it, the push socket, a port that is taken."""

from __future__ import annotations

import asyncio
import json
import socket
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.simulation.live.rig import rig
from tests.simulation.live.test_api import LINK, side
from workbench.core.errors import BadInput
from workbench.live import webhook
from workbench.live.api import create_app
from workbench.live.server import ApiServer


def test_alerts_over_the_wire_and_status_pushed(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            await it.quotes()
            server = ApiServer(create_app(it.system), 0)
            await server.start()
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}", trust_env=False) as http:
                answers = await asyncio.gather(*(http.post(LINK, json=side()) for _ in range(20)))
                assert sorted(answer.json()["status"] for answer in answers) == ["accepted"] + ["duplicate"] * 19
            async with connect(f"ws://127.0.0.1:{server.port}/ws/tradingview", proxy=None) as push:
                status = json.loads(await push.recv())
                assert status["alerts"][0]["fate"] == "entered"
            with pytest.raises(InvalidStatus):
                async with connect(
                    f"ws://127.0.0.1:{server.port}/ws/tradingview",
                    proxy=None,
                    origin="https://evil.example",  # type: ignore[arg-type]
                ):
                    pass
            await server.stop()

    asyncio.run(run())


def test_a_body_that_never_comes_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook, "READ_LIMIT_S", 0.1)

    async def run() -> None:
        async with rig(tmp_path) as it:
            server = ApiServer(create_app(it.system), 0)
            await server.start()
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            head = f"POST {LINK} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 500\r\n\r\n{{"
            writer.write(head.encode())
            await writer.drain()
            async with asyncio.timeout(3):
                assert b"408" in await reader.readline()
            writer.close()
            await server.stop()

    asyncio.run(run())


def test_a_taken_port_is_a_refusal_with_a_way_out(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as other:
                other.bind(("127.0.0.1", 0))
                other.listen()
                with pytest.raises(BadInput, match="WORKBENCH_ENGINE_PORT"):
                    ApiServer(create_app(it.system), other.getsockname()[1])

    asyncio.run(run())


def test_it_listens_on_this_machine_only(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            server = ApiServer(create_app(it.system), 0)
            assert server._socket.getsockname()[0] == "127.0.0.1"
            await server.start()
            await server.stop()

    asyncio.run(run())

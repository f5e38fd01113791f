"""A control app of its own in front of a fake engine, and a page in a real browser."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, sync_playwright

from apps.control import launch
from tests.browser.fake_engine import TOKEN, FakeEngine, fake_engine


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[FakeEngine, str]]:
    """Give the fake engine and the address of the control app that looks at it."""
    folder = tmp_path_factory.mktemp("panel")
    with fake_engine() as fake, control_app(fake.port, folder) as url:
        yield fake, url


@pytest.fixture
def engine(served: tuple[FakeEngine, str]) -> FakeEngine:
    """Give the fake engine as it was recorded."""
    served[0].reset()
    return served[0]


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    # One a module: while it lives its event loop runs in this thread, and no other test may start one.
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield browser
        browser.close()


@contextmanager
def control_app(engine_port: int, folder: Path) -> Iterator[str]:
    """Start the control app as `workbench up` does, on a free port; ended when the block ends."""
    port = free_port()
    log = folder / "streamlit.log"
    env = {**os.environ, "WORKBENCH_ENGINE_PORT": str(engine_port), "WORKBENCH_ADMIN_TOKEN": TOKEN}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, launch.__file__, "--port", str(port)], env=env, cwd=folder, stdout=output, stderr=output
        )
        try:
            _wait(f"http://127.0.0.1:{port}/_stcore/health", process, log)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def free_port() -> int:
    """Give a port that was free a moment ago."""
    with socket.socket() as it:
        it.bind(("127.0.0.1", 0))
        port: int = it.getsockname()[1]
        return port


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 40
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(url, trust_env=False).is_success:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    pytest.fail("the control app did not come up:\n" + log.read_text(encoding="utf-8", errors="replace"))

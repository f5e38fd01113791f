"""The control page in front of the real thing: `workbench up`, a click, a position with its stop, flat again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.conftest import free_port

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(180)]

READY_S = 60.0
OVER = ("cancelled", "rejected", "expired", "not_sent", "abandoned")


@dataclass(frozen=True)
class Running:
    engine: str
    page: str


@pytest.fixture
def practice(tmp_path: Path) -> Iterator[Running]:
    engine, page, simulator = free_port(), free_port(), free_port()
    env = {
        **os.environ,
        "WORKBENCH_DATA": str(tmp_path / "data"),
        "WORKBENCH_ENGINE_PORT": str(engine),
        "WORKBENCH_PANEL_PORT": str(page),
        "WORKBENCH_SIMULATOR_PORT": str(simulator),
    }
    log = tmp_path / "up.log"
    command = [sys.executable, "-m", "workbench", "up", "--mode", "practice", "--seed", "7", "--speed", "20"]
    flags = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, env=env, cwd=tmp_path, stdout=output, stderr=output, stdin=subprocess.DEVNULL, creationflags=flags
        )
        try:
            _wait_ready(f"http://127.0.0.1:{engine}/health", process, log)
            yield Running(f"http://127.0.0.1:{engine}", f"http://127.0.0.1:{page}")
        finally:
            process.send_signal(getattr(signal, "CTRL_BREAK_EVENT", signal.SIGINT))
            process.wait(40)


def _wait_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            health = httpx.get(url, trust_env=False).json()
            if health["ready"] and health["market_open"]:
                return
        except (httpx.TransportError, ValueError):
            pass
        time.sleep(0.2)
    pytest.fail("the practice day did not open:\n" + log.read_text(encoding="utf-8", errors="replace"))


def test_a_click_becomes_a_protected_position_and_flatten_ends_it(practice: Running, browser: Browser) -> None:
    page = browser.new_page(viewport={"width": 1180, "height": 900})
    page.set_default_timeout(30_000)
    _open(page, practice.page)
    buy = page.get_by_role("button", name="BUY CE")
    expect(buy).to_be_enabled(timeout=30_000)
    expect(page.get_by_text("worst loss at the stop").first).to_be_visible()
    clicks = _buy_until_held(practice, buy)
    expect(page.get_by_text("at Dhan (simulated)")).to_be_visible(timeout=20_000)
    expect(page.get_by_text("priced: model").first).to_be_visible()
    (held,) = httpx.get(practice.engine + "/live/positions", trust_env=False).json()
    expect(page.get_by_text(f"order {held['stop_order_id']}")).to_be_visible()
    page.get_by_role("button", name="HALT").click()
    expect(page.get_by_role("button", name="RESUME")).to_be_visible()
    page.get_by_role("button", name="FLATTEN").click()
    page.get_by_role("button", name="YES, FLATTEN").click()
    expect(page.get_by_text("Flat: no position")).to_be_visible(timeout=20_000)
    status = httpx.get(practice.engine + "/api/status", trust_env=False).json()
    assert status["positions"] == []
    assert status["halted"]
    assert status["trades_used"] == clicks
    page.close()


def _buy_until_held(practice: Running, buy: Locator) -> int:
    """Click, and click again where the market has run away from the order; gives the number of clicks."""
    orders: list[dict[str, Any]] = []
    for clicks in range(1, 4):
        expect(buy).to_be_enabled(timeout=30_000)
        buy.click()
        deadline, is_over = time.monotonic() + 20, False
        while time.monotonic() < deadline and not is_over:
            orders = httpx.get(practice.engine + "/live/orders", trust_env=False).json()
            positions = httpx.get(practice.engine + "/live/positions", trust_env=False).json()
            if any(each["units"] for each in positions):
                return clicks
            is_over = len(orders) == clicks and orders[-1]["state"] in OVER
            time.sleep(0.1)
        assert is_over, f"neither held nor over: {orders}"
    pytest.fail(f"nothing was filled: {orders}")


def _open(page: Page, url: str) -> None:
    """Open the page as soon as the app serves it."""
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline:
        try:
            if httpx.get(url + "/_stcore/health", trust_env=False).is_success:
                break
        except httpx.TransportError:
            time.sleep(0.2)
    page.goto(url)

"""Fixtures of all tests: a data folder of their own, the real data beside the repository, a browser."""

from __future__ import annotations

import gc
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared" / "data"
OF_THE_USER = (
    "DHAN_CLIENT_ID",
    "DHAN_ACCESS_TOKEN",
    "DHAN_PIN",
    "DHAN_TOTP_SECRET",
    "WORKBENCH_NOTIFY_URLS",
    "WORKBENCH_DHAN_URL",
    "WORKBENCH_ADMIN_TOKEN",
    "WORKBENCH_ENGINE_PORT",
    "WORKBENCH_PANEL_PORT",
    "WORKBENCH_SIMULATOR_PORT",
)
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
BROWSER_FILES = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "C:/Program Files/Google/Chrome/Application/chrome.exe",
    "C:/Program Files (x86)/Microsoft/Edge/Application/msedge.exe",
)

# Shared machines stall: a slow example is no failure, and CI draws the same examples every time.
settings.register_profile("workbench", deadline=None, derandomize=os.environ.get("CI") == "true", print_blob=True)
settings.load_profile("workbench")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take long: whoever of two workers met one of them last would end alone."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


def pytest_collection_finish() -> None:
    """What was imported stays: the collector of garbage need not look through it again and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _nothing_of_the_user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep tests away from the user's data, secrets and ports."""
    with pytest.MonkeyPatch.context() as patch:
        for name in OF_THE_USER:
            patch.delenv(name, raising=False)
        patch.setenv("WORKBENCH_DATA", str(tmp_path_factory.mktemp("workbench-data")))
        yield


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Give the folder of real data beside the repository; without it the test is skipped."""
    if not SHARED.is_dir():
        pytest.skip("no real data beside the repository (../shared/data)")
    return SHARED


@pytest.fixture(scope="session")
def chromium() -> str:
    """Give the path of a Chromium; without one the test is skipped, but fails under CI=true."""
    named = os.environ.get("WORKBENCH_CHROMIUM")
    found = named or next((path for name in BROWSERS if (path := shutil.which(name))), None)
    found = found or next((file for file in BROWSER_FILES if Path(file).is_file()), None)
    if found is None and os.environ.get("CI") == "true":
        pytest.fail("no Chromium on this machine, and CI=true wants the browser tests")
    if found is None:
        pytest.skip("no Chromium on this machine (WORKBENCH_CHROMIUM may name one)")
    return found

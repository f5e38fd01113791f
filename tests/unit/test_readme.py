"""The documents tell the truth: their commands parse, their links lead somewhere, their alert texts are read."""

from __future__ import annotations

import re
import shlex
from datetime import datetime
from pathlib import Path

import pytest

from workbench.bootstrap.pine import alert_texts
from workbench.cli import build_parser
from workbench.core.deployment import Deployment
from workbench.core.plan import NAMED_PLANS
from workbench.live.payloads import SidePayload, TargetPayload, read_payload

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "data" / "README.md"]
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)\)")
INSTALLING = (
    "py -3.11 -m venv .venv",
    "python -m pip install --require-hashes -r requirements.lock",
    "python -m pip install --no-deps --no-build-isolation -e .",
    "python -m pytest -q",
)


def commands() -> list[tuple[str, str]]:
    found = []
    for page in PAGES:
        for language, body in FENCED.findall(page.read_text(encoding="utf-8")):
            if language in ("sh", "powershell"):
                found += [(page.name, line) for line in body.splitlines() if line.strip()]
    return found


@pytest.mark.parametrize(("page", "line"), commands())
def test_every_command_of_the_documents_is_one_that_exists(page: str, line: str) -> None:
    words = shlex.split(line.replace("\\", "/"), comments=True)
    words[0] = words[0].removeprefix(".venv/bin/").removeprefix(".venv/Scripts/")
    if words[0] == "workbench":
        assert hasattr(build_parser().parse_args(words[1:]), "command")
    elif words[0] == "make":
        makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
        assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in words[1:])
    else:
        assert " ".join(words) in INSTALLING, f"{page}: {line} is neither of ours nor of the installation"


def test_the_installation_agrees_with_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for part in ("--require-hashes -r requirements.lock", "--no-deps --no-build-isolation -e ."):
        assert part in makefile
    assert "workbench up --mode practice --seed 7 --speed 60" in makefile


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


def alert_lines() -> list[str]:
    plan = NAMED_PLANS["scalp_atm"]
    text = alert_texts(Deployment(name="SCALP_ATM", symbol="NIFTY", plan=plan, webhook_link="link"), "http://x")
    return [line for line in text.splitlines() if line.startswith("{")]


def test_the_alert_texts_of_the_document_are_those_that_are_printed() -> None:
    page = (ROOT / "docs" / "tradingview.md").read_text(encoding="utf-8")
    shown = [body.strip() for language, body in FENCED.findall(page) if language == "json"]
    assert shown == alert_lines()


def test_the_alert_texts_are_read_once_tradingview_has_filled_them() -> None:
    filled = {
        "{{strategy.market_position}}": "long",
        "{{strategy.prev_market_position}}": "flat",
        "{{strategy.order.id}}": "Close entry(s) order Long",  # as TradingView itself names an exit
        "{{timenow}}": "2026-09-28T04:05:06Z",
        "{{interval}}": "5",
        "{{close}}": "23350.15",
    }
    read = []
    for line in alert_lines():
        for placeholder, value in filled.items():
            line = line.replace(placeholder, value)  # noqa: PLW2901 - filled step by step
        assert "{{" not in line
        read.append(read_payload(line.encode()))
    assert [type(item) for item in read] == [TargetPayload, SidePayload, SidePayload]
    moments = {item.timestamp for item in read if isinstance(item, TargetPayload | SidePayload)}
    assert moments == {datetime.fromisoformat("2026-09-28T04:05:06Z")}
    assert len({item.id for item in read}) == 3

"""The control page in a real browser, in front of an engine that answers as the real one was recorded."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.fake_engine import FakeEngine

pytestmark = pytest.mark.browser

FLATTEN = re.compile("^FLATTEN")
PHONE = {"width": 390, "height": 844}


@pytest.fixture
def page(browser: Browser, engine: FakeEngine, served: tuple[FakeEngine, str]) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 1180, "height": 900})
    page.set_default_timeout(20_000)
    page.goto(served[1])
    page.get_by_text("Last alerts").wait_for()
    yield page
    page.close()


def wait_until(happened: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 10
    while not happened():
        assert time.monotonic() < deadline, f"did not happen: {what}"
        time.sleep(0.05)


def test_the_position_is_seen_with_its_stop_and_its_mark(page: Page) -> None:
    for text in ("PRACTICE", "85.15 · at Dhan (simulated) · order o2", "priced: model", "= 50 units"):
        expect(page.get_by_text(text).first).to_be_visible()
    expect(page.get_by_text("NIFTY 16 JUN 15700 CALL").first).to_be_visible()
    expect(page.get_by_text("+₹168.11").first).to_be_visible()


def test_the_page_follows_the_engine_each_second(page: Page, engine: FakeEngine) -> None:
    engine.status["now"] = "2022-06-15T11:22:33+05:30"
    engine.status["positions"][0]["pnl"] = -321.5
    expect(page.get_by_text("11:22:33")).to_be_visible(timeout=5_000)
    expect(page.get_by_text("-₹321.50").first).to_be_visible(timeout=5_000)


def test_p13_an_alarm_stays_on_the_page_until_somebody_has_seen_it(page: Page, engine: FakeEngine) -> None:
    engine.status["alarms"] = [
        {"number": 7, "text": "no stop *at* <b>Dhan</b>", "at": "2022-06-15T09:33:00", "times": 3}
    ]
    shown = page.get_by_text("no stop *at* <b>Dhan</b> (3 times)")
    expect(shown).to_be_visible(timeout=5_000)
    page.get_by_role("button", name="Seen").click()
    expect(shown).to_be_hidden()
    assert [path for path, _ in engine.ordered] == ["/api/alarms/7/seen"]


def test_halt_reaches_the_engine_once_and_becomes_resume(page: Page, engine: FakeEngine) -> None:
    page.get_by_role("button", name="HALT").click()
    expect(page.get_by_role("button", name="RESUME")).to_be_visible()
    expect(page.get_by_text("HALTED: control app")).to_be_visible()
    assert [path for path, _ in engine.ordered] == ["/api/halt"]
    assert engine.wrong_tokens == 0


def test_one_deployment_is_halted_alone_and_allowed_again(page: Page, engine: FakeEngine) -> None:
    name = engine.status["deployments"][1]["name"]
    page.get_by_role("button", name="stop entries").nth(1).click()
    expect(page.get_by_role("button", name="allow entries")).to_be_visible()
    expect(page.get_by_text("HALTED — control app")).to_be_visible()
    expect(page.get_by_role("button", name="HALT", exact=True)).to_be_visible()
    page.get_by_role("button", name="allow entries").click()
    expect(page.get_by_role("button", name="allow entries")).to_be_hidden()
    assert [(path, body["deployment"]) for path, body in engine.ordered] == [("/api/halt", name), ("/api/resume", name)]


def test_kill_asks_once_more_brings_the_engine_s_word_back_and_shows_how_far_it_is(
    page: Page, engine: FakeEngine
) -> None:
    page.get_by_role("button", name=re.compile("^KILL")).click()
    sure = page.get_by_role("button", name="YES, KILL")
    expect(sure).to_be_enabled()
    assert engine.ordered == []
    sure.click()
    expect(page.get_by_text("waiting until the broker shows a flat account")).to_be_visible()
    assert [path for path, _ in engine.ordered] == ["/api/kill/ask", "/api/kill"]
    assert engine.ordered[1][1]["nonce"] == "word"
    engine.status["kill"]["state"] = "failed"
    engine.status["kill"]["steps"][2] |= {"state": "failed", "text": "not flat after 60 s: order 7 rests"}
    engine.status["kill"]["must_do"] = "Close what is named in the broker's own app"
    expect(page.get_by_text("KILL SWITCH NOT DONE")).to_be_visible(timeout=5_000)
    expect(page.get_by_text("order 7 rests")).to_be_visible()


def test_w21_in_live_the_kill_switch_needs_a_tick_before_its_yes(page: Page, engine: FakeEngine) -> None:
    engine.status["mode"] = "live"
    expect(page.get_by_text("LIVE", exact=True)).to_be_visible(timeout=5_000)
    page.get_by_role("button", name=re.compile("^KILL")).click()
    sure = page.get_by_role("button", name="YES, KILL")
    expect(sure).to_be_disabled()
    page.get_by_text("LIVE: I am done trading for today").click()
    expect(sure).to_be_enabled()
    assert engine.ordered == []


def test_flatten_asks_once_more_and_then_reaches_the_engine(page: Page, engine: FakeEngine) -> None:
    page.get_by_role("button", name=FLATTEN).click()
    sure = page.get_by_role("button", name="YES, FLATTEN 1 NOW")
    expect(sure).to_be_visible()
    assert engine.ordered == []
    sure.click()
    wait_until(lambda: bool(engine.ordered), "flatten")
    expect(page.get_by_text("Flat: no position")).to_be_visible()
    expect(page.get_by_role("button", name="YES, FLATTEN")).to_be_hidden()
    assert [path for path, _ in engine.ordered] == ["/api/flatten"]


def test_a_flatten_that_is_not_meant_does_nothing(page: Page, engine: FakeEngine) -> None:
    page.get_by_role("button", name=FLATTEN).click()
    expect(page.get_by_role("button", name="YES, FLATTEN 1 NOW")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="YES, FLATTEN 1 NOW")).to_be_hidden()
    assert engine.ordered == []


def test_a_test_button_says_what_it_does_and_does_it_once(page: Page, engine: FakeEngine) -> None:
    expect(page.get_by_role("button", name="BUY CE")).to_be_disabled()
    engine.go_flat()
    expect(page.get_by_role("button", name="BUY CE")).to_be_enabled()
    for text in ("cost ₹5,217.50", "stop 89.35", "worst loss at the stop ₹805.65"):
        expect(page.get_by_text(text).first).to_be_visible()
    page.get_by_role("button", name="BUY CE").click()
    wait_until(lambda: bool(engine.ordered), "the press")
    expect(page.get_by_text("BUY CE for SCALP_ATM taken")).to_be_visible()
    assert engine.ordered == [("/api/manual", {"action": "BUY_CE", "deployment": "SCALP_ATM"})]


def test_in_live_a_test_button_waits_for_a_word_on_real_money(page: Page, engine: FakeEngine) -> None:
    engine.status["mode"] = "live"
    engine.go_flat()
    expect(page.get_by_text("real money: orders go to Dhan")).to_be_visible()
    expect(page.get_by_role("button", name="BUY CE")).to_be_disabled()
    page.get_by_text("LIVE: a click buys or sells with real money").click()
    expect(page.get_by_role("button", name="BUY CE")).to_be_enabled()


def test_a_position_without_a_stop_cannot_be_overlooked(page: Page, engine: FakeEngine) -> None:
    held = engine.status["positions"][0]
    held |= {"protection": "none", "stop": None}
    engine.status["naked"] = [held["id"]]
    expect(page.get_by_text("WITHOUT A STOP")).to_be_visible()
    expect(page.get_by_text("NONE · nothing limits this loss")).to_be_visible()


def test_a_dead_engine_is_told_loudly_and_old_figures_are_called_old(page: Page, engine: FakeEngine) -> None:
    engine.is_dead = True
    expect(page.get_by_text("ENGINE UNREACHABLE")).to_be_visible()
    expect(page.get_by_text("What is below is OLD")).to_be_visible()
    expect(page.get_by_role("button", name=FLATTEN)).to_be_visible()
    engine.is_dead = False
    expect(page.get_by_text("ENGINE UNREACHABLE")).to_be_hidden()


@pytest.mark.parametrize("trouble", [False, True])
def test_on_a_phone_nothing_runs_over_the_side_and_the_switches_stay_in_view(
    page: Page, engine: FakeEngine, trouble: bool
) -> None:
    if trouble:
        engine.status |= {"naked": ["P1"], "frozen": ["broker holds " + "NIFTY25JUN15700CE" * 5], "mode": "live"}
    page.set_viewport_size({"width": PHONE["width"], "height": PHONE["height"]})
    page.wait_for_timeout(1_500)
    main = "document.querySelector('[data-testid=stMain]')"
    assert page.evaluate(f"Math.max(document.documentElement.scrollWidth, {main}.scrollWidth)") <= PHONE["width"]
    page.evaluate(f"{main}.scrollTo(0, {main}.scrollHeight)")
    page.wait_for_timeout(300)
    expect(page.get_by_role("button", name="HALT")).to_be_in_viewport(ratio=1)
    expect(page.get_by_role("button", name=FLATTEN)).to_be_in_viewport(ratio=1)

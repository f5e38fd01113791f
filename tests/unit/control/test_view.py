"""The page's words: honest about stops, unknowns and dead lines; fixed on a status recorded from the real engine."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from apps.control import view, words
from apps.control.words import Tone

RECORDED = Path(__file__).resolve().parents[2] / "browser" / "recorded.json"


@pytest.fixture
def status() -> dict[str, Any]:
    body: dict[str, Any] = json.loads(RECORDED.read_text(encoding="utf-8"))["status"]
    return body


def texts(status: dict[str, Any], orders: list[dict[str, Any]] | None = None) -> str:
    return "\n".join(item.text for item in view.banners(status, orders or []))


def test_a_healthy_day_has_no_banner(status: dict[str, Any]) -> None:
    assert view.banners(status) == ()


@pytest.mark.parametrize(("mode", "word"), [("practice", "PRACTICE"), ("paper", "PAPER"), ("live", "LIVE")])
def test_the_mode_is_a_word_and_a_colour(status: dict[str, Any], mode: str, word: str) -> None:
    head = view.head({**status, "mode": mode})
    assert (head.mode, head.mode_key) == (word, mode)


def test_a_dry_run_of_live_says_that_nothing_is_sent(status: dict[str, Any]) -> None:
    shown = view.head(status | {"mode": "live", "dry_run": True})
    assert (shown.mode, shown.mode_key) == ("LIVE, DRY RUN", "live")
    assert "none is sent" in shown.meaning
    assert view.head(status | {"mode": "live", "dry_run": False}).mode == "LIVE"


def test_an_unknown_mode_is_taken_as_live(status: dict[str, Any]) -> None:
    head = view.head({**status, "mode": "turbo"})
    assert head.mode_key == "live"
    assert "take it as live" in head.meaning


def test_the_countdown_runs_to_last_entry_and_square_off(status: dict[str, Any]) -> None:
    last, square_off = view.head(status).countdowns
    assert (last.label, last.value) == ("last entry 15:10", "in 5 h 36 m")
    assert (square_off.label, square_off.value) == ("square-off 15:16", "in 5 h 42 m")


def test_a_turning_point_that_is_past_says_so(status: dict[str, Any]) -> None:
    status["phase"]["last_entry_in_s"] = None
    assert view.head(status).countdowns[0].value == "past"


def test_before_the_open_the_open_is_counted_down_too(status: dict[str, Any]) -> None:
    status["phase"] |= {"name": "before_open", "open_in_s": 30}
    assert view.head(status).countdowns[0].value == "in 30 s"


def test_the_position_shows_its_stop_with_price_order_and_place(status: dict[str, Any]) -> None:
    (card,) = view.screen(status).positions
    assert card.stop == r"85.15 · at Dhan (simulated) · order o2"
    assert card.stop_tone is Tone.GOOD
    assert card.size == r"BUY 1 lot = 50 units · SCALP\_ATM"
    assert card.pnl == "+₹168.11"
    assert card.pnl_points == "+3.90 pts"
    shown = {item.label: item.value for item in card.figures}
    assert shown == {
        "entry": "100.15",
        "bid / ask": "104.05 / 104.35",
        "target": "130.15",
        "at risk to the stop, before charges": "₹750.00",
        "held": "3.5 min",
    }


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({}, "130.15"),
        ({"target": None}, "none"),
        ({"target_order_id": "77"}, "130.15 · at the broker beside the stop · order 77"),
        ({"protection_rule": "stop_and_target"}, "130.15 · watched here"),
        ({"protection_rule": "super_order", "target_watched_for": "cancelled"}, "130.15 · watched here: cancelled"),
        (
            {"protection_rule": "stop_and_target", "target_watched_for": "free funds are not known"},
            "130.15 · watched here: free funds are not known",
        ),
    ],
)
def test_a_target_is_shown_where_it_is(status: dict[str, Any], change: dict[str, Any], line: str) -> None:
    assert view.target_line({**status["positions"][0], **change}) == line


@pytest.mark.parametrize(
    ("change", "word", "tone"),
    [
        ({"protection": "none"}, "NONE", Tone.BAD),
        ({"protection": "at_broker", "stop": None}, "NONE", Tone.BAD),
        ({"protection": "something new"}, "NONE", Tone.BAD),
        ({"protection": "watched"}, "watched by this engine only", Tone.WARN),
        ({"protection": "pending", "stop_order_id": ""}, "not confirmed · order no order id yet", Tone.WARN),
        ({"state": "exiting"}, "leaving now", Tone.WARN),
        ({"units": 0}, "no fill yet", Tone.WARN),
    ],
)
def test_a_stop_is_never_shown_better_than_it_is(
    status: dict[str, Any], change: dict[str, Any], word: str, tone: Tone
) -> None:
    line, shown = view.stop_line({**status["positions"][0], **change}, "practice")
    assert word in line
    assert shown is tone


def test_only_live_says_at_dhan_without_a_bracket(status: dict[str, Any]) -> None:
    assert "at Dhan ·" in view.stop_line(status["positions"][0], "live")[0]
    assert "(simulated)" in view.stop_line(status["positions"][0], "paper")[0]


def test_model_prices_and_the_synthetic_instrument_are_marked(status: dict[str, Any]) -> None:
    held = status["positions"][0]
    assert "priced: model" in view.position_card(held, "practice").marks[0].replace("\\", "")
    marks = view.position_card({**held, "key": "IDX_I:NIFTY:index_as_future"}, "practice").marks
    assert any("synthetic" in mark for mark in marks)
    assert view.position_card({**held, "priced_by_model": False}, "practice").marks == ()


def test_a_position_without_prices_is_unknown_and_not_zero(status: dict[str, Any]) -> None:
    card = view.position_card(
        {**status["positions"][0], "pnl": None, "bid": None, "ask": None, "at_risk": None}, "live"
    )
    assert card.pnl == "unknown"
    assert card.tone is Tone.WARN
    assert {item.label: item.value for item in card.figures}["bid / ask"] == "unknown / unknown"


def test_a_naked_position_is_the_first_banner(status: dict[str, Any]) -> None:
    status |= {"naked": ["P1"], "halted": True, "feed": {"alive": False, "reason": "no quote for 9 s"}}
    first = view.banners(status)[0]
    assert first.tone is Tone.BAD
    assert "WITHOUT A STOP" in first.text
    assert "FLATTEN" in first.text


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"feed": {"alive": False, "reason": "no quote for 9 s"}}, "MARKET DATA IS DEAD"),
        ({"feed": {}}, "MARKET DATA IS DEAD"),
        ({"order_socket": {"up": False, "reason": "lost"}}, "Order socket is down"),
        ({"ready": False, "reason": "starting"}, "ENGINE NOT READY"),
        ({"halted": True, "halt_reason": "daily loss"}, "HALTED"),
        ({"frozen": ["broker holds 50 more"]}, "ACCOUNT FROZEN"),
        ({"faults": ["ValueError in handle"]}, "FAULT IN THE ENGINE"),
    ],
)
def test_every_trouble_has_its_banner(status: dict[str, Any], change: dict[str, Any], word: str) -> None:
    assert word in texts({**status, **change})


def test_an_order_without_an_answer_is_shown_as_unknown(status: dict[str, Any]) -> None:
    order = {"state": "unknown", "purpose": "entry", "side": "BUY", "quantity": 50, "instrument": "NIFTY CALL"}
    assert "ORDER UNKNOWN" in texts(status, [order])
    assert "never sent again" in texts(status, [order])
    assert texts(status, [{**order, "state": "filled"}]) == ""


@pytest.mark.parametrize(("used", "share", "tone"), [(0.0, 0.0, Tone.GOOD), (60, 0.6, Tone.WARN), (130, 1.0, Tone.BAD)])
def test_the_bar_is_the_share_of_the_loss_limit(status: dict[str, Any], used: float, share: float, tone: Tone) -> None:
    status["limits"]["loss_used_pct"] = used
    money = view.day_money(status)
    assert (money.bar_share, money.bar_tone) == (share, tone)
    assert "₹10,000" in money.bar_text


def test_the_lines_tell_feed_age_socket_token_and_last_alert(status: dict[str, Any]) -> None:
    shown = {item.label: item.value for item in view.lines(status)}
    assert shown == {
        "feed": "0.4 s old",
        "order socket": "up",
        "Dhan token": "not needed",
        "last alert": "3:30 min ago",
    }
    late = {item.label: item for item in view.lines({**status, "mode": "live", "token_hours_left": 1.5})}
    assert (late["Dhan token"].value, late["Dhan token"].tone) == ("1.5 h left", Tone.WARN)
    assert {item.label: item.value for item in view.lines({**status, "mode": "live"})}["Dhan token"] == "unknown"


def test_each_alert_has_one_line_why(status: dict[str, Any]) -> None:
    newest, entered, refused, nothing = view.screen(status).alerts
    assert newest.fate == "ignored"
    assert "one" in newest.why
    assert "held already" in newest.why
    assert (entered.fate, entered.tone) == ("entered", Tone.GOOD)
    assert "stale" in refused.why
    assert nothing.fate == "nothing to exit"


def test_a_deployment_that_is_not_armed_says_why(status: dict[str, Any]) -> None:
    scalp, ema = view.screen(status).deployments
    assert (scalp.word, ema.word) == ("armed", "NOT ARMED")
    assert "12 of 120 verified bars" in ema.why.replace("\\", "")


def test_notices_are_shown_newest_first_and_an_unknown_level_is_taken_as_bad(status: dict[str, Any]) -> None:
    told = [{"level": level, "text": level} for level in ("info", "warning", "alarm", "new level")]
    shown = view.screen({**status, "notices": told}).notices
    assert [item.tone for item in shown] == [Tone.BAD, Tone.BAD, Tone.WARN, Tone.PLAIN]
    assert shown[0].text == "new level"


def test_a_status_of_nothing_is_all_unknown_and_does_not_fall() -> None:
    shown = view.screen({})
    assert shown.head.clock == "unknown"
    assert shown.money.net == "unknown"
    assert any("NOT READY" in item.text for item in shown.banners)


def test_text_of_others_is_harmless(status: dict[str, Any]) -> None:
    alert = copy.deepcopy(status["alerts"][0])
    alert["reason"] = "**bold** [x](http://evil) <b>:red[x] $1$ `code`"
    (line,) = view.screen({**status, "alerts": [alert]}).alerts
    for mark in ("**bold", "[x](", "<b>", ":red[", "$1$", "`code`"):
        assert mark not in line.why


def test_an_unreachable_engine_is_told_with_the_way_out() -> None:
    banner = view.stopped_screen("nobody answers", since_s=12, had_positions=1)
    assert banner.tone is Tone.BAD
    for word in ("UNREACHABLE for 12 s", "1 open position", "Dhan's own app", "workbench up"):
        assert word in banner.text
    assert "not known" in view.stopped_screen("x", since_s=1, had_positions=None).text


@pytest.mark.parametrize(
    ("value", "text"), [(None, "unknown"), (-1234567.5, "-₹12,34,567.50"), (-0.001, "₹0.00"), (168.11, "+₹168.11")]
)
def test_rupees(value: float | None, text: str) -> None:
    assert words.rupees(value, sign=True) == text


@pytest.mark.parametrize(("seconds", "text"), [(None, "unknown"), (8, "8 s"), (245, "4:05 min"), (7800, "2 h 10 m")])
def test_durations(seconds: float | None, text: str) -> None:
    assert words.duration(seconds) == text

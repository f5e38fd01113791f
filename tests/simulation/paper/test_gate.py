"""The gate before live, part by part: places, sentence, sessions, lots, hours, holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.simulation.paper.running import NAME, SENTENCE, deploy
from workbench.bootstrap import live_start
from workbench.bootstrap.live_start import LiveVenue, Permit, open_positions, permit
from workbench.bootstrap.paper import PaperVenue
from workbench.bootstrap.places import Places
from workbench.bootstrap.practice import PracticeVenue
from workbench.bootstrap.venue import Venue
from workbench.bootstrap.venues import journal_name
from workbench.config import Config, Secrets
from workbench.core.errors import BadInput, UnknownSession
from workbench.core.plan import NAMED_PLANS, plan_from_mapping
from workbench.core.session import IST
from workbench.live.system import FeedWatch

CONFIG = Config.model_validate({"secrets": {"dhan_client_id": "1000000001"}})
SENDING = Config.model_validate({"dhan": {"dry_run": False}, "secrets": {"dhan_client_id": "1000000001"}})
LIVE = Permit(sentence=SENTENCE, held=0)


def fixed(moment: datetime) -> Callable[[], Any]:
    return lambda: SimpleNamespace(now=lambda: moment)


def test_without_a_variable_the_places_are_dhans_own() -> None:
    places = Places.of_environment({})
    assert places == Places.dhan()
    assert not places.is_simulated
    for address in (places.rest, places.auth, places.master):
        assert address.startswith("https://") and "dhan.co/" in address + "/"
    assert {places.feed[:6], places.updates[:6]} == {"wss://"}


def test_a_simulator_of_this_machine_may_stand_in_for_dhan() -> None:
    places = Places.of_environment({"WORKBENCH_DHAN_URL": "http://127.0.0.1:18800/"})
    assert (places.rest, places.feed) == ("http://127.0.0.1:18800/v2", "ws://127.0.0.1:18800/feed")
    assert places.is_simulated


@pytest.mark.parametrize(
    "named",
    [
        "https://127.0.0.1:1", "http://example.org:80", "http://127.0.0.1", "http://127.0.0.1:99999", "127.0.0.1:8800",
        "http://127.0.0.1.example.org:80", "http://user:word@127.0.0.1:80", "http://127.0.0.1:80/v2", "http://0.0.0.0:80",
        "http://127.0.0.1:80?x=1",
    ],
)  # fmt: skip
def test_i6_no_other_host_may_stand_in_for_dhan(named: str) -> None:
    with pytest.raises(BadInput, match="only a simulator on this machine"):
        Places.of_environment({"WORKBENCH_DHAN_URL": named})


def test_p11_names_prefixes_and_journals_differ_between_the_modes(tmp_path: Path) -> None:
    venues: list[Venue] = [
        PracticeVenue(CONFIG, tmp_path),
        PaperVenue(CONFIG, tmp_path, Places.dhan()),
        LiveVenue(CONFIG, tmp_path, LIVE, Places.dhan()),
    ]
    assert len({venue.account_id for venue in venues}) == 3
    assert [venue.id_prefix[0] for venue in venues] == ["p", "q", "l"]
    assert len({journal_name(venue.mode) for venue in venues}) == 3


def test_the_default_is_a_dry_run(tmp_path: Path) -> None:
    assert LiveVenue(CONFIG, tmp_path, LIVE, Places.dhan()).dry_run


def test_the_sentence_is_taken_whatever_its_spaces(tmp_path: Path) -> None:
    assert permit(CONFIG, tmp_path, f"  {SENTENCE} ") == LIVE
    for wrong in ("yes", SENTENCE.lower(), SENTENCE + "!"):
        with pytest.raises(BadInput, match="is not right"):
            permit(CONFIG, tmp_path, wrong)


def test_live_without_a_client_id_says_where_to_set_it(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="DHAN_CLIENT_ID"):
        permit(Config(secrets=Secrets()), tmp_path, SENTENCE)


def test_paper_without_a_client_id_says_where_to_set_it(tmp_path: Path) -> None:
    deploy(tmp_path, "paper")
    with pytest.raises(BadInput, match="DHAN_CLIENT_ID"):
        PaperVenue(Config(secrets=Secrets()), tmp_path, Places.dhan()).choose()


def test_a_year_without_sessions_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workbench.bootstrap.dhan_venue.TrustedClock", fixed(datetime(2031, 3, 3, 10, tzinfo=IST)))
    with pytest.raises(UnknownSession, match=r"sessions\.py"):
        LiveVenue(CONFIG, tmp_path, LIVE, Places.dhan()).begin()


def test_p11_with_an_open_position_a_failed_gate_takes_entries_only(tmp_path: Path) -> None:
    deploy(tmp_path, "live", key_sha256="")
    with pytest.raises(BadInput, match="no alert key"):
        LiveVenue(CONFIG, tmp_path, LIVE, Places.dhan()).choose()
    sending = Config.model_validate({"dhan": {"dry_run": False}, "secrets": {"dhan_client_id": "1000000001"}})
    venue = LiveVenue(sending, tmp_path, Permit(sentence=SENTENCE, held=1), Places.dhan())
    assert [item.name for item in venue.choose()] == [NAME]
    assert ["no alert key" in reason for reason in venue._exits_only] == [True]


def test_a_day_whose_hours_are_not_confirmed_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    session = SimpleNamespace(times_confirmed=False)
    monkeypatch.setattr(live_start, "calendar", lambda: SimpleNamespace(session=lambda *_: session))
    with pytest.raises(BadInput, match="not confirmed"):
        LiveVenue(CONFIG, tmp_path, LIVE, Places.dhan()).begin()


@pytest.mark.parametrize(("sessions", "lots"), [(0, 1), (4, 1), (5, 3), (9, 3)])
def test_one_lot_in_the_first_five_sessions(
    sessions: int, lots: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    deploy(tmp_path, "live", plan=_three_lots())
    monkeypatch.setattr(live_start, "_fills_by_session", lambda *_: [{NAME}] * sessions + [{"ANOTHER"}] * 7)
    chosen = LiveVenue(CONFIG, tmp_path, LIVE, Places.dhan()).choose()
    assert [item.plan.lots for item in chosen] == [lots]
    assert ("one lot" in capsys.readouterr().out) is (lots == 1)


def test_a_share_of_risk_is_one_lot_too_while_new(tmp_path: Path) -> None:
    deploy(tmp_path, "live", plan=replace(NAMED_PLANS["scalp_atm"], lots=None, risk_share_pct=Decimal(1)))
    (chosen,) = LiveVenue(CONFIG, tmp_path, LIVE, Places.dhan()).choose()
    assert (chosen.plan.lots, chosen.plan.risk_share_pct) == (1, None)


@pytest.mark.parametrize("held", [0, 1])
def test_shares_by_their_worth_are_one_share_while_new(held: int, tmp_path: Path) -> None:
    worth = {"contract": "underlying", "value": 50000, "exits": {"stop": "2%"}}
    deploy(tmp_path, "live", plan=plan_from_mapping(worth))
    (chosen,) = LiveVenue(SENDING, tmp_path, replace(LIVE, held=held), Places.dhan()).choose()
    assert (chosen.plan.lots, chosen.plan.value) == (1, None)


def test_legs_come_down_together_while_new_and_a_hedge_keeps_its_ratio(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bought = {"right": "CE", "strike": "OTM4", "lots": 10}
    sold = {"side": "SELL", "right": "CE", "strike": "OTM1", "lots": 5, "exits": {"stop": "80%"}}
    deploy(tmp_path, "live", plan=plan_from_mapping({"lots": 3, "legs": [bought, sold]}))
    (chosen,) = LiveVenue(CONFIG, tmp_path, LIVE, Places.dhan()).choose()
    assert (chosen.plan.lots, [leg.lots for leg in chosen.plan.legs]) == (1, [2, 1])
    assert "legs of 2, 1 lots" in capsys.readouterr().out


def test_a_leg_of_five_lots_is_one_lot_while_new(tmp_path: Path) -> None:
    leg = {"strike": "ATM", "lots": 5, "exits": {"stop": "20%"}}
    deploy(tmp_path, "live", plan=plan_from_mapping({"legs": [leg]}))
    (chosen,) = LiveVenue(CONFIG, tmp_path, LIVE, Places.dhan()).choose()
    assert [leg.lots for leg in chosen.plan.legs] == [1]


def test_nothing_is_added_to_an_entry_while_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deploy(tmp_path, "live", plan=replace(NAMED_PLANS["scalp_atm"], pyramiding=5))
    (chosen,) = LiveVenue(CONFIG, tmp_path, LIVE, Places.dhan()).choose()
    assert (chosen.plan.lots, chosen.plan.pyramiding) == (1, 0)
    monkeypatch.setattr(live_start, "_fills_by_session", lambda *_: [{NAME}] * 5)
    (chosen,) = LiveVenue(CONFIG, tmp_path, LIVE, Places.dhan()).choose()
    assert chosen.plan.pyramiding == 5


def test_a_plan_that_cannot_be_made_small_is_refused_in_words_and_watched_while_it_is_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> Any:
        raise BadInput("no such plan")

    deploy(tmp_path, "live")
    monkeypatch.setattr(live_start, "_careful", refuse)
    with pytest.raises(BadInput, match="cannot be held to one lot in its first sessions: no such plan"):
        LiveVenue(CONFIG, tmp_path, LIVE, Places.dhan()).choose()
    venue = LiveVenue(SENDING, tmp_path, replace(LIVE, held=1), Places.dhan())
    assert [item.name for item in venue.choose()] == [NAME]
    assert len(venue._exits_only) == 1


def test_no_journal_is_no_position(tmp_path: Path) -> None:
    assert open_positions(tmp_path, "live-001") == 0


def test_the_index_as_a_future_stays_on_practice(tmp_path: Path) -> None:
    deploy(tmp_path, "paper", plan=NAMED_PLANS["index_as_future"])
    with pytest.raises(BadInput, match="nobody can buy"):
        PaperVenue(CONFIG, tmp_path, Places.dhan()).choose()


def test_other_code_than_promoted_is_refused(tmp_path: Path) -> None:
    deploy(tmp_path, "paper", strategy="ema_cross", strategy_hash="0" * 64)
    with pytest.raises(BadInput, match="is not the code that"):
        PaperVenue(CONFIG, tmp_path, Places.dhan()).choose()


def test_a_hold_stops_entries_as_a_dead_feed_does_and_ends_with_its_cause() -> None:
    wire = [10.0]
    watch = FeedWatch(5.0, monotonic=lambda: wire[0])
    watch.feed_state(True, "")
    watch.saw_quote(wire[0])
    first = watch.judge(market_open=True)
    assert first is not None and first.alive
    watch.hold("token", "Dhan refuses the access token: DH-901")
    held = watch.judge(market_open=True)
    assert held is not None and (held.alive, held.reason) == (False, "Dhan refuses the access token: DH-901")
    assert watch.lives() == (True, ""), "the feed itself is well: the mirror goes on"
    watch.let_go("token")
    again = watch.judge(market_open=True)
    assert again is not None and again.alive
    wire[0] += 6
    assert watch.lives() == (False, "no quote for 6 s")


def _three_lots() -> Any:
    return replace(NAMED_PLANS["scalp_atm"], lots=3)

"""A deployment stays on its account while it holds something there; and what commands say of positions."""

from __future__ import annotations

import io
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.unit.storage.builders import a_trade, opened
from tests.unit.storage.test_journal import write
from workbench.bootstrap import commands, moving
from workbench.bootstrap import deployments as promoted
from workbench.bootstrap.client import EngineClient, EngineNotRunning
from workbench.bootstrap.live_start import account_of
from workbench.bootstrap.practice import PracticeVenue
from workbench.cli import main
from workbench.config import Config
from workbench.core.deployment import Deployment, Mode
from workbench.core.errors import BadInput
from workbench.core.plan import NAMED_PLANS
from workbench.core.ports import JournalEntry

SCALP = Deployment(name="SCALP_ATM", symbol="NIFTY", plan=NAMED_PLANS["scalp_atm"], account="live", key_sha256="a" * 64)
CONFIG = Config.model_validate({"secrets": {"dhan_client_id": "1000000001"}})


class Engine(EngineClient):
    """An engine that answers as told; without rows nobody answers."""

    def __init__(self, rows: list[dict[str, Any]] | None = None, mode: str = "live") -> None:
        self.rows, self.mode = rows, mode
        self.posted: list[tuple[str, dict[str, Any]]] = []

    def get(self, path: str) -> Any:
        if self.rows is None:
            raise EngineNotRunning("no engine answers")
        return {"mode": self.mode} if path == "/health" else self.rows

    def post(self, path: str, body: dict[str, Any]) -> Any:
        self.posted.append((path, body))
        return {"status": "done"}


ROW = {
    "id": "p1", "deployment": "SCALP_ATM", "instrument": "NIFTY 16 JUN 15700 CALL", "side": "BUY", "units": 50,
    "entry": 100.0, "last": 101.0, "pnl": 20.0, "stop": 85.0, "state": "open", "protection_word": "at Dhan",
}  # fmt: skip


def journal_of(data: Path, entries: list[JournalEntry]) -> None:
    (data / "journal").mkdir()
    write(data / "journal" / "journal-live.db", [replace(each, account_id=account_of(CONFIG)) for each in entries])


def test_a_move_is_refused_while_the_running_engine_of_its_account_holds_units(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"holds 50 NIFTY 16 JUN 15700 CALL \(p1\).*workbench close"):
        moving.refuse_while_held(SCALP, tmp_path, CONFIG, Engine([ROW]))
    for free in (Engine([]), Engine([{**ROW, "units": 0}]), Engine([{**ROW, "deployment": "OTHER"}])):
        moving.refuse_while_held(SCALP, tmp_path, CONFIG, free)


def test_with_the_engine_down_the_journals_last_state_says_what_is_held(tmp_path: Path) -> None:
    journal_of(tmp_path, [opened(), *a_trade()[:2]])
    for engine in (Engine(None), Engine([], mode="practice")):
        with pytest.raises(BadInput, match=r"holds 50 NIFTY 16 JUN 15700 CALL \(px\)"):
            moving.refuse_while_held(SCALP, tmp_path, CONFIG, engine)
    moving.refuse_while_held(replace(SCALP, name="OTHER"), tmp_path, CONFIG, Engine(None))


def test_what_was_left_may_be_moved_and_what_cannot_be_read_may_not(tmp_path: Path) -> None:
    journal_of(tmp_path, [opened(), *a_trade()])
    assert moving.held_of("SCALP_ATM", Mode.LIVE, tmp_path, CONFIG, Engine(None)) == []
    with pytest.raises(BadInput, match="is not known"):
        moving.refuse_while_held(SCALP, tmp_path, Config(), Engine(None))


def test_neither_deployments_nor_promote_takes_a_deployment_away_from_what_it_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path))
    monkeypatch.setattr(commands, "_client", lambda: Engine([ROW]))
    promoted.save(tmp_path, SCALP)
    assert main(["deployments", "SCALP_ATM", "--account", "practice"]) == 2
    assert main(["promote", "SCALP_ATM", "--alerts", "--plan", "scalp_atm", "--account", "practice"]) == 2
    assert capsys.readouterr().err.count("holds 50 NIFTY") == 2
    assert promoted.load(tmp_path, "SCALP_ATM") == SCALP


def test_promote_makes_no_deployment_anew_for_another_symbol_than_the_one_it_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path))
    engine = Engine([ROW])
    monkeypatch.setattr(commands, "_client", lambda: engine)
    promoted.save(tmp_path, SCALP)
    again = ["promote", "SCALP_ATM", "--alerts", "--plan", "scalp_atm", "--account", "live", "--symbol"]
    assert main([*again, "BANKNIFTY"]) == 2
    assert "holds 50 NIFTY 16 JUN 15700 CALL (p1) on the live account: made anew for BANKNIFTY, no alert" in (
        capsys.readouterr().err
    )
    assert promoted.load(tmp_path, "SCALP_ATM") == SCALP
    assert main([*again, "nifty"]) == 0, "the same symbol is no change"
    engine.rows = []
    assert main([*again, "BANKNIFTY"]) == 0
    assert promoted.load(tmp_path, "SCALP_ATM").symbol == "BANKNIFTY"


def test_positions_are_listed_and_one_is_closed_by_its_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    engine = Engine([ROW])
    monkeypatch.setattr(commands, "_client", lambda: engine)
    assert main(["positions"]) == 0
    line = capsys.readouterr().out
    for part in ("id=p1", "deployment=SCALP_ATM", "units=50", "pnl=20.0", "stop=85.0", "protection=at Dhan"):
        assert part in line
    assert main(["positions", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [ROW]
    assert main(["close", "p1", "--json"]) == 0
    assert engine.posted[0][0] == "/live/position/p1/close"
    engine.rows = []
    assert main(["positions"]) == 0
    assert "nothing is held" in capsys.readouterr().out


def test_practice_names_and_leaves_out_a_share_and_promote_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path))
    plan = tmp_path / "share.yaml"
    plan.write_text("contract: underlying\nexits: {stop: 1%}\n", encoding="utf-8")
    assert main(["promote", "REL", "--alerts", "--symbol", "RELIANCE", "--plan", str(plan), "--json"]) == 0
    assert "practice has no market of RELIANCE" in json.loads(capsys.readouterr().out)["note"]
    chosen = PracticeVenue(Config(), tmp_path).choose()
    assert len(chosen) == 2 and "REL" not in {item.name for item in chosen}
    assert "REL is left out: practice has no market of RELIANCE" in capsys.readouterr().out


class Gone(io.StringIO):
    """A pipe whose reader has left."""

    def write(self, text: str) -> int:
        raise BrokenPipeError(text[:10])


def test_a_reader_that_has_gone_ends_the_command_without_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "_client", lambda: Engine([ROW]))
    monkeypatch.setattr(sys, "stdout", Gone())
    assert main(["positions"]) == 0
    assert not isinstance(sys.stdout, Gone)
    sys.stdout.close()

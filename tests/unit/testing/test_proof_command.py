"""The command of the proof: pieces, merging, replaying one seed, exit codes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from workbench.bootstrap.proving import command_of
from workbench.cli import build_parser
from workbench.testing import crash_runner
from workbench.testing.crash_engine import EngineFailed
from workbench.testing.crash_report import CrashReport
from workbench.testing.proof import command
from workbench.testing.proof.results import SeedResult

Told = list[int]


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> Told:
    """Seeds that were run; seed 3 fails."""
    seeds: Told = []

    def run(seed: int, **_: Any) -> SeedResult:
        seeds.append(seed)
        bad = seed == 3
        return SeedResult(
            seed=seed,
            kind="seed",
            orders=10,
            restarts=1,
            lost=0,
            doubled=int(bad),
            unprotected=0,
            longest_naked_s=float(seed),
            longest_recovery_s=1.0,
            failure="I2: sent twice" if bad else "",
        )

    monkeypatch.setattr(command, "run_seed", run)
    return seeds


def test_seeds_are_summed_up_and_the_exit_code_says_that_all_held(
    ran: Told, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(["--seeds", "3", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["seeds"], told["orders"], told["restarts"], told["longest_naked_s"]) == (3, 30, 3, 2.0)
    assert ran == [0, 1, 2]


def test_a_seed_that_fails_is_told_with_the_way_to_see_it_again(ran: Told, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--seeds", "3", "--from", "2", "--json"]) == 1
    told = capsys.readouterr()
    assert json.loads(told.out)["failures"] == [3]
    assert "workbench prove --seed 3 --verbose" in told.err


def test_a_proof_goes_on_where_it_was_left(ran: Told, tmp_path: Path) -> None:
    command.main(["--seeds", "2", "--out", str(tmp_path)])
    with (tmp_path / "seeds.jsonl").open("a", encoding="utf-8") as stream:
        stream.write('{"seed": 9, "ki')
    ran.clear()
    command.main(["--seeds", "3", "--out", str(tmp_path)])
    assert ran == [2]


def test_pieces_are_laid_together(ran: Told, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command.main(["--seeds", "2", "--out", str(tmp_path / "one")])
    command.main(["--seeds", "2", "--from", "1", "--out", str(tmp_path / "other")])
    capsys.readouterr()
    assert command.main(["--merge", str(tmp_path / "one"), str(tmp_path / "other"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["seeds"] == 3


def test_no_further_seed_begins_after_the_time_that_is_given(ran: Told) -> None:
    command.main(["--seeds", "50", "--stop-after", "-1"])
    assert ran == []


def test_the_command_line_hands_every_argument_on() -> None:
    args = build_parser().parse_args(
        ["prove", "--seeds", "9", "--kills", "2", "--from", "5", "--out", "x", "--stop-after", "60", "--json"]
    )
    line = command_of(args)
    assert line[1:3] == ["-m", "workbench.testing.proof"]
    assert line[3:] == ["--seeds", "9", "--kills", "2", "--from", "5", "--out", "x", "--stop-after", "60.0", "--json"]
    planted = command_of(build_parser().parse_args(["prove", "--planted", "no_stop"]))
    assert planted[3:] == ["--planted", "no_stop"]
    same = command_of(build_parser().parse_args(["prove", "--same-day", "20", "--from", "3"]))
    assert same[3:] == ["--from", "3", "--same-day", "20"]


def test_p1_an_engine_that_does_not_come_back_is_a_failure_and_the_next_day_is_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def ended(seed: int, kills: int, *, folder: Path | None) -> object:
        raise EngineFailed("the engine ended while it started")

    monkeypatch.setattr(crash_runner, "run_day_with_kills", ended)
    assert command.main(["--seeds", "0", "--kills", "30", "--from", "7", "--out", str(tmp_path), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["failures"] == [7, 22]


def test_journal_and_log_of_a_kill_day_that_broke_a_promise_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def ran(seed: int, kills: int, *, folder: Path) -> object:
        (folder / "engine.log").write_text(f"day {seed}", encoding="utf-8")
        if seed == 7:
            raise EngineFailed("it does not get on")
        return CrashReport(
            seed=seed, kills=kills, missed=0, alerts=1, orders=2, lost=0, doubled=0, unprotected=0,
            longest_naked_s=1.0, longest_naked_real_s=1.0, longest_recovery_s=1.0,
        )  # fmt: skip

    monkeypatch.setattr(crash_runner, "run_day_with_kills", ran)
    assert command.main(["--seeds", "0", "--kills", "30", "--from", "7", "--out", str(tmp_path), "--json"]) == 1
    assert f"what it left: {tmp_path / 'crash-7'}" in capsys.readouterr().err
    assert [each.name for each in tmp_path.iterdir() if each.is_dir()] == ["crash-7"]
    assert (tmp_path / "crash-7" / "engine.log").read_text(encoding="utf-8") == "day 7"


def test_folders_without_results_are_refused_in_words_and_not_summed_up(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(["--merge", str(tmp_path / "nope")]) == 2
    told = capsys.readouterr()
    assert f"no results in {tmp_path / 'nope'}" in told.err
    assert told.out == ""
    assert not (tmp_path / "nope").exists()


def test_a_folder_whose_lines_are_no_results_is_not_a_proof(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "seeds.jsonl").write_text("cut\n", encoding="utf-8")
    assert command.main(["--merge", str(tmp_path)]) == 2
    told = capsys.readouterr()
    assert (told.out, "no result that can be read" in told.err) == ("", True)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (["--seeds", "-3"], "--seeds -3: give 0 or more"),
        (["--kills", "-1"], "--kills -1: give 0 or more"),
        (["--same-day", "-2"], "--same-day -2: give 0 or more"),
        (["--seeds", "0"], "neither a seed nor a kill is asked for"),
        (["--planted", "no_stopp"], "unknown bug 'no_stopp'; did you mean"),
        (["--seed", "1", "--plant", "nosuchbug"], "unknown bug 'nosuchbug'"),
    ],
)
def test_what_would_prove_nothing_is_refused(
    ran: Told, capsys: pytest.CaptureFixture[str], asked: list[str], said: str
) -> None:
    assert command.main(asked) == 2
    told = capsys.readouterr()
    assert said in told.err
    assert (told.out, ran) == ("", [])

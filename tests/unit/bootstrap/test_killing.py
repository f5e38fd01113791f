"""The kill switch from the command line: asked first, followed to its end, and 0 only for what is done."""

from __future__ import annotations

import argparse
from typing import Any

import pytest

from workbench.bootstrap import commands, killing
from workbench.core.errors import BadInput

NAMES = ("halt", "flatten", "verify", "broker")


def view(state: str, done: int, must_do: str = "") -> dict[str, Any]:
    ends = ["done"] * done + [state if state != "done" else "done"] * (4 - done)
    steps = [{"step": name, "state": end, "text": f"{name} words"} for name, end in zip(NAMES, ends, strict=True)]
    return {"state": state, "steps": steps, "must_do": must_do}


class Engine:
    """Answers as the engine does; remembers what was asked."""

    def __init__(self, *views: dict[str, Any]) -> None:
        self.views = list(views)
        self.asked: list[str] = []

    def post(self, path: str, body: dict[str, Any]) -> Any:
        self.asked.append(path)
        if path == "/api/kill/ask":
            return {
                "nonce": f"word{len(self.asked)}", "mode": "live", "account": "live-001", "positions": 1,
                "instruments": ["NIFTY 15700 CE"], "then": "all is left",
            }  # fmt: skip
        assert body["nonce"] == f"word{len(self.asked) - 1}", "the newest word"
        return self.views.pop(0)

    def get(self, path: str) -> Any:
        return self.views.pop(0)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(killing, "LOOK_EVERY_S", 0.0)


def run(engine: Engine, monkeypatch: pytest.MonkeyPatch, *, yes: bool = True) -> int:
    monkeypatch.setattr(commands, "_client", lambda: engine)
    return commands.kill(argparse.Namespace(yes=yes, json=False))


def test_each_step_is_said_once_and_done_is_0(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    engine = Engine(view("running", 1), view("running", 1), view("running", 3), view("done", 4))
    assert run(engine, monkeypatch) == 0
    told = capsys.readouterr().out.splitlines()
    assert told == [f"{name}: done: {name} words" for name in NAMES] + ["kill switch: done."]


def test_what_is_not_done_is_1_and_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    engine = Engine(view("running", 1), view("failed", 2, "Close it in the app"))
    assert run(engine, monkeypatch) == 1
    told = capsys.readouterr().out
    assert "verify: failed: verify words" in told
    assert "kill switch: failed. Close it in the app" in told


@pytest.mark.parametrize("typed", ["", "kill", "yes", "KILL it"])
def test_without_the_word_nothing_is_ordered(typed: str) -> None:
    engine = Engine()
    with pytest.raises(BadInput, match="nothing was done"):
        killing.kill(engine, confirmed=False, ask=lambda _: typed)  # type: ignore[arg-type]
    assert engine.asked == ["/api/kill/ask"]


def test_who_types_the_word_is_told_what_it_means_and_gets_a_fresh_nonce() -> None:
    engine, shown = Engine(view("done", 4)), []

    def ask(question: str) -> str:
        shown.append(question)
        return "KILL"

    seen = killing.kill(engine, confirmed=False, quiet=True, ask=ask)  # type: ignore[arg-type]
    assert seen["state"] == "done"
    assert engine.asked == ["/api/kill/ask", "/api/kill/ask", "/api/kill"]
    assert "1 positions (NIFTY 15700 CE)" in shown[0]

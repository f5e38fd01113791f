"""The kill switch in words."""

from __future__ import annotations

from typing import Any

import pytest

from apps.control.killing import kill_banner
from apps.control.words import Tone


def kill(state: str, step: str, said: str, must_do: str = "") -> dict[str, Any]:
    names = ("halt", "flatten", "verify", "broker")
    here = names.index(step)
    steps = [
        {"step": name, "state": "done" if place < here else state if place == here else "waiting", "text": said}
        for place, name in enumerate(names)
    ]
    return {"kill": {"state": state, "steps": steps, "must_do": must_do}}


@pytest.mark.parametrize("status", [{}, {"kill": None}, {"kill": "odd"}])
def test_nothing_is_said_where_nothing_was_ordered(status: dict[str, Any]) -> None:
    assert kill_banner(status) is None


def test_it_is_called_done_only_when_the_engine_says_so() -> None:
    done = kill_banner(kill("done", "broker", "the switch is on"))
    running = kill_banner(kill("running", "verify", "50 units are exiting"))
    assert done is not None
    assert running is not None
    assert done.text.startswith("**KILLED**")
    assert "50 units are exiting" in running.text
    assert "KILLED" not in running.text


def test_what_failed_names_the_way_out() -> None:
    failed = kill_banner(kill("failed", "broker", "it <b>is</b> off", "turn the kill switch in the broker's own app"))
    assert failed is not None
    assert failed.tone is Tone.BAD
    assert "NOT DONE" in failed.text
    assert "broker's own app" in failed.text

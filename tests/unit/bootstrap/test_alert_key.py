"""Where the key of a test alert may come from (row W12)."""

from __future__ import annotations

import io

import pytest

from workbench.bootstrap import alert_key as asked
from workbench.bootstrap.alert_key import alert_key
from workbench.cli import main
from workbench.core.errors import BadInput

KEY = "a-key-that-only-i-know"


class Terminal(io.StringIO):
    """A standard input with a person before it."""

    def isatty(self) -> bool:
        return True


def test_w12_a_key_on_the_command_line_is_refused_with_the_way_out_and_is_not_repeated(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["alert", "test", "SCALP_ATM", "--key", KEY]) == 2
    said = capsys.readouterr().err
    assert "WORKBENCH_ALERT_KEY" in said
    assert KEY not in said


def test_w12_a_key_comes_from_the_environment_or_the_standard_input() -> None:
    assert alert_key(None, env={"WORKBENCH_ALERT_KEY": f" {KEY} "}) == KEY
    assert alert_key(None, env={}) == ""
    assert alert_key("-", env={}, stdin=io.StringIO(f"{KEY}\nmore\n")) == KEY


def test_w12_a_person_types_it_unseen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asked, "getpass", lambda _: KEY)
    assert alert_key("-", stdin=Terminal()) == KEY


def test_w12_no_key_where_one_was_to_come_is_refused() -> None:
    with pytest.raises(BadInput, match="no key came"):
        alert_key("-", stdin=io.StringIO(""))

"""What ``workbench simulator --faults`` takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench.bootstrap.simulator_process import read_faults
from workbench.core.errors import BadInput


def test_without_the_option_there_are_no_faults() -> None:
    assert read_faults(None) is None


def test_a_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "faults.jsonl"
    file.write_text('{"kind": "lost_reply", "at": "10:30"}\n', encoding="utf-8")
    plan = read_faults(str(file))
    assert plan is not None
    assert [each.kind.value for each in plan.faults] == ["lost_reply"]


def test_a_seed_is_drawn_and_printed_so_that_it_can_be_played_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    drawn = read_faults("seed:7:20")
    file = tmp_path / "again.jsonl"
    file.write_text(capsys.readouterr().out, encoding="utf-8")
    again = read_faults(str(file))
    assert drawn is not None
    assert again is not None
    assert drawn.faults == again.faults
    fewer = read_faults("seed:7")
    assert fewer is not None
    assert 0 < len(fewer.faults) < len(drawn.faults)


@pytest.mark.parametrize("text", ["seed:", "seed:seven", "seed:7:often", "seed:7:0", "seed:7:nan", "no-such-file"])
def test_what_is_neither_is_refused(text: str) -> None:
    with pytest.raises(BadInput):
        read_faults(text)

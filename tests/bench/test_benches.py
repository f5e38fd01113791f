"""Each bench runs and gives its figures; how fast is not asked here, since a test machine promises nothing."""

from __future__ import annotations

import json

import pytest

from tests.bench.__main__ import BENCHES, bench, main
from tests.bench.figures import TINY

QUICK = ("start_of_imports", "decoding", "journal_commits")


@pytest.mark.parametrize("name", QUICK)
def test_a_quick_bench_gives_figures(name: str) -> None:
    assert [figure.name for figure in bench(name)(TINY)]


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in BENCHES if name not in QUICK])
def test_a_long_bench_gives_figures(name: str) -> None:
    figures = list(bench(name)(TINY))
    assert any(figure.bounds for figure in figures)
    if name == "order_path":
        assert figures[0].n >= TINY.alerts


def test_the_command_prints_one_json_line_a_figure_and_the_machine_first(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--tiny", "decoding"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines[0]["name"] == "machine"
    assert all("unit" in line for line in lines[1:])


def test_an_unknown_bench_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["decodign"])
    assert "no bench decodign" in capsys.readouterr().err

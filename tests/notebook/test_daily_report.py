"""The daily report, rendered for real: papermill in a child process, one HTML that loads nothing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.unit.storage.builders import a_trade, opened
from workbench.core.errors import BadInput
from workbench.reference import charge_table
from workbench.reports import daily
from workbench.reports.daily import ReportFailed, render_daily
from workbench.storage.export import export_day

pytestmark = pytest.mark.notebook


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return export_day(tmp_path / "with space", [opened(), *a_trade(2)], charges=charge_table()).folder


def test_the_report_is_one_file_with_the_ledgers_figures_that_loads_nothing(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # the notebook is found from anywhere
    html = render_daily(folder)
    text = html.read_text(encoding="utf-8")
    assert html == folder / "report.html"
    assert text.count("+₹438.87") == 4  # headline, P&L, the trade and its mark on the curve
    assert "priced: model" in text
    assert "<svg" in text
    assert "day_folder" not in text  # no code
    assert re.findall(r"https?:|<script|<link|src=", text) == []
    assert not list(folder.glob("*.new"))


def test_a_day_without_an_export_is_refused_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="workbench report daily"):
        render_daily(tmp_path)


def test_a_notebook_that_fails_leaves_the_former_report(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "report.html").write_text("the former one", encoding="utf-8")
    (folder / "day.json").write_text('{"schema": 1}', encoding="utf-8")
    with pytest.raises(ReportFailed, match="does not read as a day export"):
        render_daily(folder)
    assert (folder / "report.html").read_text(encoding="utf-8") == "the former one"
    assert [path.name for path in folder.glob("report*")] == ["report.html"]


def test_a_notebook_that_takes_too_long_is_ended(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daily, "GRACE_S", 0.0)
    with pytest.raises(ReportFailed, match="longer than"):
        render_daily(folder, timeout_s=0.2)

"""What a day's export says of its market when the process runs over several days."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest

from tests.unit.storage.builders import DAY, a_trade, opened
from tests.unit.storage.test_journal import write
from workbench.bootstrap.practice import PracticeVenue
from workbench.bootstrap.reporting import export_from_journal, exporter
from workbench.bootstrap.venues import journal_name
from workbench.config import Config
from workbench.core.deployment import Mode
from workbench.core.errors import BadInput
from workbench.storage.journal import SqliteJournal


def facts_in(data: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((data / "reports" / DAY.isoformat() / "day.json").read_text(encoding="utf-8"))
    return dict(found["facts"])


def test_an_export_has_the_facts_of_its_own_day_and_never_those_of_another(tmp_path: Path) -> None:
    write(tmp_path / "journal.db", [opened(), *a_trade()])
    journal = SqliteJournal(tmp_path / "journal.db")
    told = {"mode": "practice", "market": {"date": DAY.isoformat(), "seed": 7}}
    export = exporter(tmp_path, journal, "practice", lambda: told)
    try:
        export(DAY)
        assert facts_in(tmp_path) == told
        told["market"] = {"date": (DAY + timedelta(days=1)).isoformat(), "seed": 7}
        export(DAY)
        assert facts_in(tmp_path) == {"mode": "practice", "market": {}}
    finally:
        journal.close()


def test_a_day_of_another_account_is_exported_and_one_that_is_not_stored_names_those_that_are(tmp_path: Path) -> None:
    write(tmp_path / "journal.db", [opened(), *a_trade()])
    journal = SqliteJournal(tmp_path / "journal.db")
    export = exporter(tmp_path, journal, "practice-another-market", lambda: {"account": "practice-another-market"})
    try:
        assert export(DAY)["trades"] == 1
        assert facts_in(tmp_path) == {}
        with pytest.raises(BadInput, match=f"no entries of .*latest days that it has: {DAY}"):
            export(DAY + timedelta(days=1))
    finally:
        journal.close()


def test_an_export_without_the_engine_keeps_the_limits_that_the_engine_wrote_with_the_day(tmp_path: Path) -> None:
    (tmp_path / "journal").mkdir()
    path = tmp_path / "journal" / journal_name(Mode.PRACTICE)
    write(path, [opened(), *a_trade()])
    told = {"mode": "practice", "limits": {"max_daily_loss": "10000"}}
    journal = SqliteJournal(path)
    try:
        exporter(tmp_path, journal, "practice", lambda: told)(DAY)
    finally:
        journal.close()
    for _ in range(2):
        export_from_journal(tmp_path, DAY)
        assert facts_in(tmp_path) == told
    with pytest.raises(BadInput, match=f"no entries of .*latest days that it has: {DAY}"):
        export_from_journal(tmp_path, DAY + timedelta(days=1))
    file = tmp_path / "reports" / DAY.isoformat() / "day.json"
    file.write_text(
        file.read_text(encoding="utf-8").replace('"account": "practice"', '"account": "another"'), encoding="utf-8"
    )
    export_from_journal(tmp_path, DAY)
    assert facts_in(tmp_path) == {}


def test_a_practice_venue_takes_the_facts_of_each_day_with_its_contracts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    days = [DAY, DAY + timedelta(days=1)]
    told = [{"now": f"{day}T09:00:00+05:30", "speed": "max", "facts": {"date": str(day)}} for day in days]
    venue = PracticeVenue(Config(), tmp_path)
    monkeypatch.setattr(venue, "_places", SimpleNamespace(clock_facts=lambda: told.pop(0), master="nowhere"))
    for name in ("download_master", "install_master", "InstrumentMaster"):
        monkeypatch.setattr(f"workbench.bootstrap.practice.{name}", MagicMock())
    venue.begin()
    assert venue.facts()["market"] == {"date": str(days[0])}
    venue.load_listings(("NIFTY",), days[1])
    assert venue.facts()["market"] == {"date": str(days[1])}

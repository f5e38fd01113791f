"""The daily report: the engine's day export, rendered by the report room; with the engine down the journal is read."""

from __future__ import annotations

import datetime as dt
import json
import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.bootstrap.client import EngineClient, EngineNotRunning
from workbench.bootstrap.venues import journal_name
from workbench.core.deployment import Mode
from workbench.core.errors import BadInput
from workbench.core.instrument import Segment
from workbench.reference import calendar, charge_table

if TYPE_CHECKING:
    from workbench.live.edges import DayReporter
    from workbench.storage.journal import SqliteJournal

DAYS_NAMED = 10
"""So many of the days that are stored are named to who asks for one that is not."""


def daily(data: Path, day: dt.date, client: EngineClient) -> dict[str, Any]:
    """Export a day and render its report.

    The running engine is asked for the export, since it alone may read its journal; with no engine running the journal
    is opened here, under the same lock.
    """
    from workbench.reports.daily import render_daily

    try:
        exported = client.post("/api/report", {"day": day.isoformat()})
    except EngineNotRunning:
        exported = export_from_journal(data, day)
    html = render_daily(data / "reports" / day.isoformat())
    return {"day": day.isoformat(), "export": exported, "html": str(html)}


def export(data: Path, day: dt.date, to: Path | None, client: EngineClient) -> dict[str, Any]:
    """Export a day (JSON, Parquet, CSV) and, where `to` is given, lay the tables and the log there too."""
    try:
        exported = client.post("/api/report", {"day": day.isoformat()})
    except EngineNotRunning:
        exported = export_from_journal(data, day)
    source = data / "reports" / day.isoformat()
    files = [source / name for name in ("trades.csv", "tradebook.csv", "stays.csv", "day.json")]
    if to is not None:
        to.mkdir(parents=True, exist_ok=True)
        files = [Path(shutil.copyfile(file, to / f"{day.isoformat()}-{file.name}")) for file in files]
    return {**exported, "files": [str(file) for file in files]}


def export_from_journal(data: Path, day: dt.date) -> dict[str, Any]:
    """Write the day export from the journal on disk; the engine must be down."""
    from workbench.storage.journal import SqliteJournal

    # The journal of each mode is a file of its own; where a day stands in several, money comes before its rehearsals.
    known: set[dt.date] = set()
    for mode in (Mode.LIVE, Mode.PAPER, Mode.PRACTICE):
        path = data / "journal" / journal_name(mode)
        if mode is not Mode.PRACTICE and not path.is_file():
            continue
        journal = SqliteJournal(path)
        try:
            days = stored_days(journal)
            if day in days:
                return dict(exporter(data, journal, days[day][-1])(day))
            known.update(days)
        finally:
            journal.close()
    raise BadInput(_not_stored("the journal", day, known))


def _not_stored(where: str, day: dt.date, known: Iterable[dt.date]) -> str:
    latest = ", ".join(str(each) for each in sorted(known)[-DAYS_NAMED:]) or "none"
    return f"{where} has no entries of {day}; the latest days that it has: {latest}"


def stored_days(journal: SqliteJournal) -> dict[dt.date, list[str]]:
    """Give the days of a journal and of what was put away of it, ascending, with the accounts that traded them."""
    from workbench.storage.journal_archive import archives

    found: dict[dt.date, list[str]] = {}
    for old in archives(journal.path):
        for name, days in old.days.items():
            for day in days:
                found.setdefault(day, []).append(name)
    for name in journal.accounts():
        for day in journal.days(name):
            found.setdefault(day, []).append(name)
    return dict(sorted(found.items()))


def exporter(
    data: Path, journal: SqliteJournal, account_id: str, facts: Callable[[], Mapping[str, Any]] = dict
) -> DayReporter:
    """Give the function that exports a day of an account: journal and tape in, report folder out.

    A day that the account did not trade is another's of the same journal: each market that is practised on has its own.
    `facts` are asked at each export, for the market's are another day's each day; those of another day or account are
    left out. Where nobody tells them any more, those of the day's earlier export stand.
    """
    from workbench.storage.export import export_day
    from workbench.storage.journal_archive import read_archived
    from workbench.storage.tape import read_tape, tape_path

    def export(day: dt.date) -> dict[str, Any]:
        account = account_id
        entries = journal.read_day(account, day) or read_archived(journal.path, account, day)
        if not entries:
            days = stored_days(journal)
            if day not in days:
                raise BadInput(_not_stored(journal.path.name, day, days))
            account = days[day][-1]
            entries = journal.read_day(account, day) or read_archived(journal.path, account, day)
        tape = tape_path(data / "tape", account, day)
        done = export_day(
            data / "reports",
            entries,
            charges=charge_table(),
            tape=read_tape(tape) if tape.is_file() else (),
            facts=_facts_of(data / "reports", day, account, facts() if account == account_id else {}),
            closes_at=_close_of(day),
        )
        return {"folder": str(done.folder), "day": day.isoformat(), "trades": done.trades, "net": str(done.net)}

    return export


def _close_of(day: dt.date) -> dt.datetime | None:
    session = calendar().session(Segment.NSE_FNO, day) if calendar().knows(Segment.NSE_FNO, day) else None
    return session.close if session is not None else None


def _facts_of(reports: Path, day: dt.date, account: str, told: Mapping[str, Any]) -> Mapping[str, Any]:
    """Give the facts of a day: what is told of it now, or what the engine that traded it wrote with it."""
    if told:
        return _facts_on(day, told)
    path = reports / day.isoformat() / "day.json"
    try:
        written = json.loads(path.read_text(encoding="utf-8"))
        return dict(written["facts"]) if written["account"] == account else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}  # no export yet, or none that can be read: this one takes its place


def _facts_on(day: dt.date, facts: Mapping[str, Any]) -> Mapping[str, Any]:
    market = facts.get("market")
    told = market.get("date") if isinstance(market, Mapping) else None
    return facts if told in (None, day.isoformat()) else {**facts, "market": {}}

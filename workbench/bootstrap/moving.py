"""May a deployment leave its account, or its symbol? Not while it holds something there.

What is held is watched and protected whoever owns it, but exit alerts and signals reach it only through its deployment:
moved away, or made anew for another symbol, nobody but the stop would leave it.

Invariant: what is held is asked of the running engine of that account, else read from its journal; what cannot be read
counts as held.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

from workbench.bootstrap.client import EngineClient, EngineNotRunning
from workbench.bootstrap.venues import journal_name
from workbench.config import Config
from workbench.core.book import Book
from workbench.core.deployment import Deployment, Mode
from workbench.core.errors import BadInput, WorkbenchError
from workbench.storage.journal import SqliteJournal


def refuse_while_held(
    deployment: Deployment, data: Path, config: Config, client: EngineClient, *, change: str = "moved away"
) -> None:
    """Refuse to take a deployment from its account or symbol while units of it are held there.

    Parameters
    ----------
    deployment : Deployment
        As it stands now.
    data, config, client
        Where to ask what it holds.
    change : str
        What would become of it.

    Raises
    ------
    BadInput
        It holds something, with the way out; or what it holds is not known.
    """
    account = Mode(deployment.account)
    try:
        held = held_of(deployment.name, account, data, config, client)
    except WorkbenchError as error:
        raise BadInput(
            f"what {deployment.name} holds on the {account.value} account is not known ({error}); start it with "
            f"workbench up --mode {account.value} and order it again"
        ) from None
    if held:
        raise BadInput(
            f"{deployment.name} holds {', '.join(held)} on the {account.value} account: {change}, no alert and "
            f"no signal would leave it; leave it first (workbench up --mode {account.value}, then workbench close "
            "POSITION)"
        )


def held_of(name: str, account: Mode, data: Path, config: Config, client: EngineClient) -> Sequence[str]:
    """Name what a deployment holds on an account: units, contract, position.

    A practice or paper book lives as long as its run, so only a running engine holds anything there that will be seen
    again.
    """
    with contextlib.suppress(EngineNotRunning):
        if client.get("/health")["mode"] == account.value:
            rows = client.get("/live/positions")
            found = [(row["units"], row["instrument"], row["id"]) for row in rows if row["deployment"] == name]
            return [f"{units} {contract} ({each})" for units, contract, each in found if units]
    if account is not Mode.LIVE:
        return []
    path = data / "journal" / journal_name(account)
    if not path.is_file():
        return []
    from workbench.bootstrap.live_start import account_of

    book = _last_book(path, account_of(config))
    return [
        f"{each.open_quantity} {each.plan.instrument.name} ({each.position_id})"
        for each in book.live_positions()
        if each.plan.deployment == name and each.open_quantity
    ]


def _last_book(path: Path, account_id: str) -> Book:
    book, journal = Book(), SqliteJournal(path)
    try:
        days = journal.days(account_id)
        if days:
            entries = journal.read_day(account_id, max(days))
            book.apply_all([event for entry in entries for event in entry.events])
    finally:
        journal.close()
    return book

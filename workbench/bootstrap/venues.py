"""Which venue a mode has, and where its journal stands.

Invariant: what belongs to one mode is in no file of another.
"""

from __future__ import annotations

from pathlib import Path

from workbench.bootstrap.practice import PracticeVenue
from workbench.bootstrap.venue import Venue
from workbench.config import Config
from workbench.core.deployment import Mode


def journal_name(mode: Mode) -> str:
    """Give the file of a mode's journal."""
    return "journal.db" if mode is Mode.PRACTICE else f"journal-{mode.value}.db"


def make_venue(mode: str, config: Config, data: Path, *, confirmed: str | None, began_sending: bool = False) -> Venue:
    """Give the venue of a mode; live asks for its sentence first."""
    match Mode(mode):
        case Mode.PAPER:
            from workbench.bootstrap.paper import PaperVenue

            return PaperVenue(config, data)
        case Mode.LIVE:
            from workbench.bootstrap.live_start import live_venue

            return live_venue(config, data, confirmed=confirmed, began_sending=began_sending)
        case _:
            return PracticeVenue(config, data)

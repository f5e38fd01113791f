"""``workbench backup`` and ``workbench restore``."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

from workbench.core.session import IST
from workbench.storage.backup import restore_backup, take_backup


def backup(data: Path, to: Path | None) -> dict[str, Any]:
    """Copy the journals of all modes into one file, with the engine up or down."""
    file = take_backup(data, dt.datetime.now(IST), to)
    return {"file": str(file), "bytes": file.stat().st_size}


def restore(data: Path, file: Path) -> dict[str, Any]:
    """Put a backup's journals in place; the engine must be down."""
    done = restore_backup(data, file, dt.datetime.now(IST))
    return {
        "restored": list(done.files),
        "taken_at": done.taken_at,
        "kept": "" if done.kept is None else str(done.kept),
        "next": "start the workbench and compare its positions with the broker's; entries of today that the backup "
        "does not know halt the account until: workbench resume",
    }

"""The admin token: made once, kept in a file that only its owner reads, shown to nobody.

Invariant: it is 256 bits of the system's randomness and never printed.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

FILE = "admin.token"


def admin_token(folder: Path, given: str | None = None) -> str:
    """Read the token of a data folder's ``journal``, or make it; `given` (from the environment) comes first."""
    if given:
        return given
    path = folder / FILE
    if path.is_file():
        kept = path.read_text(encoding="utf-8", errors="replace").strip()
        # What a power cut has left of it opens nothing, and must not keep the engine from starting.
        if kept and kept.isascii() and kept.isprintable():
            return kept
    folder.mkdir(parents=True, exist_ok=True)
    token = secrets.token_urlsafe(32)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(token + "\n")
    return token

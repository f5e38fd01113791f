"""Trades and fills as CSV, for a spreadsheet or a tax adviser.

A cell of text that a spreadsheet would take for a formula gets an apostrophe before it (OWASP ASVS 1.2.10); numbers
stay numbers, negative ones too. Lines end as RFC 4180 has it, so that a carriage return inside a cell is quoted.

Invariant: every figure is the ledger's, written in full, and reading the file back gives it again.
"""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

_STARTS_A_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\0")


def to_csv(kind: type, rows: Sequence[Any]) -> str:
    """Write rows of one dataclass with a header of its field names; times as ISO 8601 with their zone."""
    names = [item.name for item in dataclasses.fields(kind)]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(names)
    writer.writerows([_cell(getattr(row, name)) for name in names] for row in rows)
    return out.getvalue()


def _cell(value: object) -> str:
    match value:
        case None:
            return ""
        case Decimal():
            return format(value, "f")
        case datetime():
            return value.isoformat()
        case str():
            return f"'{value}" if value.startswith(_STARTS_A_FORMULA) else value
        case _:
            return str(value)

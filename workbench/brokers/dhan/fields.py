"""Single fields of Dhan's rows: casing, sentinels, numbers, times.

Dhan writes one and the same field in several casings (``filledQty``, ``FilledQty``, ``filled_qty``) and a number as a
number or as text, so rows are read by lower-cased names without underscores.

Invariant: a field that is needed and cannot be read raises `CorruptData`; none is guessed.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from types import MappingProxyType
from typing import Any

from workbench.core.errors import CorruptData
from workbench.core.money import ZERO
from workbench.core.session import IST
from workbench.core.signal import Side

_SIDES = MappingProxyType({"BUY": Side.BUY, "B": Side.BUY, "SELL": Side.SELL, "S": Side.SELL})

Row = Mapping[str, Any]

_DIGITS = 18
"""No units or rupees of an account are longer, and a number of a million digits would hold the process up."""


def lowered(row: Row) -> dict[str, Any]:
    """Give the row by lower-cased names without underscores."""
    # Real messages carry some fields twice, in both casings; the one that says something wins.
    low: dict[str, Any] = {}
    for key, value in row.items():
        name = key.lower().replace("_", "")
        if low.get(name) in (None, ""):
            low[name] = value
    return low


def text_of(low: Row, name: str) -> str:
    """Read text that must be there."""
    value = low.get(name)
    if isinstance(value, bool) or not isinstance(value, str | int) or not str(value).strip():
        raise CorruptData(f"Dhan's row has no {name}: {shown(low)}")
    return str(value).strip()


def units_of(low: Row, name: str, *, missing: int | None = None, signed: bool = False) -> int:
    """Read a number of units."""
    value = low.get(name)
    if value is None and missing is not None:
        return missing
    number = decimal_of(low, name)
    if number != number.to_integral_value() or (number < 0 and not signed):
        raise CorruptData(f"Dhan's row has {name} {value!r}, no number of units: {shown(low)}")
    return int(number)


def price_of(low: Row, name: str) -> Decimal:
    """Read rupees; zero where the row says nothing."""
    value = low.get(name)
    return ZERO if value in (None, "", "NA") else decimal_of(low, name)


def decimal_of(low: Row, name: str) -> Decimal:
    """Read a finite number that must be there."""
    value = low.get(name)
    try:
        number = Decimal("x") if isinstance(value, bool) else Decimal(str(value))
    except InvalidOperation:
        raise CorruptData(f"Dhan's row has {name} {value!r}, no number: {shown(low)}") from None
    if not number.is_finite() or number.adjusted() > _DIGITS:
        raise CorruptData(f"Dhan's row has {name} {str(value)[:40]!r}, no finite number: {shown(low)}")
    return number


def side_of(low: Row, name: str) -> Side:
    """Read a side, as a word or a letter."""
    side = _SIDES.get(text_of(low, name).upper())
    if side is None:
        raise CorruptData(f"Dhan's row has {name} {low.get(name)!r}, neither BUY nor SELL: {shown(low)}")
    return side


def moment_of(value: object) -> datetime | None:
    """Read ``YYYY-MM-DD HH:MM:SS`` in Indian time; sentinels (year 1, 1980, "NA") are no time."""
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    if moment.year < 2000:
        return None
    return moment.replace(tzinfo=IST) if moment.tzinfo is None else moment.astimezone(IST)


def shown(row: Row) -> str:
    """Give a row for an error text: cut, and without the client's id."""
    fields = {key: value for key, value in row.items() if "client" not in key.lower()}
    text = str(fields)
    return text if len(text) <= 300 else text[:300] + "…"

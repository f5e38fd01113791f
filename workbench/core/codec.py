"""Frozen dataclasses to and from plain JSON values, exactly (decimals and times as text, a tag for the type).

Invariant: ``decode(encode(x)) == x`` for every message, command and event.
"""

import dataclasses
import types
import typing
from collections.abc import Mapping
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from functools import cache
from typing import Any, Union

from workbench.core import messages
from workbench.core.errors import BadInput, CorruptData

TAG = "type"
_PLAIN: Mapping[Any, tuple[type, ...]] = {str: (str,), int: (int,), float: (float, int), bool: (bool,)}


def encode(value: Any) -> Any:
    """Give the JSON form of a message, command, event or a value inside one."""
    if isinstance(value, Enum):
        return value.value
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, tuple | list):
        return [encode(item) for item in value]
    if dataclasses.is_dataclass(value):
        body = {name: encode(getattr(value, name)) for name in _fields(value.__class__)}
        return {TAG: type(value).__name__, **body} if type(value).__name__ in tagged() else body
    raise TypeError(f"cannot encode {type(value).__name__}")


def decode(body: Mapping[str, Any]) -> Any:
    """Read a tagged JSON object back.

    Raises
    ------
    CorruptData
        Unknown tag, missing or mistyped field.
    """
    kind = tagged().get(str(body.get(TAG)))
    if kind is None:
        raise CorruptData(f"unknown record type {body.get(TAG)!r}; written by a newer version?")
    return _build(kind, body)


@cache
def tagged() -> dict[str, type]:
    """Names of all messages, commands and events."""
    unions = (messages.Message, messages.Command, messages.Event)
    return {str(kind.__name__): kind for union in unions for kind in typing.get_args(union)}


@cache
def _fields(kind: Any) -> dict[str, Any]:
    hints = typing.get_type_hints(kind)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind)}


def _build(kind: type, body: Mapping[str, Any]) -> Any:
    try:
        return kind(**{name: _read(hint, body[name]) for name, hint in _fields(kind).items() if name in body})
    except (TypeError, ValueError, ArithmeticError, BadInput) as error:
        raise CorruptData(f"{kind.__name__} does not read: {error}") from error


def _read(hint: Any, value: Any) -> Any:
    origin = typing.get_origin(hint)
    if origin in (Union, types.UnionType):
        if value is None:
            return None
        return _read(next(arg for arg in typing.get_args(hint) if arg is not type(None)), value)
    if origin is tuple:
        return tuple(_read(typing.get_args(hint)[0], item) for item in value)
    if dataclasses.is_dataclass(hint):
        return _build(typing.cast(type, hint), value)
    if hint is Decimal:
        return Decimal(value)
    if hint is datetime:
        return datetime.fromisoformat(value)
    if hint is date:
        return date.fromisoformat(value)
    if hint is time:
        return time.fromisoformat(value)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return hint(value)
    if hint in _PLAIN and type(value) not in _PLAIN[hint]:
        raise TypeError(f"expected {hint.__name__}, got {value!r}")
    return value

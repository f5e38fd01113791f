"""What is journalled reads back as what it was: every message, command and event, by types."""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.core.codec import TAG, decode, encode, tagged
from workbench.core.errors import BadInput, CorruptData
from workbench.core.messages import DayBegan, FillBooked
from workbench.core.plan import Distance
from workbench.core.session import IST

MONEY = st.decimals(min_value=-(10**9), max_value=10**9, places=6, allow_nan=False, allow_infinity=False)


def _of_our_days(moment: datetime) -> datetime:
    return moment.replace(year=2021 + moment.year % 10, day=min(moment.day, 28))


MOMENTS = st.datetimes(timezones=st.just(IST)).map(_of_our_days)
PLAIN: dict[Any, st.SearchStrategy[Any]] = {
    str: st.text(max_size=20),
    int: st.integers(-(10**12), 10**12),
    float: st.floats(allow_nan=False, allow_infinity=False),
    bool: st.booleans(),
    Decimal: MONEY,
    datetime: MOMENTS,
    date: st.dates(),
    time: st.times(),
}


def of(hint: Any) -> st.SearchStrategy[Any]:
    """Values of a type, as the messages use types."""
    if hint in PLAIN:
        return PLAIN[hint]
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        return st.one_of(*(st.none() if arg is type(None) else of(arg) for arg in typing.get_args(hint)))
    if origin is tuple:
        return st.lists(of(typing.get_args(hint)[0]), max_size=3).map(tuple)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return st.sampled_from(list(hint))
    if hint is Distance:
        amount = st.decimals(min_value=Decimal("0.05"), max_value=999, places=2)
        return st.one_of(amount.map(lambda v: Distance(points=v)), amount.map(lambda v: Distance(percent=v)))
    assert dataclasses.is_dataclass(hint), hint
    hints = typing.get_type_hints(hint)
    return st.builds(typing.cast(Any, hint), **{f.name: of(hints[f.name]) for f in dataclasses.fields(hint)})


@pytest.mark.parametrize("kind", tagged().values(), ids=lambda kind: kind.__name__)
@settings(max_examples=15)
@given(data=st.data())
def test_what_is_written_reads_back_equal(kind: type, data: st.DataObject) -> None:
    value = data.draw(of(kind))
    body = json.loads(json.dumps(encode(value)))
    assert body[TAG] == kind.__name__
    again = decode(body)
    assert again == value
    assert type(again) is kind


FILL = encode(
    FillBooked(
        correlation_id="wE",
        position_id="P1",
        quantity=50,
        price=Decimal("120.05"),
        at=datetime(2022, 6, 15, 10, tzinfo=IST),
    )
)


@pytest.mark.parametrize(
    "change",
    [
        {TAG: "FillBookedTwice"},
        {TAG: None},
        {"quantity": "50"},
        {"quantity": True},
        {"quantity": 50.5},
        {"correlation_id": 7},
        {"price": "dear"},
        {"price": None},
        {"at": "noon"},
    ],
)
def test_what_does_not_read_is_corrupt_and_not_guessed(change: dict[str, Any]) -> None:
    with pytest.raises(CorruptData):
        decode({**FILL, **change})


def test_a_missing_field_is_corrupt_where_it_has_no_default() -> None:
    body = dict(FILL)
    del body["quantity"]
    with pytest.raises(CorruptData):
        decode(body)


def test_a_field_with_a_default_may_be_missing_in_older_records() -> None:
    body = dict(FILL)
    del body["reference_price"]
    assert decode(body).reference_price == 0


def test_a_broken_value_inside_is_corrupt() -> None:
    body = {TAG: "QuoteReceived", "quote": None}
    with pytest.raises(CorruptData):
        decode(body)


def test_what_has_no_form_is_refused() -> None:
    with pytest.raises(TypeError):
        encode({1, 2})
    assert decode(encode(DayBegan(day=date(2022, 6, 15)))) == DayBegan(day=date(2022, 6, 15))
    with pytest.raises(BadInput):
        Distance()

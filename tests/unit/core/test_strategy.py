"""A strategy's parameters are held to their types and ranges, and its frames to their form."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.core.bars import Interval
from workbench.core.errors import BadInput, UnknownName
from workbench.core.strategy import SIGNAL_COLUMNS, Strategy, param, validate_bars, validate_signals


@dataclass(frozen=True, slots=True, kw_only=True)
class Toy(Strategy):
    """Two parameters, no signals."""

    name: ClassVar[str] = "toy"
    supported_intervals: ClassVar[tuple[str, ...]] = ("5m",)

    length: int = param(9, 2, 50, doc="bars")
    reach: float = param(1.5, 0.5, 3.0, step=0.5)

    @property
    def settle_bars(self) -> int:
        """As long as it is."""
        return self.length

    def signals(self, bars: pd.DataFrame) -> pd.DataFrame:
        """Nothing, ever."""
        return pd.DataFrame(False, index=bars.index, columns=list(SIGNAL_COLUMNS))


def some_bars(count: int = 4) -> pd.DataFrame:
    times = pd.date_range("2022-06-15 09:15", periods=count, freq="5min", tz="Asia/Kolkata", name="time")
    return pd.DataFrame(100.0, index=times, columns=["open", "high", "low", "close", "volume"])


def test_defaults_are_the_declared_ones() -> None:
    assert Toy().parameters() == {"length": 9, "reach": 1.5}


def test_a_strategy_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        Toy().length = 3  # type: ignore[misc]


def test_parameters_are_read_from_text_as_a_command_line_gives_them() -> None:
    toy = Toy.from_parameters({"length": "12", "reach": "2"})
    assert toy.parameters() == {"length": 12, "reach": 2.0}
    assert type(toy.length) is int
    assert type(toy.reach) is float


def test_an_unknown_parameter_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(UnknownName, match="did you mean 'length'"):
        Toy.from_parameters({"lenght": 12})


@pytest.mark.parametrize("value", [1, 51, "1", 2.5, "nine", "", None, True, float("nan"), float("inf"), [9]])
def test_a_value_of_the_wrong_type_or_range_is_refused_and_named(value: object) -> None:
    with pytest.raises(BadInput, match="length"):
        Toy.from_parameters({"length": value})
    with pytest.raises(BadInput, match="length"):
        Toy().with_parameters(length=value)


def test_the_constructor_holds_to_the_ranges_as_well() -> None:
    with pytest.raises(BadInput, match="outside its range 2 to 50"):
        Toy(length=99)


def test_with_parameters_keeps_the_others() -> None:
    assert Toy(length=3).with_parameters(reach=2.5) == Toy(length=3, reach=2.5)


def test_a_default_outside_its_range_cannot_be_declared() -> None:
    with pytest.raises(BadInput, match="default 1 is outside"):
        param(1, 2, 50)


def test_ranges_tell_a_sweep_what_to_try() -> None:
    ranges = Toy.ranges()
    assert list(ranges) == ["length", "reach"]
    assert ranges["reach"].values() == (0.5, 1.0, 1.5, 2.0, 2.5, 3.0)
    assert ranges["length"].values() == tuple(range(2, 51))
    assert ranges["length"].doc == "bars"


@given(st.integers(2, 50), st.floats(0.5, 3.0))
def test_parameters_survive_a_round_trip(length: int, reach: float) -> None:
    toy = Toy(length=length, reach=reach)
    assert Toy.from_parameters(toy.parameters()) == toy
    assert Toy.from_parameters({key: str(value) for key, value in toy.parameters().items()}) == toy


def test_a_field_without_a_range_is_refused() -> None:
    @dataclass(frozen=True, slots=True, kw_only=True)
    class Loose(Toy):
        extra: int = 3

    with pytest.raises(BadInput, match=r"declare parameter extra with param"):
        Loose()


def test_an_interval_that_a_strategy_is_not_meant_for_is_refused() -> None:
    Toy.check_interval(Interval.parse("5m"))
    with pytest.raises(BadInput, match="works on bars of 5m, not of 1m"):
        Toy.check_interval(Interval.parse("1m"))


def test_bars_in_the_agreed_form_are_accepted() -> None:
    validate_bars(some_bars())


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda bars: bars.drop(columns="volume"), "lack the columns volume"),
        (lambda bars: bars.tz_localize(None), "zone"),
        (lambda bars: bars.iloc[::-1], "sorted"),
        (lambda bars: pd.concat([bars, bars.iloc[-1:]]), "once"),
        (lambda bars: bars.assign(close=[1.0, np.nan, 1.0, 1.0]), "empty"),
    ],
)
def test_bars_in_another_form_are_refused(spoil: object, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        validate_bars(spoil(some_bars()))  # type: ignore[operator]


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda frame: frame.drop(columns="short_exit"), "exactly the columns"),
        (lambda frame: frame.assign(other=True), "exactly the columns"),
        (lambda frame: frame.astype({"long_exit": np.float64}), "long_exit are not boolean"),
        (lambda frame: frame.iloc[1:], "3 rows"),
        (lambda frame: frame.shift(freq="5min"), "another index"),
    ],
)
def test_signals_in_another_form_are_refused(spoil: object, says: str) -> None:
    bars = some_bars()
    frame = Toy().signals(bars)
    validate_signals(bars, frame)
    with pytest.raises(BadInput, match=says):
        validate_signals(bars, spoil(frame))  # type: ignore[operator]

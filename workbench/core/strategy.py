"""What a strategy is: parameters and one method that turns bars into signals.

A strategy is a frozen dataclass. Its fields are its parameters, each declared with :func:`param`, which keeps the
range that tuning may search and that every value is held to. Its one method, :meth:`Strategy.signals`, sees a frame of
closed bars and gives a frame of booleans; it reads no clock, no file and no broker.

The law that every strategy keeps, and that `workbench.testing.strategy_law` tests:

* causal: the signals of a prefix of the bars are the prefix of the signals;
* settled: the last row computed from the last ``settle_bars`` bars equals the last row computed from all history. This
  is what lets the live process evaluate a short window, and a replay the whole history at once, and mean the same.

Invariant: an instance never holds a parameter outside its declared type and range.
"""

from __future__ import annotations

import dataclasses
import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

from workbench.core.bars import Interval
from workbench.core.errors import BadInput, UnknownName

if TYPE_CHECKING:
    import pandas as pd

SIGNAL_COLUMNS = ("long_entry", "long_exit", "short_entry", "short_exit")
BAR_COLUMNS = ("open", "high", "low", "close", "volume")

Number = int | float

_KEY = "workbench.param"


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterRange:
    """Type, default and range of one parameter.

    Parameters
    ----------
    kind : type
        ``int`` or ``float``.
    default, low, high : int or float
        Both ends belong to the range.
    step : int or float
        Distance between two values that a sweep tries.
    doc : str
        One line for the reader of a form.
    """

    kind: type[int] | type[float]
    default: Number
    low: Number
    high: Number
    step: Number
    doc: str = ""

    def read(self, name: str, value: object) -> Number:
        """Give `value` as this parameter's type.

        Text is read as a number, as it comes from a command line.

        Raises
        ------
        BadInput
            Not a number of that type, or outside the range.
        """
        number = self._number(value)
        if number is None:
            raise BadInput(f"parameter {name} takes {self._what()} from {self.low} to {self.high}, not {value!r}")
        if not self.low <= number <= self.high:
            raise BadInput(f"parameter {name} = {number} is outside its range {self.low} to {self.high}")
        return number

    def values(self) -> tuple[Number, ...]:
        """Every value that a sweep tries, lowest first."""
        count = math.floor((self.high - self.low) / self.step + 1e-9) + 1
        return tuple(self.kind(round(self.low + index * self.step, 10)) for index in range(count))

    def _what(self) -> str:
        return "a whole number" if self.kind is int else "a number"

    def _number(self, value: object) -> Number | None:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            return None
        try:
            number = float(value)
        except ValueError:
            return None
        if not math.isfinite(number) or (self.kind is int and number != int(number)):
            return None
        return self.kind(number)


def param(default: Number, low: Number, high: Number, *, step: Number | None = None, doc: str = "") -> Any:
    """Declare one parameter of a strategy; use it as the default of a dataclass field.

    Parameters
    ----------
    default : int or float
        Its type is the parameter's type.
    low, high : int or float
        Ends of the range, both allowed. Values outside are refused and a sweep never leaves it.
    step : int or float, optional
        Distance of a sweep's values; 1 for whole numbers, a tenth of the range for others.
    doc : str
        One line for the reader of a form.

    Returns
    -------
    dataclasses.Field
        Typed as Any so that ``fast: int = param(9, 2, 50)`` reads as what it is.
    """
    kind: type[int] | type[float] = int if isinstance(default, int) else float
    if not low <= default <= high:
        raise BadInput(f"default {default} is outside its range {low} to {high}")
    chosen = step if step is not None else (1 if kind is int else (high - low) / 10)
    declared = ParameterRange(kind=kind, default=default, low=low, high=high, step=chosen, doc=doc)
    return dataclasses.field(default=default, metadata={_KEY: declared})


@dataclass(frozen=True, slots=True, kw_only=True)
class Strategy(ABC):
    """Base of all strategies: parameters in, signals out, nothing else.

    Subclasses are ``@dataclass(frozen=True, slots=True, kw_only=True)``, set :attr:`name`, and write :meth:`signals`
    and :attr:`settle_bars`.

    Notes
    -----
    What the types cannot say: `signals` may look at a row and at rows before it, never after; it must not keep
    anything between two calls; and a value on which a decision turns must not depend on bars older than
    ``settle_bars``, not even in its last digits (compare with a tolerance: see
    `workbench.strategies.indicators.crossed_over`).
    """

    name: ClassVar[str] = ""
    supported_intervals: ClassVar[tuple[str, ...]] = ()
    """Intervals that the strategy is meant for; empty: any."""

    def __post_init__(self) -> None:
        for key, declared in self.ranges().items():
            object.__setattr__(self, key, declared.read(key, getattr(self, key)))
        self.check()

    @property
    @abstractmethod
    def settle_bars(self) -> int:
        """Bars after which nothing older can change the last row; the least that live needs to be armed."""

    @abstractmethod
    def signals(self, bars: pd.DataFrame) -> pd.DataFrame:
        """Evaluate the strategy.

        Parameters
        ----------
        bars : pandas.DataFrame
            Closed bars: index `time` (bar open, Asia/Kolkata), float64 `open, high, low, close, volume`.

        Returns
        -------
        pandas.DataFrame
            Same index, boolean columns `long_entry, long_exit, short_entry, short_exit`. An entry counts on its rising
            edge.
        """

    def stop_points(self, bars: pd.DataFrame) -> pd.Series[float] | None:  # noqa: ARG002 - the base declares none
        """Stop distance in points of the underlying at each bar, NaN while unknown; None: this strategy declares no
        stop.
        """
        return None

    def notes(self, bars: pd.DataFrame) -> tuple[str, ...]:  # noqa: ARG002 - the base has nothing to say
        """What a reader of results on these bars must be told, for example a stand-in for a missing volume."""
        return ()

    def check(self) -> None:  # noqa: B027 - to be overridden where parameters depend on each other
        """Refuse combinations of parameters that make no sense; raise `BadInput`."""

    @classmethod
    def ranges(cls) -> dict[str, ParameterRange]:
        """Declared parameters in the order of the fields."""
        found = {}
        for item in dataclasses.fields(cls):
            declared = item.metadata.get(_KEY)
            if not isinstance(declared, ParameterRange):
                raise BadInput(f"strategy {cls.__name__}: declare parameter {item.name} with param(default, low, high)")
            found[item.name] = declared
        return found

    @classmethod
    def from_parameters(cls, values: Mapping[str, object]) -> Self:
        """Build the strategy from a mapping, as it stands in a manifest or on a command line.

        Raises
        ------
        UnknownName
            No such parameter (with the nearest name).
        BadInput
            A value of the wrong type or outside its range.
        """
        ranges = cls.ranges()
        for key in values:
            if key not in ranges:
                raise UnknownName(f"parameter of {cls.name or cls.__name__}", key, ranges)
        return cls(**{key: ranges[key].read(key, value) for key, value in values.items()})

    def parameters(self) -> dict[str, Number]:
        """Values of all parameters by name."""
        return {key: getattr(self, key) for key in self.ranges()}

    def with_parameters(self, **values: object) -> Self:
        """Give a copy with some parameters changed, checked as in `from_parameters`."""
        return type(self).from_parameters({**self.parameters(), **values})

    @classmethod
    def check_interval(cls, interval: Interval) -> None:
        """Refuse an interval that the strategy is not meant for."""
        if cls.supported_intervals and str(interval) not in cls.supported_intervals:
            listed = ", ".join(cls.supported_intervals)
            raise BadInput(f"strategy {cls.name} works on bars of {listed}, not of {interval}")


def validate_bars(bars: pd.DataFrame) -> None:
    """Refuse a frame that is not bars in the agreed form.

    Raises
    ------
    BadInput
        A column is missing, the index has no zone, is unsorted or holds a time twice, or a price is not a number.
    """
    missing = [column for column in BAR_COLUMNS if column not in bars.columns]
    if missing:
        raise BadInput(f"bars lack the columns {', '.join(missing)}; needed: {', '.join(BAR_COLUMNS)}")
    if getattr(bars.index, "tz", None) is None:
        raise BadInput("bars need an index of times with a zone (Asia/Kolkata), one for each bar's open")
    if not bars.index.is_monotonic_increasing or not bars.index.is_unique:
        raise BadInput("bars must be sorted by time, each time once")
    if bars[list(BAR_COLUMNS)].isna().to_numpy().any():
        raise BadInput("bars hold an empty price or volume; a bar without a trade is absent, its volume 0 if unknown")


def validate_signals(bars: pd.DataFrame, frame: pd.DataFrame) -> None:
    """Refuse a frame of signals that does not fit its bars.

    Raises
    ------
    BadInput
        A signal column is missing or not boolean, there is another column, or the index differs.
    """
    columns: Iterable[str] = [str(column) for column in frame.columns]
    if tuple(columns) != SIGNAL_COLUMNS:
        raise BadInput(
            f"signals need exactly the columns {', '.join(SIGNAL_COLUMNS)}, not {', '.join(columns) or 'none'}"
        )
    wrong = [column for column in SIGNAL_COLUMNS if frame[column].dtype != bool]
    if wrong:
        raise BadInput(f"signal columns {', '.join(wrong)} are not boolean")
    if not frame.index.equals(bars.index):
        raise BadInput(f"signals have {len(frame)} rows with another index than the {len(bars)} bars")

"""What the data tests share: small bar frames and a store in a temporary folder."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from workbench.core.session import IST, Calendar
from workbench.data.bar_store import BarStore
from workbench.reference import calendar

MakeBars = Callable[..., pd.DataFrame]


def minutes(start: str, count: int, *, price: float = 100.0, freq: str = "1min", volume: float = 10.0) -> pd.DataFrame:
    """Bars whose prices rise by one each."""
    index = pd.date_range(start, periods=count, freq=freq, tz=IST, name="time")
    base = pd.Series([price + n for n in range(count)], index=index, dtype="float64")
    return pd.DataFrame(
        {"open": base, "high": base + 2, "low": base - 1, "close": base + 1, "volume": volume}, index=index
    )


@pytest.fixture(scope="session")
def market() -> Calendar:
    return calendar()


@pytest.fixture
def store(tmp_path: Path, market: Calendar) -> BarStore:
    return BarStore(tmp_path / "bars", market)


@pytest.fixture(scope="session")
def bars() -> MakeBars:
    return minutes

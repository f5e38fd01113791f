"""Numbers in Dhan's rows: what is no number of units or rupees is refused, and at once."""

from __future__ import annotations

import pytest

from workbench.brokers.dhan.fields import decimal_of, units_of
from workbench.core.errors import CorruptData


@pytest.mark.parametrize("value", ["1e999999", 1e300, "1e19", "inf", "nan", "x", True, None])
def test_r20_a_number_that_no_account_can_hold_is_refused(value: object) -> None:
    for read in (units_of, decimal_of):
        with pytest.raises(CorruptData, match="quantity"):
            read({"quantity": value}, "quantity")


def test_r20_a_number_as_text_or_number_is_read() -> None:
    assert [units_of({"quantity": each}, "quantity") for each in ("50", 50, 50.0)] == [50, 50, 50]

"""Dated facts of the Indian market as frozen tables: sessions, contracts, charges.

The rows are Python literals with a first day and a source each; the tables that answer questions are pure and live in
`workbench.core`. `bootstrap` hands them to the engine.

Invariant: what no row covers is refused (`UnknownSession`, `UnknownContract`, `UnknownFact`), never guessed.
"""

from functools import cache

from workbench.core.charges import ChargeTable
from workbench.core.contracts import ContractTable
from workbench.core.session import Calendar
from workbench.reference.charges import build_charge_table
from workbench.reference.contracts import build_contract_table
from workbench.reference.sessions import build_calendar


@cache
def calendar() -> Calendar:
    """Give the trading calendar; built once."""
    return build_calendar()


@cache
def contract_table() -> ContractTable:
    """Give the table of contracts; built once."""
    return build_contract_table(calendar())


@cache
def charge_table() -> ChargeTable:
    """Give the table of charges; built once."""
    return build_charge_table()


__all__ = ["calendar", "charge_table", "contract_table"]

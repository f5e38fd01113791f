"""How much: whole lots, fixed, by the share of capital that the stop may cost, or by what shares are worth."""

from decimal import ROUND_FLOOR, Decimal

from workbench.core.instrument import Instrument
from workbench.core.plan import Plan


def quantity(plan: Plan, instrument: Instrument, *, price: Decimal, capital: Decimal | None) -> int:
    """Units to trade; 0 where the risk share does not pay for one lot, or the capital is unknown.

    Parameters
    ----------
    price : Decimal
        Expected entry price, rupees.
    capital : Decimal or None
        Rupees.
    """
    if plan.lots is not None:
        return plan.lots * instrument.lot
    if plan.value is not None:
        return int(plan.value / (price * instrument.lot)) * instrument.lot if price > 0 else 0
    stop = plan.exits.stop
    if capital is None or stop is None or plan.risk_share_pct is None:
        return 0
    risk_a_lot = stop.rupees(price) * instrument.lot
    lots = (capital * plan.risk_share_pct / 100 / risk_a_lot).to_integral_value(rounding=ROUND_FLOOR)
    return int(lots) * instrument.lot

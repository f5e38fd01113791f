"""Which contract a signal trades: expiry by rule, strike by steps among the LISTED ones. Unknown means refuse."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from workbench.core.contracts import ContractTable, ExpiryKind
from workbench.core.errors import UnknownContract, UnknownFact, UnknownName
from workbench.core.instrument import Instrument, InstrumentKind, Right, Segment
from workbench.core.order import Product
from workbench.core.plan import Contract, ExpiryRule, Plan, parse_strike
from workbench.core.ports import InstrumentSource
from workbench.core.signal import Direction, Side


@dataclass(frozen=True, slots=True)
class Listings:
    """What is listed today, and the dated facts about it."""

    instruments: InstrumentSource
    contracts: ContractTable


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why no contract could be chosen."""

    reason: str


def right_for(plan: Plan, direction: Direction) -> Right:
    """Bullish buys a call or sells a put; bearish buys a put or sells a call."""
    bullish_right = Right.CE if plan.side is Side.BUY else Right.PE
    return bullish_right if direction is Direction.LONG else bullish_right.other


def entry_side(plan: Plan, direction: Direction) -> Side:
    """Side of the entry order: the plan's for options, the direction's for everything else."""
    if plan.contract is Contract.OPTION:
        return plan.side
    return Side.BUY if direction is Direction.LONG else Side.SELL


def choose(
    plan: Plan,
    direction: Direction,
    *,
    symbol: str,
    spot: Decimal,
    now: datetime,
    listings: Listings,
) -> Instrument | Refusal:
    """Choose the contract of a plan.

    Parameters
    ----------
    symbol : str
        Underlying.
    spot : Decimal
        Price of the underlying, rupees.
    listings : Listings
        What is listed today.

    Returns
    -------
    Instrument or Refusal
    """
    instruments, contracts = listings.instruments, listings.contracts
    try:
        match plan.contract:
            case Contract.INDEX_AS_FUTURE:
                return synthetic(symbol, now.date(), contracts)
            case Contract.UNDERLYING:
                found = instruments.index(symbol)
                if found.kind is not InstrumentKind.EQUITY:
                    return Refusal(
                        f"{symbol} is an index and cannot be bought itself; use an option or index_as_future"
                    )
                if plan.product is Product.CNC and direction is Direction.SHORT:
                    return Refusal(f"{symbol} cannot be sold short as CNC; a plan with product INTRADAY can")
                return found
            case Contract.FUTURE | Contract.OPTION:
                expiry = expiry_of(plan, symbol, now, listings)
                if isinstance(expiry, Refusal):
                    return expiry
                if plan.contract is Contract.FUTURE:
                    return instruments.future(symbol, expiry) or Refusal(f"no future of {symbol} {expiry} is listed")
                right = right_for(plan, direction)
                return by_strike(instruments, symbol, expiry, right, spot=spot, steps=parse_strike(plan.strike))
    except (UnknownFact, UnknownName) as error:
        return Refusal(str(error))


def given_contract(
    plan: Plan,
    *,
    symbol: str,
    strike: Decimal,
    right: Right,
    now: datetime,
    listings: Listings,
) -> Instrument | Refusal:
    """Give the contract that an alert names by strike and type, in the plan's expiry; it must be listed."""
    try:
        expiry = expiry_of(plan, symbol, now, listings)
    except (UnknownFact, UnknownName) as error:
        return Refusal(str(error))
    if isinstance(expiry, Refusal):
        return expiry
    for option in listings.instruments.options(symbol, expiry):
        if option.strike == strike and option.right is right:
            return option
    return Refusal(f"{symbol} {expiry} {strike} {right.value} is not listed")


def by_strike(
    instruments: InstrumentSource, symbol: str, expiry: date, right: Right, *, spot: Decimal, steps: int
) -> Instrument | Refusal:
    """Give the listed option nearest to the spot (a tie goes to the lower), `steps` listed strikes into the money."""
    listed = [option for option in instruments.options(symbol, expiry) if option.right is right and option.strike]
    if not listed:
        return Refusal(f"no {right.value} of {symbol} {expiry} is listed")
    strikes = [option.strike or spot for option in listed]
    at_the_money = min(range(len(listed)), key=lambda index: (abs(strikes[index] - spot), strikes[index]))
    into = -steps if right is Right.CE else steps
    wanted = at_the_money + into
    if not 0 <= wanted < len(listed):
        return Refusal(f"{symbol} {expiry}: no listed strike {steps:+d} steps from the money at {spot}")
    return listed[wanted]


def synthetic(symbol: str, on: date, contracts: ContractTable) -> Instrument:
    """Give the index traded as if it were the nearest monthly future: its lot and tick of that date, zero basis."""
    end = date(on.year + (on.month > 10), (on.month + 1) % 12 + 1, 1)
    end = min(end, date(max(contracts.calendar.years), 12, 31))
    expiries = contracts.expiries(symbol, start=on, end=end, kind=ExpiryKind.MONTHLY)
    if not expiries:
        raise UnknownContract(f"no monthly expiry of {symbol} from {on} on is known: the calendar ends on {end}")
    expiry = expiries[0]
    return Instrument(
        segment=Segment.NSE_FNO,
        security_id=contracts.underlying(symbol).synthetic_id,
        symbol=symbol,
        kind=InstrumentKind.SYNTHETIC,
        lot=contracts.lot(symbol, expiry, on),
        tick=contracts.tick(symbol, InstrumentKind.FUTURE, on),
        display_name=f"{symbol} index as future",
    )


def expiry_of(plan: Plan, symbol: str, now: datetime, listings: Listings) -> date | Refusal:
    """Give the expiry that a plan trades now."""
    today = now.date()
    contracts = listings.contracts
    listed = [expiry for expiry in listings.instruments.expiries(symbol) if expiry >= today]
    roll = plan.roll_on_expiry_at
    if listed and listed[0] == today and roll is not None and now.timetz().replace(tzinfo=None) >= roll:
        listed = listed[1:]
    if plan.expiry is ExpiryRule.WEEKLY and not contracts.has_weekly(symbol, today):
        return Refusal(f"{symbol} has no weekly expiry on {today}; use nearest or monthly")
    monthly = plan.expiry in (ExpiryRule.MONTHLY, ExpiryRule.NEXT_MONTHLY)
    if monthly:
        listed = [expiry for expiry in listed if contracts.expiry_kind(symbol, expiry) is ExpiryKind.MONTHLY]
    index = 1 if plan.expiry in (ExpiryRule.NEXT, ExpiryRule.NEXT_MONTHLY) else 0
    if index >= len(listed):
        return Refusal(f"no {plan.expiry.value} expiry of {symbol} is listed on {today}")
    return listed[index]

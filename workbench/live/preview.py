"""What a click would do, before it is made: contract, units, cost, stop, worst loss, and what would refuse it.

Invariant: nothing is decided or sent here; the same functions of the core answer as for a real entry.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from workbench.core.bars import Quote
from workbench.core.charges import Execution, charge_kind, exchange_of, trade_charges
from workbench.core.deployment import Deployment
from workbench.core.errors import BadInput, UnknownFact, UnknownName
from workbench.core.exits import levels
from workbench.core.legs import Refusal, choose, entry_side
from workbench.core.messages import AlertAction
from workbench.core.order import Product
from workbench.core.plan import Contract, OnOpposite
from workbench.core.risk import judge_before_contract
from workbench.core.signal import Direction, Side
from workbench.core.sizing import quantity
from workbench.live.status import number, position_view
from workbench.live.structure_preview import legs_preview
from workbench.live.system import LiveSystem

BUTTONS = {
    "BUY_CE": AlertAction.OPEN_CALL,
    "BUY_PE": AlertAction.OPEN_PUT,
    "SELL_CE": AlertAction.CLOSE_CALL,
    "SELL_PE": AlertAction.CLOSE_PUT,
}


def button(name: str) -> AlertAction:
    """Read a button's name (``BUY CE``, ``buy_ce``, ``BUY_CE``)."""
    key = name.strip().upper().replace(" ", "_")
    if key not in BUTTONS:
        raise UnknownName("button", name[:20], BUTTONS)
    return BUTTONS[key]


def choose_deployment(system: LiveSystem, name: str | None) -> Deployment:
    """Give the named deployment, or the first that trades options."""
    deployments = system.runner.engine.config.deployments
    if name:
        found = next((item for item in deployments if item.name == name), None)
        if found is None:
            raise UnknownName("deployment", name[:40], [item.name for item in deployments])
        return found
    options = [item for item in deployments if item.plan.contract is Contract.OPTION]
    # An alert-driven one first: its strategy would not argue with the hand.
    options.sort(key=lambda item: item.strategy is not None)
    if not options:
        raise BadInput("no deployment trades options; promote one first (workbench promote)")
    return options[0]


def preview(system: LiveSystem, deployment: Deployment, action: AlertAction) -> dict[str, Any]:
    """Say what the button would do now.

    Returns
    -------
    dict
        `possible` with `reason`; for an entry also instrument, lots, units, price, cost, stop, target, charges and
        `worst_loss` (all that was paid, where there is no stop), rupees; for an entry of several legs what
        `legs_preview` says; for an exit the position that it closes.
    """
    held = system.runner.engine.book.live_of(deployment.name)
    body: dict[str, Any] = {"deployment": deployment.name, "action": action.value}
    if action in (AlertAction.CLOSE_CALL, AlertAction.CLOSE_PUT):
        right = "CE" if action is AlertAction.CLOSE_CALL else "PE"
        if held is None or held.plan.instrument.right is None or held.plan.instrument.right.value != right:
            return {**body, "possible": False, "reason": f"no {right} is held: SELL closes what is held"}
        return {**body, "possible": True, "reason": "closes what is held", "position": position_view(system, held)}
    return {
        **body,
        **_entry(system, deployment, Direction.LONG if action is AlertAction.OPEN_CALL else Direction.SHORT),
    }


def _may_enter(system: LiveSystem, deployment: Deployment, direction: Direction) -> tuple[bool, str]:
    """Ask the gates that need no contract; an opposite position is no hindrance to a plan that reverses."""
    book = system.runner.engine.book
    denied = judge_before_contract(deployment, book, system.now, system.session(), direction)
    held = book.live_of(deployment.name)
    reverses = deployment.plan.on_opposite is OnOpposite.REVERSE
    opposite = held is not None and held.plan.direction is direction.opposite
    if opposite and reverses and (denied is None or denied.gate == "one_position_per_symbol"):
        return True, f"closes {held.plan.instrument.name if held else ''} first"
    return (True, "") if denied is None else (False, f"{denied.gate}: {denied.reason}")


def _priced_freshly(
    system: LiveSystem, deployment: Deployment, quote: Quote, name: str, so_far: tuple[bool, str]
) -> tuple[bool, str]:
    """Refuse a price as old as one on which the entry would be denied (gate stale_feed)."""
    most = system.runner.engine.config.limits.narrowed(deployment.limits).max_quote_age_s
    age_s = (system.now - quote.time).total_seconds()
    if not so_far[0] or deployment.plan.is_synthetic or age_s <= most:
        return so_far
    return False, f"stale price: the last quote of {name} is {age_s:.0f} s old, at most {most:.0f} s"


def _entry(system: LiveSystem, deployment: Deployment, direction: Direction) -> dict[str, Any]:
    engine = system.runner.engine
    spot = system.spot_quote(deployment.symbol)
    if spot is None:
        return {"possible": False, "reason": f"no price of {deployment.symbol} yet"}
    if deployment.plan.is_structure:
        return _entry_of_legs(system, deployment, direction, spot.last)
    chosen = choose(
        deployment.plan,
        direction,
        symbol=deployment.symbol,
        spot=spot.last,
        now=system.now,
        listings=engine.config.listings,
    )
    if isinstance(chosen, Refusal):
        return {"possible": False, "reason": chosen.reason}
    possible, reason = _may_enter(system, deployment, direction)
    body: dict[str, Any] = {
        "possible": possible,
        "reason": reason,
        "instrument": chosen.name,
        "key": chosen.key,
        "spot": number(spot.last),
    }
    quote = engine.quotes.get(chosen.key)
    if quote is None or quote.ask <= 0:
        return {**body, "possible": False, "reason": body["reason"] or f"no quote of {chosen.name} yet"}
    possible, reason = _priced_freshly(system, deployment, quote, chosen.name, (possible, reason))
    body |= {"possible": possible, "reason": reason}
    side = entry_side(deployment.plan, direction)
    price = quote.ask if side is Side.BUY else quote.bid
    limits = engine.config.limits
    capital = limits.capital if limits.capital is not None else engine.book.funds
    units = quantity(deployment.plan, chosen, price=price, capital=capital)
    laid = levels(deployment.plan.exits, side, price, chosen.tick)
    leave = laid.stop if laid.stop is not None else (Decimal(0) if side is Side.BUY else price * 2)
    charges = Decimal(0)
    if units:
        entry = Execution(side=side, quantity=units, price=price, on=system.now.date())
        exit_ = Execution(side=side.opposite, quantity=units, price=leave, on=system.now.date())
        try:
            kind = charge_kind(chosen.kind, delivery=deployment.plan.product is Product.CNC)
            charges = trade_charges(
                engine.config.charges, kind, exchange_of(chosen.segment), entry=entry, exit=exit_
            ).total
        except UnknownFact as error:
            return {**body, "possible": False, "reason": str(error)}
    return {
        **body,
        "side": side.value,
        "lots": number(Decimal(units) / chosen.lot),
        "units": units,
        "price": number(price),
        "cost": number(price * units),
        "stop": number(laid.stop),
        "target": number(laid.target),
        "charges": number(charges),
        "worst_loss": number(side.sign * (price - leave) * units + charges),
        "priced_by_model": quote.model,
    }


def _entry_of_legs(system: LiveSystem, deployment: Deployment, direction: Direction, spot: Decimal) -> dict[str, Any]:
    laid_out = legs_preview(system, deployment, direction, spot)
    if isinstance(laid_out, str):
        return {"possible": False, "reason": laid_out}
    possible, reason = _may_enter(system, deployment, direction)
    for leg in laid_out.get("legs", ()):
        quote = system.runner.engine.quotes[leg["key"]]
        possible, reason = _priced_freshly(system, deployment, quote, leg["instrument"], (possible, reason))
    return {"possible": possible, "reason": reason, "spot": number(spot), **laid_out}

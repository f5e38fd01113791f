"""The gates judged from outside: what the journal says was told, against each entry that was let through (I7).

Each rule is written down anew here from the meaning of its gate, not from its code. It reads the journal as it is
written: the messages that went in, and the events that came out.

Invariant: a rule never looks into the engine.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from workbench.core.bars import Interval
from workbench.core.deployment import Deployment
from workbench.core.engine import EngineConfig
from workbench.core.messages import (
    AccountFrozen,
    AccountUnfrozen,
    AlertReceived,
    DayOpened,
    DeploymentChecked,
    EntryFailed,
    Event,
    ExitBegan,
    FeedChecked,
    FillBooked,
    FundsSeen,
    LeftToExpire,
    Message,
    Operator,
    OperatorOrdered,
    PositionClosed,
    PositionPlanned,
    QuoteReceived,
    SignalRaised,
    SwitchTurned,
)
from workbench.core.ports import JournalEntry
from workbench.testing.proof.market import session_of
from workbench.testing.proof.oracle import promise

QUOTE_AGE_S = 5.0


@dataclass(slots=True)
class Told:
    """What the journal says up to now."""

    halted: bool = False
    frozen: bool = False
    alive: bool = True
    funds: Decimal | None = None
    armed: dict[str, bool] = field(default_factory=dict)
    known_at: dict[str, tuple[datetime | None, timedelta, bool]] = field(default_factory=dict)
    live: dict[str, str] = field(default_factory=dict)
    deployments: dict[str, str] = field(default_factory=dict)
    stopped: set[str] = field(default_factory=set)
    trades: int = 0
    nets: dict[str, Decimal] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Entered:
    """An entry that was let through."""

    plan: PositionPlanned
    deployment: Deployment
    now: datetime


class Gatekeeper:
    """Reads the journal along.

    Parameters
    ----------
    config : EngineConfig
    """

    def __init__(self, config: EngineConfig) -> None:
        self._config = config
        self.told = Told()
        self.quoted: dict[str, datetime] = {}
        self.exits: list[ExitBegan] = []
        self.flatten_at: datetime | None = None

    def saw(self, message: QuoteReceived, now: datetime) -> None:
        """Note a quote, which does not go to the journal."""
        if message.quote.last > 0:
            self.quoted[message.quote.key] = now

    def take(self, entry: JournalEntry) -> None:
        """Judge one entry as it is written."""
        if entry.message is not None:
            self._heard(entry.message)
        if isinstance(entry.message, OperatorOrdered) and entry.message.command is Operator.FLATTEN:
            self.flatten_at = entry.now
        for event in entry.events:
            if isinstance(event, PositionPlanned) and event.at == entry.now:
                deployment = self._config.deployment(event.deployment)
                promise(deployment is not None, "I7", f"{event.deployment} is not deployed")
                if deployment is not None:
                    self._judge(Entered(event, deployment, entry.now))
            if isinstance(event, ExitBegan):
                self.exits.append(event)
            self._happened(event)

    def again(self, entries: Iterable[JournalEntry]) -> None:
        """Begin anew after a death: only what is on the disk was told."""
        self.told = Told()
        for entry in entries:
            if entry.message is not None:
                self._heard(entry.message)
            for event in entry.events:
                self._happened(event)

    # --- reading -------------------------------------------------------------------------------------------------

    def _heard(self, message: Message) -> None:
        told = self.told
        match message:
            case OperatorOrdered():
                if message.command in (Operator.HALT, Operator.FLATTEN):
                    told.halted = True
                elif message.command is Operator.RESUME:
                    told.halted = False
            case AlertReceived():
                age = timedelta(seconds=self._config.limits.max_alert_age_s)
                told.known_at[message.alert_id] = message.fired_at, age, False
            case SignalRaised():
                subject = f"signal:{message.deployment}:{message.bar_time:%Y-%m-%dT%H:%M:%S}"
                deployment = self._config.deployment(message.deployment)
                if deployment is not None:
                    told.known_at[subject] = message.known_at, Interval.parse(deployment.interval).delta, True
            case DeploymentChecked():
                told.armed[message.deployment] = message.armed
            case FeedChecked():
                told.alive = message.alive
            case _:
                return

    def _happened(self, event: Event) -> None:
        told = self.told
        match event:
            case DayOpened():
                told.live.clear()
                told.stopped.clear()
                told.nets.clear()
                told.trades = 0
                told.halted = event.halted
            case SwitchTurned():
                told.halted = event.halted
            case AccountFrozen():
                told.frozen = True
            case AccountUnfrozen():
                told.frozen = False
            case FundsSeen():
                told.funds = event.available
            case _:
                self._moved(event)

    def _moved(self, event: Event) -> None:
        told = self.told
        match event:
            case PositionPlanned():
                told.live[event.position_id] = event.deployment
                told.deployments[event.position_id] = event.deployment
                told.trades += not event.group
            case ExitBegan():
                if event.reason in ("stop", "trail"):
                    told.stopped.add(told.deployments.get(event.position_id, ""))
            case PositionClosed():
                told.live.pop(event.position_id, None)
                told.nets[event.position_id] = event.net
                if event.reason in ("stop", "trail"):
                    told.stopped.add(told.deployments.get(event.position_id, ""))
            case EntryFailed() | LeftToExpire():
                told.live.pop(event.position_id, None)
            case FillBooked():
                if event.position_id in told.deployments:
                    told.live[event.position_id] = told.deployments[event.position_id]
            case _:
                return

    # --- judging -------------------------------------------------------------------------------------------------

    def _judge(self, entered: Entered) -> None:
        rules = SLICE_RULES if entered.plan.group else RULES
        for name, rule in rules.items():
            why = rule(self, entered)
            promise(not why, "I7", f"gate {name}: {entered.plan.position_id} entered at {entered.now:%H:%M:%S}: {why}")

    @property
    def config(self) -> EngineConfig:
        """The configuration of the account."""
        return self._config


Rule = Callable[[Gatekeeper, Entered], str]


def _trading_switch(keeper: Gatekeeper, _: Entered) -> str:
    return "entries are halted" if keeper.told.halted else ""


def _frozen(keeper: Gatekeeper, _: Entered) -> str:
    return "the account is frozen" if keeper.told.frozen else ""


def _armed(keeper: Gatekeeper, entered: Entered) -> str:
    known = keeper.told.known_at.get(entered.plan.subject)
    is_signal = known is not None and known[2]
    return "not armed" if is_signal and not keeper.told.armed.get(entered.plan.deployment, False) else ""


def _session(_: Gatekeeper, entered: Entered) -> str:
    session = session_of(entered.now.date())
    return "" if session.open <= entered.now < session.square_off_start else "outside of the hours of entries"


def _entry_window(keeper: Gatekeeper, entered: Entered) -> str:
    clock, plan, limits = entered.now.time(), entered.deployment.plan, keeper.config.limits
    first = max((each for each in (plan.no_entry_before, limits.no_entry_before) if each), default=dt.time.min)
    last = min((each for each in (plan.no_entry_after, limits.no_entry_after) if each), default=dt.time.max)
    if entered.plan.instrument.expiry == entered.now.date() and plan.no_entry_after_on_expiry is not None:
        last = min(last, plan.no_entry_after_on_expiry)
    return "" if first <= clock < last else f"the window is {first} to {last}"


def _stale(keeper: Gatekeeper, entered: Entered) -> str:
    known = keeper.told.known_at.get(entered.plan.subject)
    if known is None:
        return "nobody asked for it"
    if known[0] is None:
        return ""
    age = entered.now - known[0]
    return "" if timedelta(seconds=-10) <= age <= known[1] else f"asked {age.total_seconds():.0f} s ago"


def _stale_feed(keeper: Gatekeeper, entered: Entered) -> str:
    quoted = keeper.quoted.get(entered.plan.instrument.key)
    if not keeper.told.alive:
        return "market data is not alive"
    is_old = quoted is None or (entered.now - quoted).total_seconds() > QUOTE_AGE_S
    return f"the last quote is of {quoted}" if is_old else ""


def _one_position(keeper: Gatekeeper, entered: Entered) -> str:
    mine = [each for each, name in keeper.told.live.items() if name == entered.plan.deployment]
    return f"{mine[0]} lives" if mine else ""


def _reentry(keeper: Gatekeeper, entered: Entered) -> str:
    is_second = not entered.deployment.plan.reentry and entered.plan.deployment in keeper.told.stopped
    return "stopped out before" if is_second else ""


def _trades_a_day(keeper: Gatekeeper, _: Entered) -> str:
    trades, most = keeper.told.trades, keeper.config.limits.max_trades_per_day
    return f"{trades} trades, at most {most}" if trades >= most else ""


def _daily_loss(keeper: Gatekeeper, _: Entered) -> str:
    net, most = sum(keeper.told.nets.values(), Decimal(0)), keeper.config.limits.max_daily_loss
    return f"day P&L {net}, limit {most}" if net <= -most and not keeper.told.live else ""


def _freeze_quantity(_: Gatekeeper, entered: Entered) -> str:
    units, instrument = entered.plan.quantity, entered.plan.instrument
    is_frozen = instrument.freeze is not None and units > instrument.freeze
    return f"{units} units" if units <= 0 or units % instrument.lot or is_frozen else ""


def _premium_range(keeper: Gatekeeper, entered: Entered) -> str:
    price = entered.plan.reference_price
    for bounds in (entered.deployment.plan, keeper.config.limits):
        least, most = bounds.min_premium or Decimal(0), bounds.max_premium or price
        if not least <= price <= most:
            return f"premium {price}, from {least} to {most}"
    return ""


def _loss_per_trade(keeper: Gatekeeper, entered: Entered) -> str:
    stop, limits, plan = entered.plan.exits.stop, keeper.config.limits, entered.deployment.plan
    if stop is None or limits.capital is None or plan.lots is None:
        return ""
    loss = stop.rupees(entered.plan.reference_price) * plan.lots * entered.plan.instrument.lot
    most = limits.capital * limits.risk_per_trade_pct / 100
    return f"Rs {loss} at risk, at most {most}" if loss > most else ""


def _funds(keeper: Gatekeeper, entered: Entered) -> str:
    plan, funds = entered.deployment.plan, keeper.told.funds
    if funds is None or plan.lots is None:
        return ""
    cost = entered.plan.reference_price * plan.lots * entered.plan.instrument.lot
    return f"costs {cost}, funds are {funds}" if cost > funds else ""


RULES: dict[str, Rule] = {
    "trading_switch": _trading_switch,
    "frozen": _frozen,
    "armed": _armed,
    "session": _session,
    "entry_window": _entry_window,
    "stale": _stale,
    "stale_feed": _stale_feed,
    "one_position_per_symbol": _one_position,
    "reentry": _reentry,
    "trades_a_day": _trades_a_day,
    "daily_loss": _daily_loss,
    "freeze_quantity": _freeze_quantity,
    "premium_range": _premium_range,
    "loss_per_trade": _loss_per_trade,
    "funds": _funds,
}
"""By the name of the gate."""

SLICE_RULES: dict[str, Rule] = {
    name: RULES[name] for name in ("trading_switch", "frozen", "session", "stale_feed", "freeze_quantity")
}
"""What holds for the further orders of one entry too."""

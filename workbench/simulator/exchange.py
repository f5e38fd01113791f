"""The simulator itself: a market, a board of prices, a desk and an account, moved second by second.

No sockets and no wall clock in here: a test can move it by hand.

Invariant: one step is one market second: prices first, then matching, then the broker's own doings.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal

from workbench.core.charges import ChargeTable
from workbench.core.contracts import ContractTable
from workbench.core.errors import BadInput
from workbench.core.pricing import OptionPricer, PricingInputs, inputs_from_closes
from workbench.core.session import Calendar
from workbench.simulator import wire
from workbench.simulator.account import Account
from workbench.simulator.addresses import Addresses
from workbench.simulator.board import Board
from workbench.simulator.conditional import ConditionalOrders
from workbench.simulator.desk import Desk
from workbench.simulator.doors import ACTIVE, Doors
from workbench.simulator.feed import FeedHub
from workbench.simulator.limits import RateLimits
from workbench.simulator.listing import Listed, Listing
from workbench.simulator.market import Market, trading_session
from workbench.simulator.orders import SimOrder
from workbench.simulator.pnl_exit import PnlExit
from workbench.simulator.statements import Statements
from workbench.simulator.super_orders import SuperOrders
from workbench.simulator.tokens import LIFE_S, MINT_EVERY_S, Login, TokenKind, Tokens
from workbench.simulator.updates import UpdateHub

LEAD_S = 30
"""Seconds before the open at which the market stands until somebody is ready."""

_VOLATILITY_WITHOUT_HISTORY = 0.15


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatorConfig:
    """How the simulator runs.

    Parameters
    ----------
    speed : float or None
        Market seconds in a real second; None is lockstep, as fast as the client acknowledges.
    client_id, token : str
        What a client has to show; the practice token is no secret.
    starting_funds : Decimal
        Rupees.
    transit_s : float
        Real seconds that an order is in transit before the exchange sees it; 0 lets it be seen right after the answer.
    first_number : int
        Order ids of the day count from the next number on, below ten million. They are the same in every run, as all
        else, unless a run starts elsewhere so as not to use an earlier run's ids again.
    free_run : bool
        Run without a client that acknowledges (tests and demonstrations).
    closing_s : float
        Real seconds for which a synthetic day stays closed when nobody asks for the next one.
    update_casing : {"pascal", "camel", "both"}
        How the fields of an order update are written; the broker's own documents and its users disagree.
    prev_close_for_all : bool
        Send the previous close (packet 6) for every new subscription, not for indices alone; the documents disagree.
    legs_share_ids : bool
        Show target and stop of a super order under the id of its entry, as in the broker's published sample; what his
        server does is not known.
    rate_scale : float or None
        How many times faster than at the broker the windows of its rate limits pass; None: nothing is limited.
    token_kind : TokenKind
        Of the first token: the practice one never ends; the others are made as Dhan makes them.
    pin, totp_secret : str
        What mints a new token; while they are empty nobody can.
    token_life_s, mint_every_s : float
        Real seconds that a made token lives, and between two mintings.
    ip_allowed : bool
        Whether the client's address is on the list of those that may write orders.
    data_plan : str
        What the profile says of it; market data is for "Active" alone.
    """

    speed: float | None = None
    client_id: str = "1000000001"
    token: str = "practice-token"  # noqa: S105
    starting_funds: Decimal = Decimal(1_000_000)
    transit_s: float = 0.0
    first_number: int = 0
    free_run: bool = False
    closing_s: float = 5.0
    update_casing: str = "pascal"
    prev_close_for_all: bool = False
    legs_share_ids: bool = False
    rate_scale: float | None = None
    token_kind: TokenKind = TokenKind.PRACTICE
    pin: str = field(default="", repr=False)
    totp_secret: str = field(default="", repr=False)
    token_life_s: float = LIFE_S
    mint_every_s: float = MINT_EVERY_S
    ip_allowed: bool = True
    data_plan: str = ACTIVE

    def __post_init__(self) -> None:
        if self.speed is not None and self.speed <= 0:
            raise BadInput(f"speed {self.speed} is not above zero; give market seconds per second, or max")


class Simulator:
    """Dhan, on one day after the other.

    Parameters
    ----------
    market : Market
    calendar : Calendar
    contracts : ContractTable
    charges : ChargeTable
    config : SimulatorConfig
    """

    def __init__(
        self,
        market: Market,
        calendar: Calendar,
        contracts: ContractTable,
        charges: ChargeTable,
        config: SimulatorConfig = SimulatorConfig(),
    ) -> None:
        self.market, self.calendar, self.contracts, self.charges = market, calendar, contracts, charges
        self.config = config
        self.client_id = config.client_id
        self.tokens = Tokens(
            config.client_id, config.token, kind=config.token_kind,
            login=Login(
                pin=config.pin, totp_secret=config.totp_secret, life_s=config.token_life_s,
                mint_every_s=config.mint_every_s,
            ),
        )  # fmt: skip
        self.addresses = Addresses(allowed=config.ip_allowed)
        self.doors = Doors(
            config.client_id, tokens=self.tokens, limits=RateLimits(config.rate_scale), addresses=self.addresses,
            data_plan=config.data_plan,
        )  # fmt: skip
        self.feed = FeedHub(self.token, self.client_id, prev_close_for_all=config.prev_close_for_all)
        self.updates = UpdateHub(self.token, self.client_id, casing=config.update_casing)
        self.account = Account(config.starting_funds)
        self.desk = Desk(self.account, self._changed, config.first_number, client_id=config.client_id)
        self.super_orders = SuperOrders(self.desk, legs_share_ids=config.legs_share_ids)
        self.conditional = ConditionalOrders(self.desk)
        self.pnl_exit = PnlExit(self.desk)
        self.statements = Statements(self.account, charges)
        self._inputs: dict[tuple[str, date], PricingInputs] = {}
        self.open_day(market.first_day)

    @property
    def token(self) -> str:
        """The token that opens the doors now."""
        return self.tokens.current.text

    @property
    def now(self) -> datetime:
        """Market time."""
        return self.board.now

    @property
    def is_over(self) -> bool:
        """The day's last second has passed."""
        return self.now >= self.session.close

    def open_day(self, day: date) -> None:
        """Stand half a minute before the open of a day."""
        self.day, self.session = day, trading_session(self.calendar, day)
        self.listing, self.board = self._floor(day)
        self.desk.open_day(self.board, self.session)
        self.feed.use(self.board)

    def _floor(self, day: date) -> tuple[Listing, Board]:
        """Give what is listed on a day and the prices of it, before the open."""
        market = self.market
        paths = {symbol: market.path(symbol, day) for symbol in market.symbols}
        previous = {
            symbol: (list(market.closes(symbol, day)) or [float(path.prices[0])])[-1] for symbol, path in paths.items()
        }
        listing = Listing(self.contracts, self.calendar, day, previous)
        for position in self.account.positions.values():
            listing.include(position.listed)
        pricers = {symbol: self.pricer(symbol, day) for symbol in market.symbols}
        board = Board(listing, paths, pricers, previous)
        board.move(-LEAD_S)
        return listing, board

    def step(self) -> None:
        """Move one market second on."""
        board, desk = self.board, self.desk
        desk.admit_transit()
        board.move(board.second + 1)
        if board.second < 0:
            return
        if self.is_over:
            desk.close_day()
        elif self.session.contains(board.now):
            desk.match()
            desk.square_off_due()

    def next_day(self) -> bool:
        """Carry the account over and open the next session; False when there is none."""
        following = self.market.next_day(self.day)
        if following is None:
            return False
        self.settle()
        self.open_day(following)
        return True

    def settle(self) -> None:
        """Carry the account over the night: expired contracts are paid out, the day is billed."""
        expired = self.desk.settle()
        self.statements.close_day(self.day, self.desk.trades, expired)

    def pricer(self, symbol: str, day: date) -> OptionPricer:
        """Give the model of an underlying's derivatives on a day."""
        key = (symbol, day)
        if key not in self._inputs:
            closes = self.market.closes(symbol, day)
            enough = len(closes) >= 3
            self._inputs[key] = (
                inputs_from_closes(closes) if enough else PricingInputs(volatility=_VOLATILITY_WITHOUT_HISTORY)
            )
        return OptionPricer(self._inputs[key])

    def find(self, segment: str, security_id: object) -> Listed | None:
        """Give a listed instrument by its wire name."""
        return self.listing.find(segment, str(security_id))

    def facts(self) -> dict[str, object]:
        """Give what makes the day repeatable, for its manifest."""
        models = {symbol: self.pricer(symbol, self.day).inputs.as_dict() for symbol in self.market.symbols}
        return {**self.market.facts(), "date": self.day.isoformat(), "pricing": {"model": "black_76", **models}}

    def book(self) -> dict[str, object]:
        """Give the simulator's own truth: orders, trades, positions and funds in Dhan's field names."""
        desk = self.desk
        return {
            "orders": [wire.order_row(each, self.client_id) for each in desk.orders.values()],
            "trades": [wire.trade_row(each, self.client_id) for each in desk.trades],
            "superOrders": self.super_rows(),
            "positions": self.positions(),
            "funds": self.funds(),
            "now": self.now.isoformat(),
        }

    def super_rows(self) -> list[dict[str, object]]:
        """Give the rows of the super orders."""
        return [
            wire.super_row(each, float(self.last(each.entry.listed)), self.client_id)
            for each in self.super_orders.orders.values()
        ]

    def positions(self) -> list[dict[str, object]]:
        """Give the rows of the positions."""
        return [
            wire.position_row(each, self.last(each.listed), self.client_id) for each in self.account.positions.values()
        ]

    def funds(self) -> dict[str, object]:
        """Give the funds."""
        return wire.funds_row(self.account.start_of_day, self.account.realised, self.desk.blocked(), self.client_id)

    def last(self, listed: Listed) -> Decimal:
        """Give the last price of an instrument, rupees."""
        return Decimal(repr(self.board.level(self._today(listed)).last))

    def _today(self, listed: Listed) -> Listed:
        return self.listing.by_key(listed.instrument.key) or listed

    def _changed(self, order: SimOrder) -> None:
        last = self.board.level(order.listed).last
        self.updates.tell(wire.order_alert(order, self.client_id, self.now, last))

"""What differs between practice, paper and live, in one object; the engine's process is the same for all three.

A venue says who we are, where data come from and where orders go, what time it is and who moves it. Data and orders are
two transports: what carries data has no path that writes an order.

Invariant: an engine process has one venue, chosen before anything is connected, and none of it changes afterwards.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from workbench.bootstrap.places import Places
from workbench.brokers.dhan.adapter import DhanBroker
from workbench.brokers.dhan.client import DhanClient
from workbench.brokers.dhan.order_updates import DhanOrderUpdates
from workbench.brokers.dhan.pace import Pace
from workbench.brokers.dhan.server_time import ServerTime
from workbench.brokers.dhan.transport import CONNECT_TIMEOUT_S, READ_TIMEOUT_S, Endpoint
from workbench.core.bars import Quote
from workbench.core.deployment import Deployment, Mode
from workbench.core.instrument import Segment
from workbench.core.legs import Listings
from workbench.core.messages import BrokerOrder, Message
from workbench.core.ports import Clock, MarketFeed, Notifier
from workbench.data.feed import DhanFeed
from workbench.live.system import FeedWatch

RUN_VARIABLE = "WORKBENCH_PRACTICE_RUN"
"""Names one run of a simulated account: an engine that is started again within it carries its day on."""

DRY_RUN_VARIABLE = "WORKBENCH_DRY_RUN"
"""Set for the engine of a `workbench up` that began dry: what is written into the settings meanwhile sends nothing."""

DHAN_BACKOFF_S = (0.5, 30.0)
HERE_BACKOFF_S = (0.2, 2.0)
"""First and longest wait before a socket is opened again, at Dhan and on this machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """Who we are at one broker; its ``repr`` does not show the token."""

    client_id: str
    token: str

    def __repr__(self) -> str:
        return f"Login(client …{self.client_id[-3:]})"


@dataclass(slots=True, kw_only=True)
class Wires:
    """The clients of one account.

    Parameters
    ----------
    data : DhanClient
        Candles; it cannot write orders.
    broker : DhanBroker
        Orders.
    feed : DhanFeed
    updates : DhanOrderUpdates
    market : MarketFeed
        What is subscribed and listened to: the feed, or the feed with somebody who listens too.
    """

    data: DhanClient
    broker: DhanBroker
    feed: DhanFeed
    updates: DhanOrderUpdates
    market: MarketFeed


@dataclass(frozen=True, slots=True, kw_only=True)
class Ears:
    """Who is told what Dhan's wires say besides prices.

    Parameters
    ----------
    refused : callable
        The token is no longer taken; in any thread.
    disconnected : callable
        The feed was closed by Dhan: code and reason.
    status : callable
        The status of a segment changed.
    time : callable
        What an answer's ``Date`` said; in any thread.
    """

    refused: Callable[[str], None]
    disconnected: Callable[[int, str], None]
    status: Callable[[Segment], None]
    time: Callable[[ServerTime], None] = lambda _: None


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """What the process lends its venue.

    Parameters
    ----------
    watch : FeedWatch
    notifier : Notifier
    start : callable
        Runs a coroutine as a part of the process: when it ends, the process does.
    """

    watch: FeedWatch
    notifier: Notifier
    start: Callable[[Coroutine[Any, Any, None]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """What time is moved for.

    Parameters
    ----------
    enqueue : callable
        Takes messages (the runner's).
    drained : callable
        Waits until all is done that a moment led to.
    on_second : callable
        Done at each beat before the engine's own.
    on_state : callable
        Awaited when the market's state changes: "waiting", "open", "closed".
    """

    enqueue: Callable[[Message], None]
    drained: Callable[[], Awaitable[None]]
    on_second: Callable[[dt.datetime], None]
    on_state: Callable[[str, dt.datetime], Awaitable[None]]


class Mover(Protocol):
    """Who hands quotes, order updates and time to the engine."""

    def take_quote(self, quote: Quote) -> None:
        """Hand a quote on, at its time."""
        ...

    def take_order(self, order: BrokerOrder) -> None:
        """Hand an order update on."""
        ...

    async def run(self) -> None:
        """Move the engine until cancelled."""
        ...


class Venue(Protocol):
    """One of practice, paper and live.

    Attributes
    ----------
    mode : Mode
    account_id, id_prefix : str
        Differ between the modes, so that neither journal nor order ids can be mixed up.
    scope : str
        Stands before alert ids; empty where an alert counts once for ever.
    dry_run : bool
        Orders are journalled and not sent.
    stale_after_s : float or None
        Real seconds without a quote that make the feed stale.
    wires : Wires
        Known after `connect`.
    """

    mode: Mode
    account_id: str
    id_prefix: str
    scope: str
    dry_run: bool
    stale_after_s: float | None
    wires: Wires

    @property
    def clock(self) -> Clock:
        """Market time; known after `begin`."""
        ...

    def choose(self) -> tuple[Deployment, ...]:
        """Read this account's deployments; refuse what may not run here, with the way out."""
        ...

    def begin(self) -> str:
        """Find out the time (blocking); gives words for the start."""
        ...

    def log_in(self) -> str:
        """Check who we are (blocking); gives words for the start."""
        ...

    async def connect(self, host: Host) -> None:
        """Make the clients, on the loop; called after `log_in`."""
        ...

    def load_listings(self, symbols: Sequence[str], day: dt.date) -> Listings:
        """Fetch and verify the day's instrument master (blocking)."""
        ...

    def mover(self, moved: Moved) -> Mover:
        """Give who moves the engine."""
        ...

    def speed(self) -> float:
        """Market seconds in a real second; 0 where that is not bounded."""
        ...

    def facts(self) -> dict[str, Any]:
        """What stands in the day's export about the market."""
        ...

    def hours_left(self) -> float | None:
        """Hours until the broker's token ends; None where it does not or is not told."""
        ...

    def close(self) -> None:
        """End what the venue has started beside the process's own tasks (blocking)."""
        ...


def wires_of(  # noqa: PLR0913 - two places, two logins
    data: Places,
    orders: Places,
    market: Login,
    account: Login,
    *,
    now: Callable[[], dt.datetime],
    scale: float = 1.0,
    ears: Ears | None = None,
    read_timeout_s: float = READ_TIMEOUT_S,
) -> Wires:
    """Make the clients of an account whose data and orders may come from different places.

    Parameters
    ----------
    scale : float
        Market seconds in a real second: the broker's rate limits count so much faster. 0: they are not kept.
    ears : Ears, optional
        Who is told what the wires of `market` say besides prices.
    read_timeout_s : float
        How long an answer is waited for; an order without one by then is unknown.
    """
    timeouts_s = CONNECT_TIMEOUT_S, read_timeout_s
    same = orders is data
    pace = _pace(scale)
    candles = DhanClient(data.rest, market.client_id, market.token, Endpoint.DATA, timeouts_s=timeouts_s, pace=pace)
    client = DhanClient(
        orders.rest,
        account.client_id,
        account.token,
        Endpoint.ORDERS,
        timeouts_s=timeouts_s,
        pace=pace if same else _pace(scale),
    )
    refused = None if ears is None else ears.refused
    if refused is not None:
        candles.tell_token_refused(refused)
    if ears is not None:
        # A paper account's orders are answered on this machine, whose clock is the one in question.
        for witness in (candles, client) if same else (candles,):
            witness.tell_server_time(ears.time)
    theirs = refused if same else None
    feed = DhanFeed(
        data.feed,
        market.client_id,
        market.token,
        backoff_s=_backoff(data),
        # A simulator's time runs ahead of what it has told us: only real trades are judged by ours.
        market_now=None if data.is_simulated else now,
        on_token_refused=refused,
        on_disconnect=None if ears is None else ears.disconnected,
        on_status=None if ears is None else ears.status,
    )
    return Wires(
        data=candles,
        broker=DhanBroker(client, now, on_token_refused=theirs),
        feed=feed,
        market=feed,
        updates=DhanOrderUpdates(
            orders.updates, account.client_id, account.token, backoff_s=_backoff(orders), on_token_refused=theirs
        ),
    )


def _pace(scale: float) -> Pace:
    return Pace(scale=scale) if scale > 0 else Pace.unlimited()


async def until(ready: asyncio.Event, timeout_s: float) -> bool:
    """Wait for an event; False when it did not come in time."""
    try:
        await asyncio.wait_for(ready.wait(), timeout_s)
    except TimeoutError:
        return False
    return True


def _backoff(places: Places) -> tuple[float, float]:
    return HERE_BACKOFF_S if places.is_simulated else DHAN_BACKOFF_S

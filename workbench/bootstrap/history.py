"""The data desk: history, expired options and the option chain from Dhan, joined to store, tables and login.

It never makes a token: a new one would end the one that a running engine trades with. `workbench login` does.

Invariant: everything here goes through the `data` endpoint, on which no order can be written.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import NoReturn

from tqdm import tqdm

from workbench.bootstrap.logging_in import given_token, token_ways
from workbench.bootstrap.places import Places
from workbench.brokers.dhan.client import DhanClient
from workbench.brokers.dhan.pace import Pace
from workbench.brokers.dhan.transport import Endpoint
from workbench.config import data_dir, load
from workbench.core.bars import Interval
from workbench.core.errors import BadInput, CorruptData, UnknownFact, UnknownName
from workbench.core.instrument import Instrument, InstrumentKind, Segment
from workbench.core.session import IST
from workbench.data.bar_store import BarStore
from workbench.data.candles import CandleReader
from workbench.data.chain import ChainSide, OptionChain, read_chain, read_expiries
from workbench.data.expired_options import MOST_STEPS, RollingReader
from workbench.data.fetch_report import FetchReport
from workbench.data.gaps import SourceHoles
from workbench.data.history_fetch import SPREAD_S, YEARS_BACK, FetchOrder, HistoryFetch, Progress, Target
from workbench.data.instruments import InstrumentMaster, symbol_in
from workbench.data.master_day import daily_master, practice_master
from workbench.data.options_fetch import ExpiredOptionsFetch, OptionsFetch, expired_of
from workbench.reference import calendar, contract_table

CONTRACT_DAYS = 100
"""How far back a contract is asked for when nobody says: a monthly one is listed for about three months."""

_SURELY_LISTED = "NIFTY"
_STRIKES = re.compile(r"(?:ATM)?\s*(?:±|\+/?-|\+)?\s*(\d{1,2})", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchWish:
    """What a person asks for: names of instruments, a length of bars, and days (None: as far as there is)."""

    names: Sequence[str]
    interval: str = "1m"
    start: date | None = None
    end: date | None = None
    again: bool = False
    replace: bool = False


class DataDesk:
    """Reads Dhan's data for a person.

    Parameters
    ----------
    data : Path
        The data folder.
    places : Places
    client : DhanClient
        On the `data` endpoint.
    now : callable
        Market time.
    spread_s : float
        Seconds from the beginning of one request for history to that of the next.
    """

    def __init__(
        self,
        data: Path,
        places: Places,
        client: DhanClient,
        now: Callable[[], datetime],
        *,
        spread_s: float = SPREAD_S,
    ) -> None:
        self._data, self._places, self._client, self._now = data, places, client, now
        self._spread_s = spread_s
        self._masters: dict[str, InstrumentMaster] = {}
        self.store = BarStore(data / "bars", calendar())

    @classmethod
    def open(cls) -> DataDesk:
        """Open it for Dhan, or for the simulator that stands in Dhan's place, with a token that is there already.

        Raises
        ------
        BadInput
            No client id.
        BrokerError
            No token that Dhan takes.
        """
        secrets, places, data = load().secrets, Places.of_environment(), data_dir()
        ways = token_ways(secrets, data, rest=places.rest, auth=places.auth).without_minting()
        token = ways.good(given_token(secrets)).value
        client = DhanClient(places.rest, ways.wire.client_id, token, Endpoint.DATA, pace=Pace())
        now = _machine_time
        if places.is_simulated:
            # Its clock is read once: what it has traded since then is fetched the next time.
            moment = datetime.fromisoformat(places.clock_facts()["now"])
            now = lambda: moment  # noqa: E731
        return cls(data, places, client, now)

    def fetch(self, wish: FetchWish, progress: Progress | None = None) -> FetchReport:
        """Fetch bars into the store; see `workbench.data.history_fetch`.

        Raises
        ------
        BadInput
            An unknown name, an interval that is not fetched, or an inverted range.
        """
        interval = Interval.parse(wish.interval)
        today = self._now().astimezone(IST).date()
        targets = [self._target(name, wish, today) for name in dict.fromkeys(wish.names)]
        order = FetchOrder(
            targets=targets,
            interval=interval,
            first=wish.start or max(_years_before(today, YEARS_BACK), date(calendar().years[0], 1, 1)),
            last=wish.end or today,
            again=wish.again,
            replace=wish.replace,
        )
        self._claim()
        reader = CandleReader(self._client.api, calendar(), self._now)
        fetch = HistoryFetch(reader, self.store, calendar(), self._now, spread_s=self._spread_s)
        return fetch.run(order, progress)

    def fetch_options(
        self,
        underlying: str,
        expiry: date,
        *,
        steps: int = MOST_STEPS,
        again: bool = False,
        progress: Progress | None = None,
    ) -> OptionsFetch:
        """Fetch an expired expiry into the store, contract by contract; see `workbench.data.options_fetch`."""
        expired = expired_of(self._index(underlying), expiry, contract_table(), calendar(), self._now())
        self._claim()
        reader = RollingReader(self._client.api, calendar())
        fetch = ExpiredOptionsFetch(reader, self.store, calendar(), spread_s=self._spread_s)
        return fetch.run(expired, steps=steps, again=again, progress=progress)

    def expiries(self, underlying: str) -> tuple[date, ...]:
        """Give the listed expiries of an underlying."""
        return read_expiries(self._client.api, self.instrument(underlying))

    def chain(self, underlying: str, expiry: date | None = None) -> OptionChain:
        """Give the chain of an expiry, of the nearest one without it."""
        index = self.instrument(underlying)
        if expiry is None:
            today = self._now().astimezone(IST).date()
            listed = [day for day in read_expiries(self._client.api, index) if day >= today]
            if not listed:
                raise BadInput(f"Dhan lists no expiry of {index.symbol}: it has no options")
            expiry = listed[0]
        return read_chain(self._client.api, index, expiry)

    def instrument(self, name: str) -> Instrument:
        """Give an instrument by symbol, key, or the broker's name of it; an index needs no master."""
        try:
            return self._index(symbol_in(name) if name.strip().upper().startswith("IDX_I:") else name)
        except UnknownName:
            return self._master(symbol_in(name)).find(name)

    def _claim(self) -> None:
        SourceHoles(self.store.root).claim("a simulator" if self._places.is_simulated else "Dhan")

    def _index(self, symbol: str) -> Instrument:
        name = symbol.strip().upper()
        known = contract_table().underlying(name)
        try:
            tick = contract_table().tick(name, InstrumentKind.INDEX, self._now().astimezone(IST).date())
        except UnknownFact:
            return Instrument(segment=Segment.IDX_I, security_id=known.index_id, symbol=name, kind=InstrumentKind.INDEX)
        return Instrument(
            segment=Segment.IDX_I, security_id=known.index_id, symbol=name, kind=InstrumentKind.INDEX, tick=tick
        )

    def _target(self, name: str, wish: FetchWish, today: date) -> Target:
        target = Target.of(self.instrument(name))
        if wish.start is None and target.instrument.expiry is not None:
            return replace(target, since=today - timedelta(days=CONTRACT_DAYS))
        return target

    @cached_property
    def _master_file(self) -> Path:
        """The day's whole master, verified; any index with derivatives will do to verify it by."""
        day, folder = self._now().astimezone(IST).date(), self._data / "instruments"
        make = practice_master if self._places.is_simulated else daily_master
        outcome = make(folder, day, self._places.master, [_SURELY_LISTED])
        if outcome.path is None:
            raise CorruptData(outcome.reason)
        return outcome.path

    def _master(self, symbol: str) -> InstrumentMaster:
        if symbol not in self._masters:
            day = self._now().astimezone(IST).date()
            self._masters[symbol] = InstrumentMaster.load(self._master_file, [symbol], on=day)
        return self._masters[symbol]


@contextmanager
def progress_bar(*, shown: bool) -> Iterator[Progress]:
    """Give a progress that a person sees on a terminal; nothing elsewhere, so that output stays readable."""
    bar: tqdm[NoReturn] = tqdm(unit=" requests", disable=not (shown and sys.stderr.isatty()), leave=False)

    def show(done: int, planned: int) -> None:
        bar.total = planned
        bar.n = done
        bar.refresh()

    try:
        yield show
    finally:
        bar.close()


def chain_table(chain: OptionChain) -> str:
    """Give a chain as a table for people; a dash is what is not there."""
    head = ("oi", "iv %", "delta", "bid", "ask")
    lines = [
        f"{chain.underlying} {chain.expiry}, spot {chain.spot}; calls left, puts right",
        "".join(f"{name:>9}" for name in head) + f"{'strike':>10}" + "".join(f"{name:>9}" for name in head[::-1]),
    ]
    for row in chain.rows:
        call, put = _cells(row.ce), _cells(row.pe)[::-1]
        cells = "".join(f"{cell:>9}" for cell in call) + f"{row.strike:>10}" + "".join(f"{cell:>9}" for cell in put)
        lines.append(cells)
    return "\n".join(lines)


def _cells(side: ChainSide | None) -> list[str]:
    if side is None:
        return ["-"] * 5
    prices = ["-" if price is None else str(price) for price in (side.bid, side.ask)]
    return [str(side.oi), f"{side.iv_pct:.1f}", f"{side.delta:.2f}", *prices]


def steps_of(text: str) -> int:
    """Read how many strikes each way: ``10``, ``ATM10``, ``ATM±10``.

    Raises
    ------
    BadInput
        Something else.
    """
    found = _STRIKES.fullmatch(text.strip())
    if found is None:
        raise BadInput(f"--strikes {text!r} is not understood; write ATM±10, or 10")
    return int(found[1])


def _years_before(day: date, years: int) -> date:
    try:
        return day.replace(year=day.year - years)
    except ValueError:  # the 29th of February
        return day.replace(year=day.year - years, day=28)


def _machine_time() -> datetime:
    return datetime.now(tz=IST)

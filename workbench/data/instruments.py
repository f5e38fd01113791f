"""The contracts of one day, out of the broker's instrument master, kept only for the underlyings in use.

Invariant: of two rows for one contract or one id the first is kept and the other counted; nothing is guessed for a row
that does not read.
"""

import csv
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType

from workbench.core.errors import BadInput, UnknownName
from workbench.core.instrument import Instrument, InstrumentKind, Segment
from workbench.data.master_check import MasterFacts, count_rows, install_master, verify_master
from workbench.data.master_file import CONTRACT, instrument_of, layout_of, opened, rank

__all__ = [
    "InstrumentMaster", "MasterFacts", "count_rows", "install_master", "lot_findings", "symbol_in", "verify_master",
]  # fmt: skip

_LAST_WORDS = frozenset({"CALL", "PUT", "FUT", "CE", "PE"})


class InstrumentMaster:
    """The contracts of the chosen underlyings on one day; implements `core.ports.InstrumentSource`.

    Parameters
    ----------
    instruments : sequence of Instrument
    dropped : mapping
        Rows of these underlyings that were not kept, by reason.
    """

    def __init__(self, instruments: Sequence[Instrument], dropped: Mapping[str, int] = MappingProxyType({})) -> None:
        counts = Counter(dropped)
        self._by_id: dict[tuple[Segment, str], Instrument] = {}
        self._by_key: dict[str, Instrument] = {}
        self._options: dict[tuple[str, date], list[Instrument]] = {}
        for instrument in instruments:
            place = (instrument.segment, instrument.security_id)
            if place in self._by_id:
                counts["duplicate_id"] += 1
            elif instrument.key in self._by_key:
                counts["same_contract"] += 1
            else:
                self._by_id[place] = self._by_key[instrument.key] = instrument
                if instrument.kind is InstrumentKind.OPTION and instrument.expiry is not None:
                    self._options.setdefault((instrument.symbol, instrument.expiry), []).append(instrument)
        for chain in self._options.values():
            chain.sort(key=lambda option: (option.strike or Decimal(0), option.right or ""))
        self.dropped: Mapping[str, int] = MappingProxyType(dict(counts))

    @classmethod
    def load(cls, path: Path, underlyings: Collection[str], *, on: date | None = None) -> "InstrumentMaster":
        """Read a compact or detailed master (also ``.gz``), keeping only the given underlyings.

        Parameters
        ----------
        path : Path
        underlyings : collection of str
            Symbols of indices and stocks, as "NIFTY".
        on : date, optional
            The trading day: contracts that expired before it are dropped (their ids may be in use again).

        Raises
        ------
        BadInput
            No such file, or an underlying of which the file has no row at all.
        CorruptData
            The file is no instrument master.
        """
        wanted = frozenset(name.strip().upper() for name in underlyings)
        found: list[tuple[int, Instrument]] = []
        dropped: Counter[str] = Counter()
        with opened(path) as stream:
            layout = layout_of(path, stream.readline())
            # Most of the 200,000 rows are of other underlyings; a search in the text spares splitting them.
            mine = (line for line in stream if any(name in line for name in wanted))
            for row in csv.reader(mine):
                outcome = instrument_of(row, layout, wanted)
                if isinstance(outcome, str):
                    if outcome:
                        dropped[outcome] += 1
                elif on is not None and outcome.expiry is not None and outcome.expiry < on:
                    dropped["expired"] += 1
                else:
                    found.append((rank(row, layout), outcome))
        found.sort(key=lambda pair: pair[0])
        master = cls([instrument for _, instrument in found], dropped)
        missing = wanted - {instrument.symbol for instrument in master}
        if missing:
            raise BadInput(
                f"{path.name} has no row of {', '.join(sorted(missing))}; check the symbols, or fetch the master again"
            )
        return master

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[Instrument]:
        return iter(self._by_id.values())

    def symbols(self) -> list[str]:
        """Give the underlyings held, sorted."""
        return sorted({instrument.symbol for instrument in self})

    def index(self, underlying: str) -> Instrument:
        """Give the underlying itself (the id that quotes and chains want): an index, or a stock of NSE.

        Raises
        ------
        UnknownName
            Neither an index nor a stock of this master.
        """
        found = self._by_key.get(f"{Segment.IDX_I}:{underlying}") or self._by_key.get(f"{Segment.NSE_EQ}:{underlying}")
        if found is None:
            raise UnknownName("index", underlying, [one.symbol for one in self if one.kind is InstrumentKind.INDEX])
        return found

    def equity(self, symbol: str, segment: Segment = Segment.NSE_EQ) -> Instrument:
        """Give a stock.

        Raises
        ------
        UnknownName
            Not a stock of this master.
        """
        found = self._by_key.get(f"{segment}:{symbol}")
        if found is None:
            raise UnknownName("stock", symbol, [one.symbol for one in self if one.kind is InstrumentKind.EQUITY])
        return found

    def expiries(self, underlying: str) -> Sequence[date]:
        """Give the listed option expiries, ascending."""
        return sorted(expiry for symbol, expiry in self._options if symbol == underlying)

    def options(self, underlying: str, expiry: date) -> Sequence[Instrument]:
        """Give the listed options of one expiry by strike, then CE before PE; empty when there are none."""
        return tuple(self._options.get((underlying, expiry), ()))

    def future(self, underlying: str, expiry: date) -> Instrument | None:
        """Give the future of that expiry, None when there is none."""
        for segment in (Segment.NSE_FNO, Segment.BSE_FNO):
            if (found := self._by_key.get(f"{segment}:{underlying}:{expiry.isoformat()}")) is not None:
                return found
        return None

    def futures(self, underlying: str) -> Sequence[Instrument]:
        """Give the listed futures by expiry."""
        held = [one for one in self if one.kind is InstrumentKind.FUTURE and one.symbol == underlying]
        return sorted(held, key=lambda future: future.expiry or date.max)

    def by_id(self, segment: Segment, security_id: str) -> Instrument | None:
        """Give the instrument of the broker's id."""
        return self._by_id.get((segment, str(security_id)))

    def by_key(self, key: str) -> Instrument | None:
        """Give the instrument of our key."""
        return self._by_key.get(key)

    def find(self, name: str) -> Instrument:
        """Give an instrument by what a person calls it.

        Parameters
        ----------
        name : str
            Our key, the symbol of an index or an NSE stock, or the broker's display or trading name.

        Raises
        ------
        UnknownName
            Nobody of that name.
        BadInput
            Several contracts bear it (a month's weeklies share a trading name).
        """
        wanted = " ".join(name.upper().split())
        exact = self._by_key.get(wanted) or self._by_key.get(f"{Segment.IDX_I}:{wanted}")
        exact = (
            exact or self._by_key.get(f"{Segment.NSE_EQ}:{wanted}") or self._by_key.get(f"{Segment.BSE_EQ}:{wanted}")
        )
        if exact is not None:
            return exact
        named = [one for one in self if wanted in (one.display_name.upper(), one.trading_symbol.upper())]
        if not named:
            raise UnknownName("instrument", name, [one.key for one in self])
        if len(named) > 1:
            keys = ", ".join(sorted(one.key for one in named)[:6])
            raise BadInput(f"{name!r} names {len(named)} contracts; give the key of one: {keys}")
        return named[0]


def symbol_in(name: str) -> str:
    """Give the underlying that a name speaks of, before any master is read: the rows of it are to be kept."""
    wanted = " ".join(name.upper().split())
    parts = wanted.split(":")
    if len(parts) > 1 and parts[0] in Segment.__members__:
        return parts[1]
    contract = CONTRACT.match(wanted)
    if contract:
        return contract["symbol"]
    words = wanted.split(" ")
    return words[0] if len(words) > 1 and words[-1] in _LAST_WORDS else wanted


def lot_findings(held: Iterable[Instrument], master: "InstrumentMaster") -> tuple[str, ...]:
    """Say what the day's master changes for contracts that are held: another lot, another id, or no listing at all.

    Parameters
    ----------
    held : iterable of Instrument
        As they were booked.
    """
    findings = []
    for before in held:
        now = master.by_key(before.key)
        if now is None:
            findings.append(
                f"{before.name} is held, but the day's master does not list it: it can only be left by hand"
            )
        elif now.lot != before.lot:
            findings.append(f"{before.name} is held with lots of {before.lot}; the day's master says {now.lot}")
        elif now.security_id != before.security_id:
            findings.append(
                f"{before.name} is held as id {before.security_id}; the day's master says {now.security_id}"
            )
    return tuple(findings)

"""A plan of faults: from a file, or drawn by a seed over a day.

Invariant: the same seed and rate give the same plan, which prints as the file that would order it again.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import time
from pathlib import Path
from typing import Any

import orjson

from workbench.core.errors import BadInput, WorkbenchError
from workbench.simulator.faults import BAD_TICKS, CONNECTIONS, EITHER, ORDERS, REQUESTS, Fault, FaultKind, read_fault

HEALING: tuple[FaultKind, ...] = tuple(each for each in FaultKind if each is not FaultKind.TOKEN_EXPIRED)
"""Every kind that passes by itself: a token that has ended needs somebody who makes a new one."""

_FIRST_S, _LAST_S = 9 * 3600 + 15 * 60 + 30, 15 * 3600 + 20 * 60
_MATCHES = ("POST /orders", "PUT /orders", "DELETE /orders", "GET /orders", "GET /positions", "GET /trades")
_REASONS = ("805", "806", "808", "809", "810")
_LONGEST_S = 2.0
_MOST_AN_HOUR = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultPlan:
    """Faults to order when a market starts.

    Parameters
    ----------
    faults : tuple of Fault
    name : str
        Where it comes from.
    """

    faults: tuple[Fault, ...]
    name: str

    @classmethod
    def read(cls, path: Path) -> FaultPlan:
        """Read a file with one fault a line, each a JSON object; empty lines and those that begin with # are passed.

        Raises
        ------
        BadInput
            The file cannot be read, or a line is no fault; the text names the line.
        """
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise BadInput(f"the faults of {path} cannot be read: {error}") from None
        faults = []
        for number, line in enumerate(text.splitlines(), start=1):
            if not line.strip() or line.lstrip().startswith("#"):
                continue
            try:
                faults.append(_fault_of(line))
            except WorkbenchError as wrong:
                raise BadInput(f"{path}, line {number}: {wrong}") from None
        return cls(faults=tuple(faults), name=str(path))

    @classmethod
    def seeded(cls, seed: int, rate: float, kinds: Sequence[FaultKind] = HEALING) -> FaultPlan:
        """Draw faults over a market day; every kind comes before one comes again.

        Parameters
        ----------
        seed : int
        rate : float
            Faults in an hour of market time.
        kinds : sequence of FaultKind
            Of these only.
        """
        if not 0 < rate <= _MOST_AN_HOUR or not kinds:
            raise BadInput(f"a rate of {rate:g} faults an hour is not between 0 and {_MOST_AN_HOUR:.0f}")
        rng = random.Random(seed)
        count = max(1, round(rate * (_LAST_S - _FIRST_S) / 3600))
        moments = sorted(rng.randint(_FIRST_S, _LAST_S) for _ in range(count))
        drawn: list[FaultKind] = []
        while len(drawn) < count:
            drawn += rng.sample(list(kinds), len(kinds))
        faults = tuple(_drawn(rng, kind, moment) for kind, moment in zip(drawn, moments, strict=False))
        return cls(faults=faults, name=f"seed {seed}, {rate:g} an hour")

    def lines(self) -> str:
        """Give the file that orders the same faults."""
        rows = [f"# faults: {self.name}"]
        for fault in self.faults:
            row = {name: value for name, value in fault.as_dict().items() if value not in ("", 0, None, False)}
            rows.append(orjson.dumps(row).decode())
        return "\n".join(rows) + "\n"


def _fault_of(line: str) -> Fault:
    try:
        body: Any = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise BadInput(f"no JSON ({error})") from None
    if not isinstance(body, dict):
        raise BadInput('a fault is a JSON object like {"kind": "http_500", "at": "10:30"}')
    return read_fault(body)


def _drawn(rng: random.Random, kind: FaultKind, moment: int) -> Fault:
    at = time(moment // 3600, moment // 60 % 60, moment % 60)
    fault = Fault(kind=kind, at=at, seconds=round(rng.uniform(0.1, _LONGEST_S), 2), count=rng.choice((1, 1, 1, 2)))
    if kind in REQUESTS:
        fault = replace(fault, match=rng.choice(_MATCHES))
    elif kind in ORDERS:
        fault = replace(fault, match="POST /orders", book=kind is FaultKind.LAGGING_LOOKUP and rng.random() < 0.5)
    elif kind in CONNECTIONS or kind is FaultKind.FEED_REFUSED_429:
        fault = replace(fault, match=rng.choice(("feed", "updates")))
    if kind is FaultKind.WRONG_IP:
        fault = replace(fault, match="")
    if kind in EITHER:
        fault = replace(fault, after=rng.random() < 0.5)
    if kind is FaultKind.DISCONNECT:
        fault = replace(fault, reason=rng.choice(_REASONS))
    if kind is FaultKind.BAD_TICKS:
        fault = replace(fault, what=rng.choice(BAD_TICKS), count=rng.randint(1, 20))
    return fault

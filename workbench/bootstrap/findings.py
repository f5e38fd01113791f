"""What was found when something was looked at: right or not, and where not, the way out and what it stops.

Invariant: a finding that is not right has a way out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from workbench.config import Mode
from workbench.core.errors import WorkbenchError


class Blocks(StrEnum):
    """What may not be started while a finding is not right."""

    NOTHING = "nothing"
    LIVE = "live"
    PAPER = "paper and live"
    ALL = "everything"


_STOPPED = {
    Blocks.NOTHING: frozenset[Mode](),
    Blocks.LIVE: frozenset({Mode.LIVE}),
    Blocks.PAPER: frozenset({Mode.PAPER, Mode.LIVE}),
    Blocks.ALL: frozenset(Mode),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at.

    Parameters
    ----------
    name : str
    ok : bool
    detail : str
        What was found.
    way_out : str
        Only where it is not right.
    blocks : Blocks
        What it stops where it is not right.
    """

    name: str
    ok: bool
    detail: str
    way_out: str = ""
    blocks: Blocks = Blocks.NOTHING

    @classmethod
    def good(cls, name: str, detail: str) -> Finding:
        """It is right."""
        return cls(name=name, ok=True, detail=detail)

    @classmethod
    def bad(cls, name: str, detail: str, way_out: str, *, blocks: Blocks) -> Finding:
        """It is not right."""
        return cls(name=name, ok=False, detail=detail, way_out=way_out, blocks=blocks)

    def to_dict(self) -> dict[str, object]:
        """Give it JSON-able."""
        told: dict[str, object] = {"check": self.name, "ok": self.ok, "detail": self.detail}
        return told if self.ok else {**told, "way_out": self.way_out, "blocks": self.blocks.value}


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """All findings of one look, for one mode."""

    mode: Mode
    findings: Sequence[Finding]

    @property
    def stops(self) -> tuple[Finding, ...]:
        """What keeps this mode from starting."""
        return tuple(each for each in self.findings if not each.ok and self.mode in _STOPPED[each.blocks])

    @property
    def ok(self) -> bool:
        """Everything is right, but for what stops another mode only."""
        return all(each.ok or (each.blocks is Blocks.LIVE and self.mode is not Mode.LIVE) for each in self.findings)

    def to_dict(self) -> dict[str, object]:
        """Give it JSON-able."""
        return {"ok": self.ok, "mode": self.mode.value, "checks": [each.to_dict() for each in self.findings]}

    def lines(self) -> Iterator[str]:
        """Give it for a person: one line a finding, and its way out under it."""
        rest = "" if all(each.ok for each in self.findings) else "; what is NOT OK does not stop it"
        yield f"NOT ready for {self.mode.value}" if self.stops else f"ready for {self.mode.value}{rest}"
        for each in self.findings:
            yield f"  {'ok    ' if each.ok else 'NOT OK'}  {each.name}: {each.detail}"
            if not each.ok:
                yield f"          way out: {each.way_out} (stops {each.blocks.value})"


def checked(name: str, check: Callable[[], str], blocks: Blocks) -> Finding:
    """Run a check that gives its detail, or raises what is wrong with the way out behind a semicolon."""
    try:
        return Finding.good(name, check())
    except (WorkbenchError, OSError) as error:
        return not_right(name, error, blocks)


def not_right(name: str, error: Exception, blocks: Blocks) -> Finding:
    """Make a finding of an error."""
    detail, _, way_out = str(error).partition("; ")
    return Finding.bad(name, detail, way_out or "see docs/runbook.md", blocks=blocks)


def told(stops: Sequence[Finding]) -> str:
    """Put findings that stop something into one line, each with its way out."""
    return "; ".join(f"{each.name}: {each.detail} ({each.way_out})" for each in stops)

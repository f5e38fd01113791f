"""Promotion: a manifest that says exactly what was tested, so that what runs can be held to it.

Invariant: a manifest is written whole or not at all, and only for what passed; the code's hash and the data's
fingerprint in it are those of the study that was checked.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.core.errors import BadInput, CorruptData, UnknownName
from workbench.core.plan import plan_to_mapping
from workbench.core.plan_checks import without_stop
from workbench.research.checks import CheckReport, Weight, playable
from workbench.research.market import Market, Study
from workbench.research.minutes import stamps
from workbench.strategies.registry import code_hash

if TYPE_CHECKING:
    import pandas as pd

FORMAT = 1
FILE = "manifest.json"
NAME = re.compile(r"[A-Za-z0-9_-]{1,40}")
ACCOUNTS = ("practice", "paper", "live")


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion:
    """A wish to promote.

    Parameters
    ----------
    name : str
        ``[A-Za-z0-9_-]{1,40}``; alerts will carry it.
    account : str
        practice, paper or live.
    created_at : datetime
        Aware; handed in, research reads no clock.
    """

    name: str
    study: Study
    account: str
    created_at: datetime


def promote(wish: Promotion, report: CheckReport, market: Market) -> dict[str, Any]:
    """Make the manifest of a checked study.

    Returns
    -------
    dict
        JSON-able: name, strategy, parameters, symbol, interval, plan, account, strategy_hash, data (range, bars,
        fingerprint), results, checks, synthetic_instrument, created_at.

    Raises
    ------
    BadInput
        A failed check, a name that cannot be carried by an alert, an instrument that cannot be bought promoted beyond
        practice, an option plan without a stop, a naive time.
    """
    refuse_promotion(wish, report)
    study = wish.study
    bars = study.signal_bars(market.history)
    return {
        "format": FORMAT,
        "name": wish.name,
        "strategy": study.strategy.name,
        "parameters": study.strategy.parameters(),
        "symbol": study.symbol,
        "interval": str(study.interval),
        "plan": plan_to_mapping(study.plan),
        "account": wish.account,
        "strategy_hash": code_hash(type(study.strategy)),
        "data": {
            "first": bars.index[0].isoformat(),
            "last": bars.index[-1].isoformat(),
            "bars": len(bars),
            "sha256": fingerprint(bars),
        },
        "results": {
            "source": report.result.source,
            "protection": report.result.study.plan.protection.value,
            "stats": report.result.stats,
            "from": report.result.days[0].isoformat(),
            "to": report.result.days[-1].isoformat(),
        },
        "checks": [check.to_dict() for check in report.checks],
        "synthetic_instrument": study.plan.is_synthetic,
        "created_at": wish.created_at.isoformat(),
    }


def refuse_wish(wish: Promotion) -> None:
    """Refuse what needs no check to be refused, with the way out."""
    plan = wish.study.plan
    if not NAME.fullmatch(wish.name):
        raise BadInput(f"deployment name {wish.name!r}: use 1 to 40 letters, digits, - and _")
    if wish.account not in ACCOUNTS:
        raise UnknownName("account", wish.account, ACCOUNTS)
    if wish.created_at.tzinfo is None:
        raise BadInput("a promotion needs an aware time")
    if plan.is_synthetic and wish.account != "practice":
        raise BadInput(
            f"plan {plan.name!r} trades the index as if it were a future, which nobody can buy: promote it to "
            "practice, or choose a plan with contract 'option'"
        )
    if bare := without_stop(plan):
        raise BadInput(bare)


def refuse_promotion(wish: Promotion, report: CheckReport) -> None:
    """Refuse what may not be promoted, with the way out."""
    refuse_wish(wish)
    if report.result.study != playable(wish.study):
        raise BadInput("the checks were made for another study; check this one")
    failed = report.failed(Weight.MUST) + (report.failed(Weight.SHOULD) if wish.account == "live" else ())
    if failed:
        reasons = "; ".join(f"{check.name}: {check.detail}" for check in failed)
        raise BadInput(f"{wish.name} is not promoted to {wish.account}, checks failed: {reasons}")


def write_manifest(data: Path, manifest: dict[str, Any]) -> Path:
    """Write a manifest to ``<data>/promotions/<name>/manifest.json``, whole or not at all."""
    target = manifest_path(data, str(manifest["name"]))
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_suffix(".part")
    part.write_text(json.dumps(manifest, indent=2, sort_keys=True) + "\n", encoding="utf-8", newline="\n")
    part.replace(target)
    return target


def read_manifest(data: Path, name: str) -> dict[str, Any]:
    """Read a manifest.

    Raises
    ------
    UnknownName
        No such promotion.
    CorruptData
        It does not read as a manifest of this format.
    """
    path = manifest_path(data, name)
    if not path.is_file():
        known = [each.parent.name for each in path.parent.parent.glob(f"*/{FILE}")]
        raise UnknownName("promotion", name, known)
    try:
        body: Any = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CorruptData(f"{path} is not JSON ({error}); promote {name} again") from error
    if not isinstance(body, dict) or body.get("format") != FORMAT:
        raise CorruptData(f"{path} is no manifest of format {FORMAT}; promote {name} again")
    return dict(body)


def manifest_path(data: Path, name: str) -> Path:
    """Where the manifest of a promotion stands."""
    return data / "promotions" / name / FILE


def fingerprint(bars: pd.DataFrame) -> str:
    """Give the SHA-256 of bars: times as ns since 1970 UTC and the five columns, little-endian."""
    digest = hashlib.sha256(f"bars/1 {len(bars)}\n".encode())
    digest.update(stamps(bars.index).astype("<i8").tobytes())
    for name in ("open", "high", "low", "close", "volume"):
        digest.update((bars[name].to_numpy(dtype=np.float64) + 0.0).astype("<f8").tobytes())
    return digest.hexdigest()

"""The command behind `workbench prove`: seeds, kills, planted bugs; in pieces, and one seed again in words.

Invariant: what is printed last with `--json` is one JSON document; the exit code is 0 only if every promise was kept
(with `--planted`: only if every bug was found and clean code passes).
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from workbench.core.errors import UnknownName
from workbench.testing.proof.results import Progress, SeedResult, summary
from workbench.testing.proof.run import run_seed

SEEDS_OF_A_BUG = 120
KILLS_OF_ONE_CRASH_DAY = 15


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and give the exit code."""
    args = _parser().parse_args(argv)
    if wrong := _refused(args):
        sys.stderr.write(f"workbench prove: {wrong}\n")
        return 2
    if args.plant:
        from workbench.testing.proof.planted.catalogue import plant

        plant(args.plant)
    if args.planted is not None:
        return _planted(args)
    if args.seed is not None:
        return _one(args)
    if args.same_day is not None:
        return _same_day(args)
    if args.merge:
        return _merged(args)
    return _seeds(args)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="workbench prove", description="Prove the order path by seed.")
    parser.add_argument("--seeds", type=int, default=100, metavar="N", help="days by seed")
    parser.add_argument("--kills", type=int, default=0, metavar="K", help="kills of the real engine process")
    parser.add_argument("--same-day", type=int, metavar="K", help="one day with K kills beside the same day without")
    parser.add_argument("--from", dest="first", type=int, default=0, metavar="S", help="first seed")
    parser.add_argument("--seed", type=int, metavar="S", help="this one seed, told in words with --verbose")
    parser.add_argument("--verbose", action="store_true", help="with --seed: all that happened")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="keep results there; what is there is not run again")
    parser.add_argument("--merge", nargs="+", type=Path, metavar="FOLDER", help="lay pieces together and sum them up")
    parser.add_argument("--stop-after", type=float, metavar="SECONDS", help="begin no further seed after that time")
    parser.add_argument("--first-failure", action="store_true", help="end with the first seed that fails")
    parser.add_argument("--planted", nargs="*", metavar="BUG", help="plant bugs and find them; all without names")
    parser.add_argument("--plant", metavar="BUG", help="run with this bug planted")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    return parser


def _refused(args: argparse.Namespace) -> str:
    """Say why nothing would be proved, or "": a proof of nothing reads as one without failures."""
    for name in ("seeds", "kills", "same_day"):
        if (getattr(args, name) or 0) < 0:
            return f"--{name.replace('_', '-')} {getattr(args, name)}: give 0 or more"
    is_by_seeds = not args.merge and all(each is None for each in (args.seed, args.same_day, args.planted))
    if is_by_seeds and not args.seeds and not args.kills:
        return "neither a seed nor a kill is asked for; give --seeds or --kills"
    named = [*([args.plant] if args.plant else []), *(args.planted or [])]
    if named:
        from workbench.testing.proof.planted.catalogue import BUGS

        unknown = [name for name in named if name not in BUGS]
        if unknown:
            return str(UnknownName("bug", unknown[0], BUGS))
    return ""


def _one(args: argparse.Namespace) -> int:
    log: list[str] = []
    result = run_seed(args.seed, verbose=args.verbose, log=log)
    if args.verbose:
        sys.stdout.write("\n".join(log) + "\n")
    _say(f"seed {args.seed}: {result.failure or 'every promise was kept'}")
    return _told(args, summary([result]))


def _merged(args: argparse.Namespace) -> int:
    together: dict[tuple[str, int], SeedResult] = {}
    for folder in args.merge:
        if not any(folder.glob("*.jsonl")):
            # A sum over nothing would read as a proof without failures.
            sys.stderr.write(f"workbench prove: no results in {folder}; give folders that --out was pointed at\n")
            return 2
        together |= Progress(folder).results
    if not together:
        sys.stderr.write("workbench prove: these folders hold no result that can be read\n")
        return 2
    return _told(args, summary(together.values()))


def _seeds(args: argparse.Namespace) -> int:
    progress, began = Progress(args.out), time.monotonic()
    for seed in range(args.first, args.first + args.seeds):
        if args.stop_after is not None and time.monotonic() - began > args.stop_after:
            break
        if not _keep(args, progress, "seed", seed, run_seed) and args.first_failure:
            break
    for number in range(0, args.kills, KILLS_OF_ONE_CRASH_DAY):
        if args.stop_after is not None and time.monotonic() - began > args.stop_after:
            break
        kills = min(KILLS_OF_ONE_CRASH_DAY, args.kills - number)
        _keep(args, progress, "crash", args.first + number, lambda seed, kills=kills: _crash(seed, kills, args.out))  # type: ignore[misc]
    wanted = range(args.first, args.first + max(args.seeds, args.kills))
    mine = [each for each in progress.results.values() if args.out is not None or each.seed in wanted]
    return _told(args, summary(mine))


def _keep(args: argparse.Namespace, progress: Progress, kind: str, seed: int, run: Callable[[int], SeedResult]) -> bool:
    if not progress.knows(kind, seed):
        result = run(seed)
        progress.keep(result)
        if result.failure:
            plant = f" --plant {args.plant}" if args.plant else ""
            _say(f"{kind} {seed} FAILED: {result.failure}")
            if kind == "seed":
                _say(f"  again: workbench prove --seed {seed} --verbose{plant}")
            elif args.out is not None:
                _say(f"  what it left: {_left_by(args.out, seed)}")
    return not progress.results[kind, seed].failure


def _same_day(args: argparse.Namespace) -> int:
    """Trade a day twice, with kills and without, and tell where they differ (`workbench.testing.crash_same_day`)."""
    from workbench.testing.crash_same_day import run_same_day

    found = run_same_day(args.first, args.same_day)
    _print(args, found.as_dict())
    return 0 if found.ok else 1


def _left_by(out: Path, seed: int) -> Path:
    return out / f"crash-{seed}"


def _crash(seed: int, kills: int, out: Path | None) -> SeedResult:
    """Kill a real engine process through one day (`workbench.testing.crash_runner`).

    No kill strikes twice at the same moment, so what a day left that broke a promise is kept beside the results.
    """
    if out is None:
        return _killed(seed, kills, None)
    folder = _left_by(out, seed)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    found = _killed(seed, kills, folder)
    if not found.failure:
        shutil.rmtree(folder, ignore_errors=True)
    return found


def _killed(seed: int, kills: int, folder: Path | None) -> SeedResult:
    from workbench.testing.crash_engine import EngineFailed
    from workbench.testing.crash_runner import run_day_with_kills

    try:
        report = run_day_with_kills(seed, kills, folder=folder)
    except EngineFailed as error:
        # An engine that does not come back is what the proof is there to find; the next day is run all the same.
        return SeedResult(seed=seed, kind="crash", failure=f"the engine failed: {error}")
    return SeedResult(
        seed=seed,
        kind="crash",
        orders=report.orders,
        restarts=report.kills,
        lost=report.lost,
        doubled=report.doubled,
        unprotected=report.unprotected,
        longest_naked_s=report.longest_naked_s,
        longest_recovery_s=report.longest_recovery_s,
        longest_naked_real_s=report.longest_naked_real_s,
        missed=report.missed,
        alerts=report.alerts,
        failure="; ".join(report.findings),
    )


def _planted(args: argparse.Namespace) -> int:
    from workbench.testing.proof.hunt import hunt

    report = hunt(args.planted, seeds=args.seeds, tell=_say)
    body = report.to_dict()
    if args.json:
        sys.stdout.write(json.dumps(body, indent=2) + "\n")
    else:
        _say(f"{len(report.found)} of {report.planted} planted bugs were found; clean code: {report.clean or 'passes'}")
    return 0 if report.is_good else 1


def _print(args: argparse.Namespace, body: dict[str, Any]) -> None:
    if args.json:
        sys.stdout.write(json.dumps(body, indent=2) + "\n")
    else:
        sys.stdout.write("\n".join(f"{name}: {value}" for name, value in body.items()) + "\n")


def _told(args: argparse.Namespace, body: dict[str, Any]) -> int:
    _print(args, body)
    is_good = not (body["failures"] or body["lost"] or body["doubled"] or body["unprotected"])
    return 0 if is_good else 1


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()

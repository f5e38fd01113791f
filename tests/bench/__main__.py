"""``python -m tests.bench [NAME...]``: measure and print, one JSON line a figure; the machine comes first.

The exit code is 1 when a figure could not be taken, or with ``--strict`` when a bound was not held.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from importlib import import_module

from tests.bench.figures import FULL, TINY, Figure, Size, machine
from workbench.core.errors import WorkbenchError

BENCHES = (
    "start_of_imports", "studies", "engine_start", "order_path", "decoding", "feed_load", "journal_commits", "history",
)  # fmt: skip


def bench(name: str) -> Callable[[Size], Iterator[Figure]]:
    """Give the ``measure`` of a bench; its module is loaded now and not before."""
    measure: Callable[[Size], Iterator[Figure]] = import_module(f"tests.bench.{name}").measure
    return measure


def main(argv: list[str] | None = None) -> int:
    """Run the benches that are named, or all."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="The speeds that we promise.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHES)}; none: all")
    parser.add_argument("--tiny", action="store_true", help="only prove that each runs; the figures mean nothing")
    parser.add_argument("--strict", action="store_true", help="exit 1 when a bound is not held")
    args = parser.parse_args(argv)
    unknown = sorted(set(args.names) - set(BENCHES))
    if unknown:
        parser.error(f"no bench {', '.join(unknown)}; there are {', '.join(BENCHES)}")
    print(json.dumps(machine()), flush=True)
    ok = True
    for name in args.names or BENCHES:
        began = time.monotonic()
        try:
            for figure in bench(name)(TINY if args.tiny else FULL):
                print(figure.line(), flush=True)
                ok = ok and not (args.strict and figure.held is False)
        except (WorkbenchError, OSError, ImportError, ValueError) as error:
            print(json.dumps({"name": name, "error": f"{type(error).__name__}: {error}"}), flush=True)
            ok = False
        print(
            json.dumps({"name": f"{name} took", "unit": "s", "value": round(time.monotonic() - began, 1)}), flush=True
        )
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())

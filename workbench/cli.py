"""The command line: reads arguments and hands them to the composition root, so that start-up stays fast.

Invariant: nothing heavy is imported before a command needs it.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from workbench import __version__


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and give the exit code of the process."""
    parser = argparse.ArgumentParser(prog="workbench", description="From a notebook to a live trade at Dhan.")
    parser.add_argument("--version", action="version", version=f"workbench {__version__}")
    parser.parse_args(argv)
    parser.print_help()
    return 2

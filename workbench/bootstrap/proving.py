"""Starts the proof of the order path in a process of its own.

The proof lives in `workbench.testing`, which production never imports (the import contracts say so); so it is started
as a module, and what it prints is the answer.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys

_OPTIONS = ("seeds", "kills", "from", "seed", "out", "stop-after", "plant", "same-day")
_LISTS = ("merge", "planted")
_FLAGS = ("verbose", "first-failure", "json")


def prove(args: argparse.Namespace) -> int:
    """``workbench prove``: give the exit code of the proof."""
    process = subprocess.Popen(command_of(args))
    # Whoever ends this command wants the proof to end, and the engine of a kill day with it.
    signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            # The terminal has told the proof as well, which tidies up; its end is ours.
            continue


def command_of(args: argparse.Namespace) -> list[str]:
    """Give the command that carries the arguments out."""
    given = {name.replace("_", "-"): value for name, value in vars(args).items()}
    given["from"] = given.get("first")
    command = [sys.executable, "-m", "workbench.testing.proof"]
    for name in _OPTIONS:
        if given.get(name) is not None:
            command += [f"--{name}", str(given[name])]
    for name in _LISTS:
        if given.get(name) is not None:
            command += [f"--{name}", *map(str, given[name])]
    return command + [f"--{name}" for name in _FLAGS if given.get(name)]

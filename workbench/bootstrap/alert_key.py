"""The alert key of ``workbench alert test``: every account of a machine can read the arguments of a running program.

Invariant: a key is never taken from the command line, and no refusal repeats what was given.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from getpass import getpass
from typing import TextIO

from workbench.core.errors import BadInput

VARIABLE = "WORKBENCH_ALERT_KEY"
FROM_INPUT = "-"


def alert_key(given: str | None, *, env: Mapping[str, str] | None = None, stdin: TextIO | None = None) -> str:
    """Give the key of a test alert; empty where none is set.

    Parameters
    ----------
    given : str or None
        The argument: ``-`` reads a line of the standard input, unseen on a terminal; None reads the environment.

    Raises
    ------
    BadInput
        The key itself stood on the command line.
    """
    if given is None:
        return (os.environ if env is None else env).get(VARIABLE, "").strip()
    if given != FROM_INPUT:
        raise BadInput(
            "a key on the command line can be read by everybody on this machine, and stays in the shell's history; "
            f"make a new one (workbench deployments NAME --new-key) and give it by {VARIABLE}, or type it after "
            f"--key {FROM_INPUT}"
        )
    lines = stdin or sys.stdin
    key = getpass("alert key: ") if lines.isatty() else lines.readline()
    if not key.strip():
        raise BadInput(f"no key came; type it, or set {VARIABLE}")
    return key.strip()

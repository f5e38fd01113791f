"""`python -m workbench.testing.proof`."""

import signal
import sys
from types import FrameType

from workbench.testing.proof.command import main


def _end(number: int, frame: FrameType | None) -> None:
    """Go the way of Ctrl-C, through every `finally`: the engine of a kill day ends too; once is enough."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _end)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _end)
    try:
        code = main()
    except KeyboardInterrupt:
        sys.stderr.write("workbench prove: stopped; with --out the same command goes on where it was\n")
        code = 130
    sys.exit(code)

"""Noticing that the parent has died: `workbench up` holds the other end of a child's stdin and never writes to it.

A pipe is closed by the system however its holder ends, also when it is killed, and that is so on Linux, macOS and
Windows alike; asking again and again whether a process id still lives is none of these.

A terminal that is closed hangs up on the whole family at once. `workbench up` ends by that as by a kill; its children
do not, for they are told by the pipe and end, or guard what is held, in their own order.

Invariant: what is told is told once, and never while the parent lives.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable

_STDIN = 0


def when_parent_is_gone(gone: Callable[[], None]) -> None:
    """Call `gone`, in a thread of its own, when the parent has ended in whatever way.

    From here on stdin of this process is empty: a child of ours that inherited the pipe would wait, on Windows, for the
    read that stands on it. A closed terminal ends this process no more. To be called in the main thread.

    Parameters
    ----------
    gone : callable
    """
    hangup = getattr(signal, "SIGHUP", None)
    if hangup is not None:
        signal.signal(hangup, signal.SIG_IGN)
    pipe = os.dup(_STDIN)  # not inherited, unlike stdin itself
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, _STDIN)
    os.close(nothing)
    threading.Thread(target=_wait, args=(pipe, gone), name="parent", daemon=True).start()


def _wait(pipe: int, gone: Callable[[], None]) -> None:
    try:
        while os.read(pipe, 1):
            pass
    except OSError:
        pass  # a pipe that cannot be read any more has lost its other end too
    os.close(pipe)
    gone()

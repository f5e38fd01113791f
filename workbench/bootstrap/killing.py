"""The kill switch from the command line: the question first, then the order, then every step as it is seen to be done.

Invariant: the exit code is 0 only where the engine has said that every step is done.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

from workbench.bootstrap.client import EngineClient
from workbench.core.errors import BadInput

SENTENCE = "KILL"
LOOK_EVERY_S = 0.5


def kill(
    client: EngineClient,
    *,
    confirmed: bool,
    quiet: bool = False,
    ask: Callable[[str], str] = input,
) -> dict[str, Any]:
    """Order the kill switch of the running engine and follow it to its end.

    Parameters
    ----------
    client : EngineClient
    confirmed : bool
        The person has said yes already; else the sentence is asked for.
    quiet : bool
        Say nothing on the way.
    ask : callable
        Reads a line from the person.

    Raises
    ------
    BadInput
        The sentence was not typed, or the engine refused; nothing was done.
    """
    question = client.post("/api/kill/ask", {})
    if not confirmed:
        _confirm(question, ask)
        # The word lives for half a minute, and a person may read for longer than that.
        question = client.post("/api/kill/ask", {})
    body = {"nonce": question["nonce"], "reason": "command line", "who": "command line"}
    seen: dict[str, Any] = client.post("/api/kill", body)
    said: set[tuple[str, str]] = set()
    while seen["state"] == "running":
        _say(seen, said, quiet=quiet)
        time.sleep(LOOK_EVERY_S)
        seen = client.get("/api/kill")
    _say(seen, said, quiet=quiet)
    if not quiet:
        sys.stdout.write(f"kill switch: {seen['state']}. {seen['must_do']}".rstrip() + "\n")
    return seen


def _confirm(question: dict[str, Any], ask: Callable[[str], str]) -> None:
    held = ", ".join(question["instruments"]) or "nothing"
    words = f"{question['mode']} account {question['account']}: {question['positions']} positions ({held}).\n"
    try:
        typed = ask(f"{words}{question['then']}.\nType {SENTENCE} to go on: ")
    except EOFError:
        typed = ""
    if typed.strip() != SENTENCE:
        raise BadInput(f"nothing was done: {SENTENCE} was not typed; or say --yes")


def _say(seen: dict[str, Any], said: set[tuple[str, str]], *, quiet: bool) -> None:
    for item in seen["steps"]:
        line = (item["step"], item["state"])
        if not quiet and item["state"] in ("done", "failed") and line not in said:
            said.add(line)
            sys.stdout.write(f"{item['step']}: {item['state']}: {item['text']}\n")
            sys.stdout.flush()

"""The engine process: how long until it is ready to trade, reconciled, and what it then weighs and has imported."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import psutil

from tests.bench.figures import Bound, Figure, Size, middle
from tests.bench.sender import get
from tests.bench.stand import Child, NotReadyError, Stand, stand

NEVER = ("vectorbt", "numba", "plotly", "streamlit", "papermill")
SETTLE_S = 2.0
IMPORTED = re.compile(r"^import time:[^|]*\|[^|]*\|\s*(\S+)$", re.MULTILINE)


def measure(size: Size) -> Iterator[Figure]:
    """Start engines one after the other over one practice market; the last one tells its imports."""
    times, weights, said = [], [], []
    deployed: list[str] = []
    for _ in range(size.starts):
        with stand() as made:
            began = time.monotonic()
            engine = made.engine()
            engine.wait_for(made.engine_port, "/health", 60)
            times.append(time.monotonic() - began)
            said.append(own_word(engine))
            time.sleep(SETTLE_S)  # the market runs now, and the strategies have their bars
            told = get(made.engine_port, "/api/status")
            weights.append(psutil.Process(told["pid"]).memory_info().rss / 2**20)
            deployed = [item["name"] for item in get(made.engine_port, "/api/deployments")]
    notes = {"steps": said[-1], "deployed": deployed}
    bounds = (Bound(of="median", limit=3.0),)
    yield Figure(name="engine ready to trade", unit="s", stats=middle(times), n=len(times), bounds=bounds, notes=notes)
    bounds = (Bound(of="max", limit=200.0),)
    yield Figure(name="engine memory (resident)", unit="MB", stats=middle(weights), n=len(weights), bounds=bounds)
    with stand() as made:
        found = imports_of(made)
    heavy = [name for name in NEVER if name in found]
    yield Figure(
        name="heavy modules in the engine",
        unit="modules",
        stats={"value": len(heavy)},
        n=len(found),
        bounds=(Bound(of="value", limit=0),),
        notes={"looked_for": NEVER, "found": heavy},
    )


def own_word(engine: Child) -> dict[str, float]:
    """Seconds by step as the engine shows them, with the whole."""
    text = engine.tail()
    steps = {name: float(seconds) for name, seconds in re.findall(r"\] (\w+)\s+ok\s+([\d.]+) s", text)}
    whole = re.search(r"ready to trade in ([\d.]+) s", text)
    return steps | ({"steps_together": float(whole.group(1))} if whole else {})


def imports_of(made: Stand) -> set[str]:
    """Top-level modules that an engine imports until it is ready and has run a little."""
    engine = made.engine("-X", "importtime")
    engine.wait_for(made.engine_port, "/health", 90)
    time.sleep(SETTLE_S)
    names = IMPORTED.findall(engine.output.read_text(encoding="utf-8", errors="replace"))
    if "workbench.live.runner" not in names:
        raise NotReadyError("the engine told no imports")
    return {name.split(".")[0] for name in names}

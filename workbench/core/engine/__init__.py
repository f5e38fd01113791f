"""The engine: a deterministic state machine, one per account, with no clock, no I/O and no pandas.

`Engine.handle(message, now=...)` gives what was decided and what is to be done; recovery is `Engine.recover(events)`,
which decides nothing. In reading order: `turn` (one call's context), `machine` (the dispatch), `entries`,
`orders` (the broker's words), `steering` (protection and exits), `settling` (reconciliation).
"""

from workbench.core.engine.machine import Engine
from workbench.core.engine.turn import Decision, EngineConfig

__all__ = ["Decision", "Engine", "EngineConfig"]

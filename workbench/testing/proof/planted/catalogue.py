"""All planted bugs: importing this module fills the registry."""

import workbench.testing.proof.planted.exits
import workbench.testing.proof.planted.gates
import workbench.testing.proof.planted.knowledge
import workbench.testing.proof.planted.orders
import workbench.testing.proof.planted.pairs
import workbench.testing.proof.planted.recovery
import workbench.testing.proof.planted.structures
import workbench.testing.proof.planted.supers
import workbench.testing.proof.planted.walls  # noqa: F401 - each module puts its bugs on the list
from workbench.testing.proof.planted.registry import BUGS, Bug, plant

__all__ = ["BUGS", "Bug", "plant"]

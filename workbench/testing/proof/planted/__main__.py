"""One child of the hunt: plant a bug (or none) and run the seeds that are named, until the first that fails.

`python -m workbench.testing.proof.planted BUG SEED...` with `-` for clean code; prints one JSON document.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence


def main(argv: Sequence[str]) -> int:
    """Run the seeds and print which failed, and why."""
    from workbench.testing.proof.planted.catalogue import plant
    from workbench.testing.proof.run import run_seed

    name, *seeds = argv
    if name != "-":
        plant(name)
    told: dict[str, object] = {"seed": None, "says": ""}
    for seed in map(int, seeds):
        failure = run_seed(seed).failure
        if failure:
            told = {"seed": seed, "says": failure}
            break
    sys.stdout.write(json.dumps(told) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""``python -m workbench`` is the command ``workbench``, for systems where scripts are not on the path."""

from __future__ import annotations

import sys

from workbench.cli import main

if __name__ == "__main__":
    sys.exit(main())

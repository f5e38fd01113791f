"""`python -m workbench.testing.proof`."""

import sys

from workbench.testing.proof.command import main

sys.exit(main())

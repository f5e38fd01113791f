"""The engine process: joins journal, broker adapter, feed, engine and API of one account, and starts them step by step.

It is the same for practice, paper and live; what differs stands in its venue. `process` is its life, `parts` what it is
made of.

Invariant: settings are read and logs are set up before anything of it begins.
"""

from __future__ import annotations

import argparse
import asyncio

from workbench.bootstrap.engine_process.process import EngineProcess
from workbench.bootstrap.logs import set_up
from workbench.bootstrap.venues import make_venue
from workbench.config import data_dir, load
from workbench.live.admin_token import admin_token

__all__ = ["EngineProcess", "run"]


def run(args: argparse.Namespace) -> int:
    """``workbench engine``."""
    config, data = load(), data_dir()
    given = config.secrets.admin_token
    own = admin_token(data / "journal", given.get_secret_value() if given else None)
    set_up(data, "engine", config.secrets, also=(own,))
    venue = make_venue(args.mode, config, data, confirmed=args.confirm, began_sending=args.began_sending)
    return asyncio.run(EngineProcess(config, data, venue, under_up=args.under_up).run())

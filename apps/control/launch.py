"""How the control app is started: one list of arguments, so that the launcher and the tests start the very same thing.

Invariant: it listens on 127.0.0.1 only, watches no files, tells a visitor no internals and reports to nobody.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
from pathlib import Path

APP = Path(__file__).resolve().parent / "app.py"
PORT = 8501

_OPTIONS = {
    "server.address": "127.0.0.1",
    "server.headless": "true",
    "server.fileWatcherType": "none",
    "server.runOnSave": "false",
    "server.enableXsrfProtection": "true",
    "server.maxUploadSize": "1",
    "client.showErrorDetails": "none",
    "client.toolbarMode": "minimal",
    "client.showSidebarNavigation": "false",
    "browser.gatherUsageStats": "false",
    "global.developmentMode": "false",
    "logger.level": "warning",
    "logger.hideWelcomeMessage": "true",
    "ui.hideTopBar": "true",
    "theme.base": "light",
    "theme.primaryColor": "#1f5fbf",
    "theme.textColor": "#16202c",
    "theme.backgroundColor": "#ffffff",
    "theme.secondaryBackgroundColor": "#f3f5f8",
    "theme.baseRadius": "8px",
}


def command(port: int = PORT) -> list[str]:
    """Give the command that starts the control app, for `subprocess.Popen`.

    The app reads ``WORKBENCH_ENGINE_PORT``, ``WORKBENCH_DATA`` and ``WORKBENCH_ADMIN_TOKEN`` from its environment.
    """
    options = {**_OPTIONS, "server.port": str(port)}
    arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
    return [sys.executable, "-m", "streamlit", "run", str(APP), *arguments]


def main() -> None:
    """Run the control app in this very process, so that whoever started it can end it."""
    parser = argparse.ArgumentParser(description="The control app of the workbench, on 127.0.0.1.")
    parser.add_argument("--port", type=int, default=PORT)
    parser.add_argument("--under-up", action="store_true", help="stdin is held by `workbench up`: end with it")
    given = parser.parse_args()
    if given.under_up:
        threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()
    _, _, *arguments = command(given.port)
    from streamlit.web import cli

    sys.argv = arguments
    cli.main(prog_name="streamlit")


def _end_with_parent() -> None:
    """End at once when the pipe at stdin does: nothing is held here that could be lost."""
    try:
        while os.read(0, 1):
            pass
    except OSError:
        pass  # its other end is lost too
    os._exit(1)


if __name__ == "__main__":
    main()

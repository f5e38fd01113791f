"""The notifier of a run, and ``workbench notify test``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from workbench.config import Config
from workbench.core.errors import BadInput
from workbench.notify import AlarmFile, Channel, Notifier


def notifier_of(config: Config, data: Path) -> Notifier:
    """Give the notifier of an engine process: page, log, alarm file, and the addresses where some are set."""
    return Notifier(alarms=AlarmFile(data / "journal" / "alarms.jsonl"), channel=_channel(config))


def try_out(config: Config) -> dict[str, Any]:
    """Send one notice to every address and say how many took it.

    Raises
    ------
    BadInput
        No address is set.
    """
    channel = _channel(config)
    if channel is None:
        raise BadInput(
            "no address for notices is set; put one in .env, as in WORKBENCH_NOTIFY_URLS=tgram://BOT_TOKEN/CHAT_ID"
        )
    try:
        done = channel.deliver("info", "This is a test of the workbench: notices reach you here.")
    finally:
        channel.close()
    return {"ok": done.is_good, "taken": done.taken, "addresses": done.of, "reason": done.reason}


def _channel(config: Config) -> Channel | None:
    given = config.secrets.notify_urls
    addresses = given.get_secret_value().split() if given else []
    return Channel(addresses) if addresses else None

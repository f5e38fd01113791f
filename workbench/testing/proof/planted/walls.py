"""Bugs at the walls: the webhook, the way to the live host, what is written and logged (I6, I9, I10)."""

from __future__ import annotations

import logging
from typing import Any

from workbench.bootstrap import logs
from workbench.brokers.dhan import transport
from workbench.brokers.dhan.paths import Endpoint
from workbench.brokers.dhan.transport import Transport
from workbench.core.engine import entries
from workbench.live import alerts, webhook
from workbench.live.runner import Runner
from workbench.testing.proof.planted.registry import bug, replace_with, wrap


@bug("I6")
def paper_may_write() -> None:
    """The list of what may leave is not asked."""
    replace_with(transport, "may_leave", lambda endpoint, method, path: True)


@bug("I6")
def data_connection_for_orders() -> None:
    """A connection for data is made as one for orders."""

    def make(init: Any) -> Any:
        def wide(self: Transport, base_url: str, client_id: str, token: str, endpoint: Any, **more: Any) -> None:
            init(self, base_url, client_id, token, Endpoint.ORDERS, **more)

        return wide

    wrap(Transport, "__init__", make)


@bug("R6")
def writes_asked_again() -> None:
    """A write without an answer is sent again by the transport."""
    replace_with(transport, "is_read", lambda method, path: True)


@bug("I9")
def dropped_dedupe() -> None:
    """An alert that comes twice is handled twice."""

    async def again(self: Runner, alert: Any) -> Any:
        return await self.put(alert)

    replace_with(Runner, "put_alert", again)


@bug("I9")
def answered_before_the_disk() -> None:
    """An alert's sender is answered before the alert is on the disk."""

    def make(keep: Any) -> Any:
        def eager(self: Runner, entry: Any, release: Any) -> None:
            if release.waiter is not None and not release.waiter.done():
                release.waiter.set_result(release.decision)
            keep(self, entry, release)

        return eager

    wrap(Runner, "_keep", make)


@bug("I9")
def any_key_fits() -> None:
    """An alert's key is not compared."""
    replace_with(alerts, "_authenticate", lambda payload, deployment, mode: None)


@bug("W7")
def any_age_fits() -> None:
    """An alert's age is not looked at."""
    replace_with(alerts, "_fresh", lambda action, fired_at, now, max_age: None)


@bug("I9")
def alert_without_a_fate() -> None:
    """A closing alert that finds nothing leaves no line in the record."""

    def make(close: Any) -> Any:
        def silent(turn: Any, alert: Any, deployment: Any, held: Any) -> None:
            if held is not None:
                close(turn, alert, deployment, held)

        return silent

    wrap(entries, "_close", make)


@bug("I10")
def key_in_the_record() -> None:
    """The key of an alert stands in the record of the alert."""
    replace_with(alerts, "shown", lambda payload: payload.model_dump_json()[:400])


@bug("I10")
def body_in_the_log() -> None:
    """The body of an alert stands in the log."""

    def make(read: Any) -> Any:
        async def chatty(request: Any) -> Any:
            body = await read(request)
            logging.getLogger("workbench.live.webhook").warning("alert %r", body)
            return body

        return chatty

    wrap(webhook, "_read", make)


@bug("I10")
def token_in_a_reason() -> None:
    """The reason of a failed request repeats the access token."""
    replace_with(Transport, "_safe", lambda self, text, token="": text)


@bug("I10")
def redactor_off() -> None:
    """The logs are written as they come."""
    replace_with(logs.Redactor, "__call__", lambda self, text: text)

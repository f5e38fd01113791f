"""The day's loss limit at the broker: his own exit at a loss, set when a live day opens, so that it outlives us.

Our own limit halts entries and leaves everything; this one is wider and is there for the day on which we are not. It is
read back, and what is not confirmed is an alarm: trading goes on, since our own limit holds.

Invariants: a narrower exit that a person has set stays, and so does his profit; nothing is set before the market opens.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal

from workbench.core.account import PnlExit
from workbench.core.deployment import Deployment
from workbench.core.errors import BrokerUnavailable
from workbench.core.messages import Level
from workbench.core.order import Product
from workbench.core.ports import AccountControl, Notifier
from workbench.core.session import Session

WIDER = Decimal("1.2")
"""The broker's limit lies this much beyond ours: ours acts first, and his catches what ours could not."""

BEYOND_REACH = Decimal(10_000_000)
"""Rupees of profit that no day brings: the broker wants a profit beside the loss."""

TRIES = 5
LOOK_EVERY_S = 1.0


class LossGuard:
    """Sets the broker's exit once for each day.

    Parameters
    ----------
    control : AccountControl
        Blocks; it is called in a thread.
    loss : Decimal
        Our own limit, rupees.
    products : iterable of str
        The broker's words for what is to be left (`products_of`).
    session : callable
        Today's session, None on a day without one.
    now : callable
        Market time.
    pause_s : float
        Real seconds between two looks; after each failure it waits that many times longer.
    """

    def __init__(  # noqa: PLR0913 - what it watches, and whom it tells
        self,
        control: AccountControl,
        *,
        loss: Decimal,
        products: Iterable[str],
        session: Callable[[], Session | None],
        now: Callable[[], datetime],
        notifier: Notifier,
        pause_s: float = LOOK_EVERY_S,
    ) -> None:
        self._control, self._session, self._now, self._notifier = control, session, now, notifier
        self._wish = PnlExit(profit=BEYOND_REACH, loss=loss * WIDER, products=tuple(sorted(set(products))))
        self._pause_s = pause_s
        self._done: date | None = None

    async def run(self) -> None:
        """Wait for each day's open and set the exit, until cancelled."""
        while True:
            await asyncio.sleep(self._pause_s)
            if self._is_due():
                await self._open_day(self._now().date())

    def set(self) -> str:
        """Set the exit and read it back (blocking); gives what is missing, or "" once it is there."""
        try:
            found = self._control.pnl_exit()
        except BrokerUnavailable as error:
            return str(error)
        wish = self._wish
        if found is not None:
            if 0 < found.loss <= wish.loss and set(wish.products) <= set(found.products):
                return ""
            wish = replace(
                wish,
                profit=found.profit if found.profit > 0 else wish.profit,
                loss=min(found.loss, wish.loss) if found.loss > 0 else wish.loss,
                products=tuple(sorted({*wish.products, *found.products})),
                kill_switch=found.kill_switch,
            )
        reply = self._control.set_pnl_exit(wish)
        return "" if reply.confirmed else reply.reason or f"{reply.outcome.value}, and not read back"

    def _is_due(self) -> bool:
        session = self._session()
        return session is not None and session.date != self._done and session.open <= self._now() < session.close

    async def _open_day(self, day: date) -> None:
        for attempt in range(1, TRIES + 1):
            missing = await asyncio.to_thread(self.set)
            if not missing:
                self._tell(Level.INFO, f"Dhan leaves all by itself at a loss of Rs {self._wish.loss:.2f} today at most")
                break
            if attempt in (1, TRIES):
                end = "our own limit holds, and only while this engine runs" if attempt == TRIES else "trying again"
                self._tell(Level.ALARM, f"Dhan's own exit at a loss is not set: {missing}; {end}")
            await asyncio.sleep(self._pause_s * attempt)
        self._done = day

    def _tell(self, level: Level, text: str) -> None:
        self._notifier.send(level.value, text)


def products_of(deployments: Iterable[Deployment]) -> tuple[str, ...]:
    """Give the broker's words for what these deployments hold: INTRADAY, and DELIVERY where one stays over a night."""
    stays = any(item.plan.product is not Product.INTRADAY for item in deployments)
    return ("DELIVERY", "INTRADAY") if stays else ("INTRADAY",)

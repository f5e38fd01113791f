"""Paper: Dhan's live prices, orders to a mirror on this machine that fills at exactly those prices.

Invariant: the paper account's connection to Dhan carries data only; its orders have no other address than the mirror's.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from workbench.bootstrap.dhan_venue import DhanVenue
from workbench.bootstrap.places import Places
from workbench.bootstrap.practice import PRACTICE_CLIENT, PRACTICE_TOKEN
from workbench.bootstrap.venue import RUN_VARIABLE, Host, Login, until, wires_of
from workbench.config import Config
from workbench.core.deployment import Mode
from workbench.core.errors import BrokerUnavailable
from workbench.live.mirror_link import MirroredFeed, MirrorLink
from workbench.live.system import MARKET
from workbench.reference import calendar

MIRROR_PATIENCE_S = 15.0


class PaperVenue(DhanVenue):
    """The paper account; implements `venue.Venue`.

    Parameters
    ----------
    config : Config
    data : Path
    places : Places, optional
        Where prices come from; Dhan, or what `WORKBENCH_DHAN_URL` names.
    """

    mode = Mode.PAPER
    dry_run = False

    def __init__(self, config: Config, data: Path, places: Places | None = None) -> None:
        super().__init__(config, data, places or Places.of_environment())
        run = os.environ.get(RUN_VARIABLE, "")
        # The mirror's book lives as long as its process: another run is another account.
        self.account_id = f"paper-{run}" if run else "paper"
        self.id_prefix = f"q{run[:5]}"
        self.scope = run if self._places.is_simulated else ""
        self._mirror = Places.simulator(config.server.simulator_port)

    def begin(self) -> str:
        """Take the time, and wait for the mirror."""
        words = super().begin()
        self._mirror.clock_facts()
        return words

    async def connect(self, host: Host) -> None:
        """Make the clients and link the mirror."""
        keeper = self._keep_the_token(host)
        account = Login(client_id=PRACTICE_CLIENT, token=PRACTICE_TOKEN)
        wires = wires_of(
            self._places, self._mirror, self._login, account, now=self.clock.now, scale=self.speed(),
            ears=self._ears(keeper), read_timeout_s=self._config.dhan.timeout_s,
        )  # fmt: skip
        link = MirrorLink(
            self._mirror.mirror,
            account.client_id,
            account.token,
            clock=self.clock,
            feed_state=self._feed_state,
            on_state=self._mirror_state,
        )
        wires.market = MirroredFeed(wires.feed, link)
        self.wires = wires
        self._begin_beside(host, keeper, with_orders=False)
        host.start(link.run())
        if not await until(link.connected, MIRROR_PATIENCE_S):
            raise BrokerUnavailable(
                f"no mirror takes quotes at {self._mirror.origin}; start one: workbench simulator --market mirror"
            )

    def facts(self) -> dict[str, Any]:
        """Give what stands in the day's export about the market."""
        return {**super().facts(), "orders": "mirror"}

    def _feed_state(self) -> tuple[bool, str]:
        watch = self._host.watch
        now = self.clock.now()
        if watch.connected and calendar().knows(MARKET, now.date()) and not calendar().is_open(MARKET, now):
            return True, ""  # a closed market has nothing to say, and nothing fills in it
        return watch.lives()

    def _mirror_state(self, up: bool, reason: str) -> None:
        if up:
            self._host.watch.let_go("mirror")
        else:
            self._host.watch.hold("mirror", f"paper orders cannot be matched: {reason}")

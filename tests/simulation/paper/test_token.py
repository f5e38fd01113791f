"""A token that ends in the middle of a session: loud, no entry until there is another, and then all goes on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.simulation.paper.running import Dhan, Up, deploy, playing_dhan

pytestmark = pytest.mark.timeout(300)

PIN, TOTP = "123456", "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


@contextmanager
def paper(dhan: Dhan, folder: Path, **env: str) -> Iterator[Up]:
    deploy(folder / "data", "paper")
    running = Up(folder, dhan.proxy.url, "--mode", "paper", env=env)
    try:
        running.wait_open()
        yield running
    finally:
        assert running.stop() == []


def feed(up: Up) -> Any:
    return up.get("/api/status")["feed"]


def told(up: Up, words: str) -> bool:
    return any(words in item["text"] for item in up.get("/api/status")["notices"])


def end_the_token(dhan: Dhan) -> None:
    dhan.simulator.call(dhan.simulator.simulator.tokens.expire)


def test_a_refused_token_without_a_way_to_another_holds_entries_and_alarms(tmp_path: Path) -> None:
    with playing_dhan() as dhan, paper(dhan, tmp_path) as up:
        end_the_token(dhan)
        up.wait("the alarm", lambda: told(up, "Dhan refuses the access token, no entry is sent"))
        up.wait("the hold", lambda: not feed(up)["alive"])
        spot = dhan.simulator.call(lambda: dhan.simulator.simulator.board.spot("NIFTY"))
        body = {"side": "BUY", "timeframe": "1m", "price": spot, "timestamp": up.get("/health")["now"]}
        _, answer = up.send(body)
        assert (answer["fate"], answer["gate"]) == ("denied", "stale_feed"), (
            answer,
            up.get("/api/status")["notices"],
            up.log.read_text(encoding="utf-8"),
        )
        assert up.truth()["orders"] == []


def test_a_token_that_ends_is_made_anew_and_the_feed_goes_on_with_it(tmp_path: Path) -> None:
    with (
        playing_dhan(pin=PIN, totp_secret=TOTP, mint_every_s=1.0) as dhan,
        paper(dhan, tmp_path, DHAN_PIN=PIN, DHAN_TOTP_SECRET=TOTP) as up,
    ):
        end_the_token(dhan)
        up.wait("the alarm", lambda: told(up, "Dhan refuses the access token"))
        up.wait("another token", lambda: told(up, "Dhan takes the access token again"), 90)
        up.wait("quotes", lambda: feed(up)["alive"], 60)
        up.enter()
        assert dhan.orders() == []
        assert PIN not in up.log.read_text(encoding="utf-8") and TOTP not in up.log.read_text(encoding="utf-8")

"""What an account's clients are made with."""

from __future__ import annotations

import time
from datetime import datetime

from workbench.bootstrap.places import Places
from workbench.bootstrap.venue import Login, wires_of
from workbench.core.session import IST
from workbench.testing.wire_stub import Reply, WireStub

LOGIN = Login(client_id="1000000001", token="a-token-of-a-trader")


def test_r1_an_answer_is_waited_for_as_long_as_the_settings_say() -> None:
    with WireStub() as stub:
        stub.default = lambda _: Reply(wait=True)
        places = Places.simulator(int(stub.url.rsplit(":", 1)[1].split("/")[0]))
        now = datetime(2026, 11, 20, 10, tzinfo=IST)
        wires = wires_of(places, places, LOGIN, LOGIN, now=lambda: now, scale=0.0, read_timeout_s=0.2)
        began = time.monotonic()
        wires.broker.cancel("1")
        assert time.monotonic() - began < 3.0

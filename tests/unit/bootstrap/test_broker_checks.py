"""What the doctor makes of answers that a healthy simulator does not give."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from email.utils import format_datetime

import pytest

from workbench.bootstrap.broker_checks import examine_broker, wall_clock
from workbench.bootstrap.findings import Blocks, Finding
from workbench.brokers.dhan.login_wire import LoginWire
from workbench.testing.wire_stub import Received, Reply, WireStub, http

CLIENT = "1000000001"
PROFILE = {"dhanClientId": CLIENT, "activeSegment": "E, D, C, M, ", "dataPlan": "Active", "tokenValidity": ""}
IP = {"primaryIP": "10.0.0.1", "detectedIP": "10.0.0.1", "ipMatchStatus": "MATCH", "ordersAllowed": True}
PRICE = {"data": {"IDX_I": {"13": {"last_price": 25000.0}}}, "status": "success"}


@pytest.fixture
def stub() -> Iterator[WireStub]:
    with WireStub() as server:
        yield server


Answer = Callable[[], Reply]


def dated(body: object, status: int = 200, *, off_s: float = 0.0) -> Answer:
    """Give an answer that is dated when it is given, as a server does."""

    def reply() -> Reply:
        moment = wall_clock() + timedelta(seconds=off_s)
        return http(status, body, extra=f"Date: {format_datetime(moment)}\r\n")

    return reply


def closed() -> Reply:
    return Reply(close=True)


def answering(answers: Mapping[str, Answer]) -> Callable[[Received], Reply]:
    healthy = {"/v2/profile": dated(PROFILE), "/v2/ip/getIP": dated(IP), "/v2/marketfeed/ltp": dated(PRICE)}
    return lambda request: {**healthy, **answers}[request.path]()


def look(stub: WireStub, answers: Mapping[str, Answer], *, delivers: bool = False) -> dict[str, Finding]:
    stub.default = answering(answers)
    wire = LoginWire(CLIENT, base_url=stub.url, timeouts_s=(2.0, 2.0))
    found = examine_broker(wire, "secret-token", base_url=stub.url, delivers=delivers)
    return {each.name: each for each in found}


def faults(found: Mapping[str, Finding]) -> list[tuple[str, Blocks]]:
    return [(each.name, each.blocks) for each in found.values() if not each.ok]


@pytest.mark.parametrize(("ddpi", "ok"), [("Active", True), ("Deactive", False), ("", False)])
def test_who_carries_shares_is_told_whether_they_can_be_sold_on_a_later_day(
    stub: WireStub, ddpi: str, ok: bool
) -> None:
    found = look(stub, {"/v2/profile": dated(PROFILE | {"ddpi": ddpi})}, delivers=True)["shares of another day"]
    assert (found.ok, found.blocks if not ok else None) == (ok, None if ok else Blocks.NOTHING)
    assert "shares of another day" not in look(stub, {})


def test_healthy_answers_have_no_fault(stub: WireStub) -> None:
    found = look(stub, {})
    assert not faults(found)
    assert "takes the token now" in found["token's end"].detail


def test_an_account_without_derivatives_stops_live(stub: WireStub) -> None:
    found = look(stub, {"/v2/profile": dated({**PROFILE, "activeSegment": "E"})})
    assert faults(found) == [("segments", Blocks.LIVE)]
    assert "activate futures and options" in found["segments"].way_out


@pytest.mark.parametrize(
    ("reply", "blocks", "told"),
    [
        (dated({"errorType": "x", "errorCode": "DH-902", "errorMessage": "no"}, 400), Blocks.PAPER, "DH-902"),
        (dated({"status": "failed", "data": {"806": "Data APIs not subscribed"}}, 400), Blocks.PAPER, "806"),
        (dated({"errorMessage": "down"}, 503), Blocks.NOTHING, "no price came"),
        (closed, Blocks.NOTHING, "no price came"),
    ],
)
def test_an_active_plan_without_a_price_is_told_as_what_it_is(
    stub: WireStub, reply: Answer, blocks: Blocks, told: str
) -> None:
    found = look(stub, {"/v2/marketfeed/ltp": reply})
    assert faults(found) == [("data plan", blocks)]
    assert told in found["data plan"].detail


@pytest.mark.parametrize("reply", [closed, dated({}, 503), dated({"errorCode": "DH-905", "errorMessage": "no"}, 400)])
def test_r8_addresses_that_cannot_be_read_stop_live(stub: WireStub, reply: Answer) -> None:
    found = look(stub, {"/v2/ip/getIP": reply})
    assert faults(found) == [("registered address", Blocks.LIVE)]
    assert found["registered address"].way_out


def test_r8_the_documented_answer_proves_nothing_and_says_so(stub: WireStub) -> None:
    found = look(stub, {"/v2/ip/getIP": dated({"primaryIP": "10.0.0.1", "modifyDatePrimary": "2026-11-01"})})
    assert not faults(found) and "only an order proves it" in found["registered address"].detail


@pytest.mark.parametrize(("off_s", "blocks"), [(20.0, Blocks.NOTHING), (-40.0, Blocks.LIVE), (40.0, Blocks.LIVE)])
def test_s9_dhans_date_is_compared_with_this_machines_clock(stub: WireStub, off_s: float, blocks: Blocks) -> None:
    answers = {
        path: dated(body, off_s=off_s)
        for path, body in (("/v2/profile", PROFILE), ("/v2/ip/getIP", IP), ("/v2/marketfeed/ltp", PRICE))
    }
    found = look(stub, answers)
    assert faults(found) == [("clock", blocks)]
    assert ("behind" if off_s > 0 else "ahead of") in found["clock"].detail


def test_without_a_date_nothing_is_called_right_about_the_clock(stub: WireStub) -> None:
    bare = {"/v2/profile": lambda: http(200, PROFILE), "/v2/ip/getIP": lambda: http(200, IP)}
    assert faults(look(stub, bare)) == [("clock", Blocks.LIVE)]


def test_a_refused_token_still_lets_the_clocks_be_compared(stub: WireStub) -> None:
    refused = dated({"errorCode": "DH-901", "errorMessage": "expired"}, 401, off_s=-100.0)
    found = look(stub, {"/v2/profile": refused})
    assert faults(found) == [("token", Blocks.PAPER), ("clock", Blocks.LIVE)]
    assert [request.path for request in stub.requests] == ["/v2/profile"]


def test_i10_no_finding_shows_token_or_client(stub: WireStub) -> None:
    echo = dated({"errorMessage": f"secret-token of {CLIENT} is bad"}, 401)
    told = str([each.to_dict() for each in look(stub, {"/v2/profile": echo}).values()])
    assert "secret-token" not in told and CLIENT not in told

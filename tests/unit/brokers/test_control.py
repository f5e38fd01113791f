"""Orders to the account: what Dhan says of them, and what is found when it is read back."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from workbench.brokers.dhan import control
from workbench.brokers.dhan.client import DhanClient
from workbench.brokers.dhan.control import DhanControl
from workbench.brokers.dhan.transport import Endpoint
from workbench.core.account import ControlReply, Conversion, KillSwitch, PnlExit
from workbench.core.errors import BrokerUnavailable
from workbench.core.messages import Outcome
from workbench.core.order import Product
from workbench.testing.wire_stub import Received, Reply, WireStub, http

WISH = PnlExit(profit=Decimal(100_000), loss=Decimal(3000), products=("INTRADAY",))
CONFIRMED = ControlReply(outcome=Outcome.ACCEPTED, confirmed=True)
POSITION = {"exchangeSegment": "NSE_FNO", "securityId": "1", "productType": "INTRADAY", "tradingSymbol": "NIFTY-CE"}
ORDER = {
    "orderId": "7",
    "orderStatus": "PENDING",
    "transactionType": "SELL",
    "exchangeSegment": "NSE_FNO",
    "securityId": "1",
    "quantity": 65,
}


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Iterator[WireStub]:
    monkeypatch.setattr(control, "SETTING_PATIENCE_S", 0.3)
    with WireStub() as server:
        yield server


def control_of(stub: WireStub) -> DhanControl:
    return DhanControl(DhanClient(stub.url, "1000000001", "token", Endpoint.ORDERS, timeouts_s=(0.3, 0.3)))


def answering(stub: WireStub, write: Reply, *reads: object) -> list[Received]:
    """Answer writes with one reply and the reads with theirs, the last one again and again."""
    queue, written = list(reads), list[Received]()

    def answer(request: Received) -> Reply:
        if request.method != "GET":
            written.append(request)
            return write
        return http(200, queue.pop(0) if len(queue) > 1 else queue[0])

    stub.default = answer
    return written


def test_the_kill_switch_is_confirmed_by_its_status(stub: WireStub) -> None:
    written = answering(
        stub, http(200, "Kill Switch has been successfully activated"), {"killSwitchStatus": "ACTIVATE"}
    )
    assert control_of(stub).switch(KillSwitch.ON) == CONFIRMED
    assert [(each.path, each.body) for each in written] == [("/v2/killswitch?killSwitchStatus=ACTIVATE", b"")]


def test_words_alone_confirm_nothing(stub: WireStub) -> None:
    written = answering(stub, http(200, "Kill Switch has been activated"), {"killSwitchStatus": "DEACTIVATE"})
    reply = control_of(stub).switch(KillSwitch.ON)
    assert (reply.outcome, reply.confirmed) == (Outcome.ACCEPTED, False)
    assert "the kill switch is off" in reply.reason
    assert len(written) == 1


def test_a_lost_answer_is_cleared_by_reading_back(stub: WireStub) -> None:
    written = answering(stub, Reply(reset=True), {"killSwitchStatus": "DEACTIVATED"})
    assert control_of(stub).switch(KillSwitch.OFF) == CONFIRMED
    assert len(written) == 1


@pytest.mark.parametrize("page", [http(200, b"<html>hello</html>"), http(502, b"bad gateway"), Reply(close=True)])
def test_an_answer_that_proves_nothing_and_no_effect_is_unknown(stub: WireStub, page: Reply) -> None:
    answering(stub, page, {"killSwitchStatus": "DEACTIVATE"})
    reply = control_of(stub).switch(KillSwitch.ON)
    assert (reply.outcome, reply.confirmed) == (Outcome.UNKNOWN, False)


def test_a_refusal_keeps_dhans_words(stub: WireStub) -> None:
    error = {"errorCode": "DH-906", "errorMessage": "Positions are open"}
    answering(stub, http(400, error), {"killSwitchStatus": "DEACTIVATE"})
    assert control_of(stub).switch(KillSwitch.ON) == ControlReply(
        outcome=Outcome.REJECTED, reason="DH-906 Positions are open"
    )


@pytest.mark.parametrize("status", [{}, {"killSwitchStatus": None}, {"killSwitchStatus": "MAYBE"}])
def test_a_kill_switch_that_cannot_be_read_is_not_off(stub: WireStub, status: dict[str, Any]) -> None:
    answering(stub, http(200, ""), status)
    with pytest.raises(BrokerUnavailable):
        control_of(stub).kill_switch()


@pytest.mark.parametrize(
    "told",
    [
        {"profit": "100000.00", "loss": "3000.00", "productType": ["INTRADAY"], "enable_kill_switch": False},
        {"pnlExitStatus": "ACTIVE", "profit": 100000.0, "loss": -3000.0},
    ],
)
def test_the_pnl_exit_is_confirmed_by_its_thresholds(stub: WireStub, told: dict[str, Any]) -> None:
    written = answering(stub, http(200, {"pnlExitStatus": "ACTIVE", "message": "ok"}), told)
    assert control_of(stub).set_pnl_exit(WISH) == CONFIRMED
    assert written[0].document() == {
        "profitValue": 100000.0,
        "lossValue": 3000.0,
        "productType": ["INTRADAY"],
        "enableKillSwitch": False,
        "dhanClientId": "1000000001",
    }


@pytest.mark.parametrize(
    "told",
    [
        {"profit": "100000.00", "loss": "2000.00"},
        {"profit": "100000.00", "loss": "3000.00", "productType": ["DELIVERY"]},
        {"profit": "100000.00", "loss": "3000.00", "enable_kill_switch": True},
        {"pnlExitStatus": "DISABLED", "profit": "100000.00", "loss": "3000.00"},
        {},
    ],
)
def test_another_pnl_exit_than_the_wished_one_is_not_confirmed(stub: WireStub, told: dict[str, Any]) -> None:
    answering(stub, http(200, {"pnlExitStatus": "ACTIVE"}), told)
    reply = control_of(stub).set_pnl_exit(WISH)
    assert (reply.outcome, reply.confirmed) == (Outcome.ACCEPTED, False)


@pytest.mark.parametrize(
    "wish", [PnlExit(profit=Decimal(0), loss=Decimal(1)), PnlExit(profit=Decimal(1), loss=Decimal(-1))]
)
def test_a_threshold_that_would_fire_at_once_does_not_leave(stub: WireStub, wish: PnlExit) -> None:
    assert control_of(stub).set_pnl_exit(wish).outcome is Outcome.NOT_SENT
    assert stub.connections == 0


def test_a_stopped_pnl_exit_is_confirmed_when_there_is_none(stub: WireStub) -> None:
    answering(stub, http(200, {"pnlExitStatus": "DISABLED"}), {"pnlExitStatus": "DISABLED", "profit": "0.00"})
    assert control_of(stub).stop_pnl_exit() == CONFIRMED


def test_dhans_no_data_is_no_pnl_exit_and_rubbish_is_not(stub: WireStub) -> None:
    stub.replies += [
        http(400, {"errorCode": "DH-907", "errorMessage": "No data"}),
        http(200, {"profit": "much", "loss": "1"}),
        http(400, {"errorCode": "DH-905", "errorMessage": "bad"}),
    ]
    assert control_of(stub).pnl_exit() is None
    for _ in range(2):
        with pytest.raises(BrokerUnavailable, match="P&L exit cannot be read"):
            control_of(stub).pnl_exit()


def test_everything_is_out_when_the_account_was_read_flat(stub: WireStub) -> None:
    held = {**POSITION, "netQty": 65}
    written = answering(stub, http(202, b""), [held], [ORDER], [{**POSITION, "netQty": 0}], [])
    assert control_of(stub).exit_all(patience_s=2.0) == CONFIRMED
    assert [(each.method, each.path) for each in written] == [("DELETE", "/v2/positions")]


def test_what_is_still_there_is_named(stub: WireStub) -> None:
    answering(
        stub, http(200, {"message": "done"}), [{**POSITION, "netQty": -65}], [ORDER], [{**POSITION, "netQty": -65}]
    )
    reply = control_of(stub).exit_all(patience_s=0.0)
    assert (reply.outcome, reply.confirmed) == (Outcome.ACCEPTED, False)
    assert "-65 of NIFTY-CE, order 7 working" in reply.reason


def test_positions_that_cannot_be_read_are_not_flat(stub: WireStub) -> None:
    answering(stub, http(202, b""), {"errorCode": "DH-908"})
    reply = control_of(stub).exit_all(patience_s=0.0)
    assert not reply.confirmed
    assert "positions cannot be read" in reply.reason


@pytest.mark.parametrize("answer", [http(202, b""), http(200, {"status": "success"})])
def test_a_conversion_is_confirmed_by_the_units_that_moved(stub: WireStub, answer: Reply) -> None:
    wish = Conversion(
        segment="NSE_FNO", security_id="1", quantity=65, is_long=True, before=Product.INTRADAY, after=Product.MARGIN
    )
    after = [{**POSITION, "netQty": 65}, {**POSITION, "productType": "MARGIN", "netQty": 65}]
    written = answering(stub, answer, [{**POSITION, "netQty": 130}], after)
    assert control_of(stub).convert(wish) == CONFIRMED
    assert written[0].document()["toProductType"] == "MARGIN"


@pytest.mark.parametrize("unread", [{"errorCode": "DH-908"}, [{"netQty": 1}]])
def test_a_conversion_whose_start_is_not_known_does_not_leave(stub: WireStub, unread: object) -> None:
    wish = Conversion(
        segment="NSE_FNO", security_id="1", quantity=65, is_long=True, before=Product.INTRADAY, after=Product.MARGIN
    )
    written = answering(stub, http(202, b""), unread)
    assert control_of(stub).convert(wish).outcome is Outcome.NOT_SENT
    assert written == []


def test_rows_that_are_not_understood_are_not_flat(stub: WireStub) -> None:
    answering(stub, http(202, b""), [{"netQty": 0}])
    assert not control_of(stub).exit_all(patience_s=0.0).confirmed


def test_a_conversion_that_fails_by_its_body_is_not_confirmed(stub: WireStub) -> None:
    wish = Conversion(
        segment="NSE_FNO", security_id="1", quantity=65, is_long=True, before=Product.INTRADAY, after=Product.MARGIN
    )
    answering(stub, http(200, [{"status": "ERROR", "message": "no"}]), [{**POSITION, "netQty": 65}])
    reply = control_of(stub).convert(wish)
    assert (reply.outcome, reply.confirmed) == (Outcome.UNKNOWN, False)

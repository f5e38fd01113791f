"""The mirror by hand: what it fills, what it does not, and when it stops believing its prices."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from workbench.core.bars import Quote
from workbench.core.errors import BadInput
from workbench.core.instrument import Instrument, InstrumentKind, Right, Segment
from workbench.core.session import IST
from workbench.live.mirror_link import facts_of
from workbench.reference import calendar, charge_table, contract_table
from workbench.simulator import SimulatorConfig
from workbench.simulator.mirror import Forwarder, MirrorSimulator
from workbench.simulator.mirror_server import read_instrument, read_quote

DAY = date(2026, 11, 16)
NOON = datetime(2026, 11, 16, 12, 0, tzinfo=IST)
INDEX = Instrument(segment=Segment.IDX_I, security_id="13", symbol="NIFTY", kind=InstrumentKind.INDEX)
CALL = Instrument(
    segment=Segment.NSE_FNO,
    security_id="4711",
    symbol="NIFTY",
    kind=InstrumentKind.OPTION,
    lot=65,
    expiry=date(2026, 11, 17),
    strike=Decimal(24000),
    right=Right.CE,
    freeze=1800,
)


def quote(bid: str, ask: str, size: int = 650, *, last: str = "") -> Quote:
    return Quote(
        key=CALL.key, time=NOON, last=Decimal(last or ask), bid=Decimal(bid), ask=Decimal(ask), bid_quantity=size,
        ask_quantity=size,
    )  # fmt: skip


class Wire:
    """A monotonic clock that is moved by hand."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
def mirror(wire: Wire) -> MirrorSimulator:
    made = MirrorSimulator(
        calendar(), contract_table(), charge_table(), DAY, forwarder=Forwarder(stale_after_s=3.0, monotonic=wire)
    )
    made.learn([INDEX, CALL])
    made.hear(NOON, alive=True, quotes=[_spot("24010"), quote("99.95", "100.05")])
    return made


def _spot(price: str) -> Quote:
    value = Decimal(price)
    return Quote(key=INDEX.key, time=NOON, last=value, bid=value, ask=value)


def order(mirror: MirrorSimulator, **changes: Any) -> str:
    body = {
        "dhanClientId": mirror.client_id, "transactionType": "BUY", "exchangeSegment": "NSE_FNO",
        "productType": "INTRADAY", "orderType": "LIMIT", "validity": "DAY", "securityId": CALL.security_id,
        "quantity": 65, "price": 100.05, "triggerPrice": 0, "disclosedQuantity": 0, "correlationId": "q1",
    }  # fmt: skip
    status, answer = mirror.desk.place({**body, **changes})
    assert status == 200, answer
    mirror.tick()
    return str(answer["orderId"])


def state(mirror: MirrorSimulator, order_id: str) -> tuple[str, int]:
    kept = mirror.desk.orders[order_id]
    return kept.status.value, kept.filled


def later(seconds: int) -> datetime:
    return NOON + timedelta(seconds=seconds)


def test_a_bid_at_the_forwarded_ask_fills_there(mirror: MirrorSimulator) -> None:
    bought = order(mirror, price=101)
    assert state(mirror, bought) == ("TRADED", 65)
    assert mirror.desk.trades[0].price == Decimal("100.05")


def test_a_resting_order_fills_when_a_forwarded_quote_reaches_it(mirror: MirrorSimulator) -> None:
    resting = order(mirror, price=99)
    assert state(mirror, resting) == ("PENDING", 0)
    mirror.hear(later(1), alive=True, quotes=[quote("98.90", "99.00")])
    assert state(mirror, resting) == ("TRADED", 65)


def test_no_more_fills_than_the_forwarded_size_shows(mirror: MirrorSimulator) -> None:
    mirror.hear(later(1), alive=True, quotes=[quote("99.95", "100.05", size=65)])
    big = order(mirror, quantity=195)
    assert state(mirror, big) == ("PART_TRADED", 65)
    second = order(mirror, correlationId="q2")
    assert state(mirror, second) == ("PENDING", 0), "the size was taken by the first order"
    mirror.hear(later(2), alive=True, quotes=[quote("99.95", "100.05", size=130)])
    assert state(mirror, big) == ("TRADED", 195)


def test_a_side_without_a_size_is_no_price(mirror: MirrorSimulator) -> None:
    mirror.hear(later(1), alive=True, quotes=[quote("99.95", "100.05", size=0)])
    assert state(mirror, order(mirror, price=101)) == ("PENDING", 0)


def test_a_stop_is_triggered_by_the_forwarded_last_price(mirror: MirrorSimulator) -> None:
    order(mirror, price=101)
    stop = order(mirror, transactionType="SELL", orderType="STOP_LOSS", triggerPrice=90, price=85, correlationId="q2")
    assert state(mirror, stop) == ("PENDING", 0)
    mirror.hear(later(1), alive=True, quotes=[quote("88.00", "88.10", last="89.00")])
    assert state(mirror, stop) == ("TRADED", 65)
    assert mirror.desk.trades[-1].price == Decimal("88.00")
    assert mirror.account.held(CALL.key) == 0


def test_s3_nothing_fills_while_nobody_forwards(mirror: MirrorSimulator, wire: Wire) -> None:
    resting = order(mirror, price=99)
    wire.now += 3.5
    assert "nothing was forwarded for" in mirror.why_stale
    market = order(mirror, orderType="MARKET", price=0, correlationId="q2")
    assert state(mirror, market) == ("PENDING", 0), "a market order waits, protected from the last known price"
    assert state(mirror, resting) == ("PENDING", 0)


def test_s3_after_a_silence_an_instrument_fills_only_on_a_newer_quote(mirror: MirrorSimulator, wire: Wire) -> None:
    wire.now += 10
    mirror.hear(later(10), alive=True, quotes=[_spot("24020")])
    assert mirror.why_stale == ""
    bought = order(mirror, price=101)
    assert state(mirror, bought) == ("PENDING", 0), "the option has not been quoted since the silence"
    mirror.hear(later(11), alive=True, quotes=[quote("99.95", "100.05")])
    assert state(mirror, bought) == ("TRADED", 65)


def test_s4_a_forwarder_whose_own_feed_is_dead_makes_no_fills(mirror: MirrorSimulator) -> None:
    mirror.hear(later(1), alive=False, reason="no quote for 6 s")
    assert mirror.why_stale == "the forwarder's own feed is dead: no quote for 6 s"
    assert state(mirror, order(mirror, price=101)) == ("PENDING", 0)
    mirror.hear(later(2), alive=False, reason="no quote for 7 s", quotes=[quote("99.95", "100.05")])
    assert mirror.desk.trades == []


def test_an_instrument_without_a_quote_is_not_listed(mirror: MirrorSimulator) -> None:
    other = replace(CALL, security_id="4712", strike=Decimal(24050))
    mirror.learn([other])
    body = {"transactionType": "BUY", "exchangeSegment": "NSE_FNO", "productType": "INTRADAY", "orderType": "LIMIT",
            "validity": "DAY", "securityId": "4712", "quantity": 65, "price": 10, "correlationId": "q3"}  # fmt: skip
    status, answer = mirror.desk.place(body)
    assert (status, answer["errorMessage"]) == (400, "Invalid SecurityId")


def test_a_quote_of_an_instrument_without_facts_is_passed_over(mirror: MirrorSimulator) -> None:
    stranger = replace(quote("1", "2"), key="NSE_FNO:NIFTY:2026-11-17:1:CE")
    assert mirror.hear(later(1), alive=True, quotes=[stranger]) == (stranger.key,)


def test_the_mirror_squares_off_by_forwarded_time_and_expires_what_rests(mirror: MirrorSimulator) -> None:
    order(mirror, price=101)
    resting = order(mirror, price=50, correlationId="q2")
    at = mirror.session.broker_square_off
    mirror.hear(at, alive=True, quotes=[quote("99.95", "100.05")])
    mirror.hear(at + timedelta(seconds=1), alive=True, quotes=[quote("99.90", "100.05")])
    assert mirror.account.held(CALL.key) == 0
    assert state(mirror, resting)[0] == "CANCELLED"
    mirror.hear(mirror.session.close, alive=True)
    assert not any(each.status.is_open for each in mirror.desk.orders.values())


def test_an_order_outside_the_session_is_refused_by_the_exchange(mirror: MirrorSimulator) -> None:
    mirror.hear(mirror.session.close + timedelta(seconds=1), alive=True)
    assert state(mirror, order(mirror)) == ("REJECTED", 0)


def test_forwarded_time_never_goes_back(mirror: MirrorSimulator) -> None:
    mirror.hear(NOON - timedelta(hours=1), alive=True)
    assert mirror.now == NOON


def test_a_new_day_opens_with_what_was_carried(mirror: MirrorSimulator) -> None:
    order(mirror, price=101, productType="MARGIN")
    mirror.hear(datetime(2026, 11, 17, 9, 20, tzinfo=IST), alive=True, quotes=[quote("90", "90.10")])
    assert mirror.day == date(2026, 11, 17)
    assert mirror.account.held(CALL.key) == 65
    assert mirror.desk.orders == {}


def test_margin_is_the_brokers_and_refuses_what_is_too_dear(mirror: MirrorSimulator) -> None:
    mirror.account.start_of_day = Decimal(1000)
    poor = order(mirror, price=101)
    assert state(mirror, poor) == ("REJECTED", 0)
    assert "Margin" in mirror.desk.orders[poor].reason


def test_facts_go_over_the_link_unchanged() -> None:
    assert read_instrument(facts_of(CALL)) == CALL
    assert read_instrument(facts_of(INDEX)) == INDEX


@pytest.mark.parametrize("price", ["NaN", "Infinity", "ten", None])
def test_s6_a_price_that_is_no_number_ends_the_link(price: object) -> None:
    with pytest.raises(BadInput):
        read_quote([CALL.key, NOON.isoformat(), price, "1", "2", 1, 1, 0])


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(BadInput, match="time zone"):
        read_quote([CALL.key, "2026-11-16T12:00:00", "1", "1", "2", 1, 1, 0])


def test_the_first_word_names_the_day_also_one_that_is_past() -> None:
    fresh = MirrorSimulator(calendar(), contract_table(), charge_table(), date(2026, 11, 23))
    fresh.hear(NOON, alive=True)
    assert (fresh.day, fresh.now) == (DAY, NOON)


def test_an_order_on_its_way_meets_the_quote_that_has_come_meanwhile() -> None:
    slow = MirrorSimulator(
        calendar(), contract_table(), charge_table(), DAY, SimulatorConfig(transit_s=0.05), Forwarder(3.0, Wire())
    )
    slow.learn([INDEX, CALL])
    slow.hear(NOON, alive=True, quotes=[_spot("24010"), quote("99.95", "100.05")])
    sent = order(slow, price=101)
    assert state(slow, sent)[0] == "TRANSIT"
    slow.hear(later(1), alive=True, quotes=[quote("100.30", "100.40")])
    slow.desk.admit_transit()  # its door does this when its time on the way is over
    assert state(slow, sent) == ("TRADED", 65)
    assert slow.desk.trades[0].price == Decimal("100.40")

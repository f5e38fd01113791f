"""The order desk: receipt, refusals, fills, square-off, money."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from workbench.core.instrument import Instrument, InstrumentKind, Right
from workbench.core.session import IST
from workbench.reference import calendar, charge_table, contract_table
from workbench.simulator import Simulator, SimulatorConfig, SyntheticMarket, masters
from workbench.simulator.orders import MOST_MODIFICATIONS

DAY = date(2026, 11, 16)


@pytest.fixture(scope="module")
def market() -> SyntheticMarket:
    return SyntheticMarket(3, calendar(), DAY)


Maker = Callable[..., Simulator]


@pytest.fixture
def make(market: SyntheticMarket) -> Maker:
    def made(**options: Any) -> Simulator:
        sim = Simulator(market, calendar(), contract_table(), charge_table(), SimulatorConfig(**options))
        while sim.board.second < 60:
            sim.step()
        return sim

    return made


def atm(sim: Simulator, right: Right = Right.CE, steps: int = 0) -> Instrument:
    expiry = sim.listing.expiries("NIFTY")[0]
    found = [each.instrument for each in sim.listing.options("NIFTY", expiry) if each.instrument.right is right]
    spot = Decimal(repr(sim.board.spot("NIFTY")))
    place = min(range(len(found)), key=lambda each: abs((found[each].strike or spot) - spot))
    return found[place + steps]


def body(instrument: Instrument, **changes: Any) -> dict[str, Any]:
    return {
        "transactionType": "BUY", "exchangeSegment": instrument.segment.value, "productType": "INTRADAY",
        "orderType": "MARKET", "validity": "DAY", "securityId": instrument.security_id, "quantity": instrument.lot,
        "disclosedQuantity": 0, "price": 0.0, "triggerPrice": 0.0, "afterMarketOrder": False, "boProfitValue": None,
    } | changes  # fmt: skip


def send(sim: Simulator, instrument: Instrument, **changes: Any) -> dict[str, Any]:
    status, answer = sim.desk.place(body(instrument, **changes))
    assert status == 200, answer
    assert answer["orderStatus"] == "TRANSIT"
    sim.desk.admit_transit()
    return row(sim, answer["orderId"])


def row(sim: Simulator, order_id: str) -> dict[str, Any]:
    rows: Any = sim.book()["orders"]
    found: dict[str, Any] = next(each for each in rows if each["orderId"] == order_id)
    return found


def last(sim: Simulator, instrument: Instrument) -> float:
    listed = sim.find(instrument.segment.value, instrument.security_id)
    assert listed is not None
    return sim.board.level(listed).last


def price(value: float) -> float:
    return round(round(value / 0.05) * 0.05, 2)


def available(sim: Simulator) -> float:
    return float(str(sim.funds()["availabelBalance"]))


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"transactionType": "HOLD"}, "DH-905"),
        ({"orderType": "ICEBERG"}, "DH-905"),
        ({"productType": "X"}, "DH-905"),
        ({"validity": "GTC"}, "DH-905"),
        ({"exchangeSegment": "MCX"}, "DH-905"),
        ({"securityId": "1"}, "DH-905"),
        ({"quantity": 0}, "DH-905"),
        ({"quantity": 1.5}, "DH-905"),
        ({"quantity": "many"}, "DH-905"),
        ({"price": ""}, "DH-905"),
        ({"price": float("nan")}, "DH-905"),
        ({"orderType": "LIMIT", "price": 0}, "DH-905"),
        ({"orderType": "STOP_LOSS", "price": 10, "triggerPrice": 0}, "DH-905"),
        ({"correlationId": "x" * 26}, "DH-905"),
        ({"correlationId": "a/b"}, "DH-905"),
    ],
)
def test_a_body_that_makes_no_sense_is_refused_at_once(make: Maker, changes: dict[str, Any], code: str) -> None:
    sim = make()
    status, answer = sim.desk.place(body(atm(sim), **changes))
    assert (status, answer["errorCode"]) == (400, code)
    assert sim.book()["orders"] == []


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"quantity": 70}, "multiple of lot size 65"),
        ({"quantity": 65 * 28}, "freeze quantity 1800"),
        ({"orderType": "LIMIT", "price": 10.03}, "multiple of the tick"),
        ({"orderType": "LIMIT", "price": 99999.0}, "Circuit Limits"),
        ({"orderType": "STOP_LOSS_MARKET", "triggerPrice": 20.0}, "SL-M orders are not allowed"),
        ({"orderType": "STOP_LOSS", "price": 100.0, "triggerPrice": 105.0}, "cannot be above its limit"),
        (
            {"orderType": "STOP_LOSS", "transactionType": "SELL", "price": 100.0, "triggerPrice": 95.0},
            "cannot be below its limit",
        ),
        ({"productType": "CNC"}, "not allowed in this segment"),
    ],
)
def test_what_the_exchange_refuses_is_rejected_after_the_receipt(
    make: Maker, changes: dict[str, Any], text: str
) -> None:
    sim = make()
    order = send(sim, atm(sim), **changes)
    assert order["orderStatus"] == "REJECTED"
    assert text in order["omsErrorDescription"]
    assert sim.book()["positions"] == []


def test_a_closed_market_takes_no_order(make: Maker) -> None:
    sim = make()
    sim.open_day(DAY)
    assert sim.board.second == -30
    order = send(sim, atm(sim))
    assert (order["orderStatus"], order["omsErrorDescription"][:10]) == ("REJECTED", "EXCH:16387")


def test_a_market_order_becomes_a_protected_limit_and_gets_the_better_price(make: Maker) -> None:
    sim = make()
    instrument = atm(sim)
    listed = sim.find("NSE_FNO", instrument.security_id)
    assert listed is not None
    level = sim.board.level(listed)
    order = send(sim, instrument)
    assert (order["orderStatus"], order["orderType"]) == ("TRADED", "LIMIT")
    assert order["averageTradedPrice"] == level.ask < order["price"]
    share = 0.1 if level.last <= 200 else 0.05
    assert order["price"] == pytest.approx(level.last * (1 + share), abs=0.06)


def test_money_is_blocked_and_given_back(make: Maker) -> None:
    sim = make()
    instrument = atm(sim)
    bought = send(sim, instrument, productType="MARGIN")
    cost = bought["averageTradedPrice"] * instrument.lot
    assert available(sim) == pytest.approx(1_000_000 - cost)
    sold = send(sim, instrument, transactionType="SELL", productType="MARGIN")
    profit = (sold["averageTradedPrice"] - bought["averageTradedPrice"]) * instrument.lot
    assert available(sim) == pytest.approx(1_000_000 + profit)
    position = sim.positions()[0]
    assert (position["positionType"], position["netQty"]) == ("CLOSED", 0)
    assert position["realizedProfit"] == pytest.approx(profit)


def test_what_funds_cannot_cover_is_rejected(make: Maker) -> None:
    sim = make(starting_funds=Decimal(1000))
    order = send(sim, atm(sim))
    assert order["orderStatus"] == "REJECTED"
    assert "Margin Exceeds, Required:" in order["omsErrorDescription"]


def test_the_first_stop_over_a_long_is_free_and_the_second_is_margined(make: Maker) -> None:
    sim = make()
    instrument = atm(sim)
    send(sim, instrument)
    before = available(sim)
    level = last(sim, instrument)
    stop = {"orderType": "STOP_LOSS", "transactionType": "SELL", "triggerPrice": price(level * 0.5)}
    stop["price"] = price(level * 0.4)
    assert send(sim, instrument, **stop)["orderStatus"] == "PENDING"
    assert available(sim) == pytest.approx(before)
    assert send(sim, instrument, **stop)["orderStatus"] == "PENDING"
    assert available(sim) < before - 100_000


def test_a_stop_rests_and_is_modified_into_an_exit(make: Maker) -> None:
    sim = make()
    instrument = atm(sim)
    send(sim, instrument)
    level = last(sim, instrument)
    stop = send(
        sim, instrument, orderType="STOP_LOSS", transactionType="SELL", triggerPrice=price(level * 0.8),
        price=price(level * 0.7),
    )  # fmt: skip
    assert (stop["orderStatus"], stop["orderType"]) == ("PENDING", "STOP_LOSS")
    change = {"orderType": "STOP_LOSS", "triggerPrice": price(level * 0.9), "price": None, "quantity": None}
    assert sim.desk.modify(stop["orderId"], change)[0] == 200
    assert row(sim, stop["orderId"])["triggerPrice"] == price(level * 0.9)
    assert row(sim, stop["orderId"])["price"] == price(level * 0.7)
    status, answer = sim.desk.modify(stop["orderId"], {"orderType": "LIMIT", "price": price(level * 0.9)})
    assert (status, answer["orderStatus"]) == (200, "TRANSIT")
    done = row(sim, stop["orderId"])
    assert (done["orderStatus"], done["orderType"]) == ("TRADED", "LIMIT")
    assert sim.positions()[0]["netQty"] == 0


def test_an_order_takes_twenty_five_modifications(make: Maker) -> None:
    sim = make()
    instrument = atm(sim)
    order_id = send(sim, instrument, orderType="LIMIT", price=1.0)["orderId"]
    for each in range(MOST_MODIFICATIONS):
        assert sim.desk.modify(order_id, {"price": 1.0 + (each % 2) * 0.05})[0] == 200
    status, answer = sim.desk.modify(order_id, {"price": 1.0})
    assert (status, answer["errorCode"]) == (400, "DH-906")


@pytest.mark.parametrize(
    "change", [{"quantity": 64}, {"price": 1.03}, {"orderType": "SL"}, {"price": "x"}, {"quantity": 0}]
)
def test_a_bad_modification_leaves_the_order_as_it_was(make: Maker, change: dict[str, Any]) -> None:
    sim = make()
    order = send(sim, atm(sim), orderType="LIMIT", price=1.0)
    assert sim.desk.modify(order["orderId"], change)[0] == 400
    assert row(sim, order["orderId"]) == order


def test_transit_cannot_be_cancelled_and_a_done_order_neither(make: Maker) -> None:
    sim = make()
    _, answer = sim.desk.place(body(atm(sim), orderType="LIMIT", price=1.0))
    refused = sim.desk.cancel(answer["orderId"])
    assert (refused[0], refused[1]["errorMessage"]) == (400, "Order is in Transit state")
    sim.desk.admit_transit()
    assert sim.desk.cancel(answer["orderId"])[0] == 200
    assert sim.desk.cancel(answer["orderId"])[0] == 400
    assert sim.desk.modify(answer["orderId"], {"price": 2.0})[0] == 400
    assert sim.desk.cancel("nobody")[0] == 404


def test_size_limits_make_partial_fills_and_ioc_gives_up_the_rest(make: Maker) -> None:
    sim = make(starting_funds=Decimal(100_000_000))
    instrument = next(each for each in (atm(sim, steps=step) for step in range(-8, 9)) if _thin(sim, each))
    order = send(sim, instrument, quantity=instrument.lot * 27)
    assert order["orderStatus"] == "PART_TRADED"
    assert order["filledQty"] + order["remainingQuantity"] == instrument.lot * 27
    quick = send(sim, instrument, quantity=instrument.lot * 27, validity="IOC")
    assert quick["orderStatus"] == "CANCELLED"
    for _ in range(10):
        sim.step()
    assert row(sim, order["orderId"])["orderStatus"] == "TRADED"
    assert sum(each["tradedQuantity"] for each in sim.book()["trades"]) == instrument.lot * 27 + quick["filledQty"]  # type: ignore[attr-defined]


def _thin(sim: Simulator, instrument: Instrument) -> bool:
    listed = sim.find("NSE_FNO", instrument.security_id)
    return listed is not None and sim.board.level(listed).ask_quantity < instrument.lot * 20


def test_slicing_obeys_the_freeze(make: Maker) -> None:
    sim = make(starting_funds=Decimal(100_000_000))
    status, answers = sim.desk.place_sliced(body(atm(sim), quantity=65 * 40))
    assert status == 200
    sim.desk.admit_transit()
    assert [row(sim, each["orderId"])["quantity"] for each in answers] == [65 * 27, 65 * 13]


def test_the_index_as_future_trades_at_the_index(make: Maker) -> None:
    sim = make()
    listed = sim.find("NSE_FNO", "4000000013")
    assert listed is not None
    assert listed.instrument.kind is InstrumentKind.SYNTHETIC
    spot = sim.board.spot("NIFTY")
    order = send(sim, listed.instrument)
    assert order["averageTradedPrice"] == pytest.approx(spot, abs=0.06)
    stop = send(
        sim, listed.instrument, transactionType="SELL", orderType="STOP_LOSS", triggerPrice=round(spot * 0.99, 0),
        price=round(spot * 0.5, 0),
    )  # fmt: skip
    assert stop["orderStatus"] == "PENDING"
    assert "4000000013" not in {str(each) for each in _master_ids(sim)}


def _master_ids(sim: Simulator) -> list[str]:
    return [line.split(",")[2] for line in masters.compact(sim.listing).splitlines()[1:]]


def test_the_broker_squares_intraday_off_and_keeps_the_rest(make: Maker, market: SyntheticMarket) -> None:
    sim = make()
    intraday, kept = atm(sim), atm(sim, steps=1)
    send(sim, intraday)
    send(sim, kept, productType="MARGIN")
    level = last(sim, intraday)
    stop = send(sim, intraday, transactionType="SELL", orderType="STOP_LOSS", triggerPrice=0.1, price=0.05, quantity=65)
    assert level > 1
    while not sim.is_over:
        sim.step()
        if sim.now < sim.session.broker_square_off:
            assert {each["netQty"] for each in sim.positions()} == {65}
    assert row(sim, stop["orderId"])["orderStatus"] in ("CANCELLED", "TRADED")
    held = {each["securityId"]: each["netQty"] for each in sim.positions()}
    assert held == {intraday.security_id: 0, kept.security_id: 65}
    assert sim.now == sim.session.close
    assert sim.next_day()
    assert sim.day == date(2026, 11, 17)
    assert sim.now.astimezone(IST).time().isoformat() == "09:14:30"
    carried = sim.positions()
    assert [(each["carryForwardBuyQty"], each["netQty"]) for each in carried] == [(65, 65)]
    assert sim.book()["orders"] == []
    # It expires today: at the end of the day it is paid out and gone.
    while not sim.is_over:
        sim.step()
    sim.next_day()
    assert sim.positions() == []


def test_the_kill_switch_wants_a_flat_account(make: Maker) -> None:
    sim = make()
    assert sim.desk.kill(active=True)[0] == 200
    assert sim.desk.place(body(atm(sim)))[0] == 400
    sim.desk.kill(active=False)
    send(sim, atm(sim))
    assert sim.desk.kill(active=True)[0] == 400
    sim.desk.exit_all()
    assert sim.positions()[0]["netQty"] == 0
    assert sim.desk.kill(active=True)[0] == 200


@pytest.mark.parametrize("seed", range(4))
def test_whatever_is_sent_the_book_adds_up(make: Maker, seed: int) -> None:
    rng = random.Random(seed)
    sim = make(starting_funds=Decimal(300_000))
    told: list[str] = []
    sim.updates.tell = lambda message: told.append(message["Data"]["OrderNo"])  # type: ignore[method-assign]
    for _ in range(400):
        sim.step()
        open_ids = [each.order_id for each in sim.desk.orders.values() if each.status.is_open]
        dice = rng.random()
        if dice < 0.25:
            _send_anything(sim, rng)
        elif dice < 0.35 and open_ids:
            sim.desk.cancel(rng.choice(open_ids))
        elif dice < 0.5 and open_ids:
            sim.desk.modify(rng.choice(open_ids), {"price": rng.randint(1, 4000) * 0.05})
    book: dict[str, Any] = sim.book()
    assert len({each["orderStatus"] for each in book["orders"]}) >= 3, f"seed {seed} sees too little"
    net: Counter[str] = Counter()
    for order in book["orders"]:
        trades = [each for each in book["trades"] if each["orderId"] == order["orderId"]]
        units = sum(each["tradedQuantity"] for each in trades)
        assert units == order["filledQty"]
        left = 0 if order["orderStatus"] == "CANCELLED" else order["quantity"] - units
        assert order["remainingQuantity"] == left
        assert (order["orderStatus"] == "TRADED") == (units == order["quantity"])
        assert order["orderId"] in told
        net[order["securityId"]] += units if order["transactionType"] == "BUY" else -units
    held = {each["securityId"]: each["netQty"] for each in book["positions"]}
    assert {key: units for key, units in net.items() if units} == {key: units for key, units in held.items() if units}
    cash = sum(
        each["tradedPrice"] * each["tradedQuantity"] * (1 if each["transactionType"] == "SELL" else -1)
        for each in book["trades"]
    )
    worth = sum(each["netQty"] * _last_of(sim, each) for each in book["positions"])
    profit = sum(each["realizedProfit"] + each["unrealizedProfit"] for each in book["positions"])
    assert profit == pytest.approx(cash + worth, abs=0.01)


def _last_of(sim: Simulator, position: dict[str, Any]) -> float:
    listed = sim.find(position["exchangeSegment"], position["securityId"])
    assert listed is not None
    return sim.board.level(listed).last


def _send_anything(sim: Simulator, rng: random.Random) -> None:
    instrument = atm(sim, rng.choice(list(Right)), rng.randint(-2, 2))
    level = last(sim, instrument)
    kind = rng.choice(["MARKET", "LIMIT", "STOP_LOSS"])
    side = rng.choice(["BUY", "SELL"])
    limit = max(0.05, price(level * rng.uniform(0.9, 1.1)))
    trigger = max(0.05, price(limit + (-0.5 if side == "BUY" else 0.5)))
    sim.desk.place(
        body(
            instrument,
            transactionType=side,
            orderType=kind,
            price=0 if kind == "MARKET" else limit,
            triggerPrice=trigger if kind == "STOP_LOSS" else 0,
            quantity=instrument.lot * rng.randint(1, 20),
            validity=rng.choice(["DAY", "DAY", "IOC"]),
        )
    )

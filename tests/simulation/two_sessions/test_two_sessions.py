"""Two sessions with every exit, a hedge, a winner carried, a loser sold and a gap: all books agree to the paisa.

The real engine process trades on a simulator over its real wires. Each test looks at one agreement; the journey is
made once for all of them, on two drawn sessions and, where they are at hand, on two recorded ones.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from pyarrow import parquet

from tests.simulation.two_sessions.books import (
    RUPEE,
    broker_fills,
    by_position,
    cost,
    csv_of,
    entries_of,
    ledgers_of,
    report_of,
)
from tests.simulation.two_sessions.drawn_story import drawn_story
from tests.simulation.two_sessions.journey import FUNDS, Told, live
from tests.simulation.two_sessions.real_story import real_story
from workbench.core.charges import Charges, charges_of, contract_note
from workbench.core.messages import (
    AccountFrozen,
    FillBooked,
    OvernightListed,
    PositionPlanned,
    Reconciled,
    StructureClosed,
)
from workbench.core.pnl import charge_lines
from workbench.core.ports import JournalEntry
from workbench.reference import calendar, charge_table
from workbench.reports.daily import render_daily
from workbench.reports.markup import rupees
from workbench.simulator.market import CLOCK_SEGMENT
from workbench.storage.ledger import DayLedger, Trade

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

WAYS_OUT = {
    ("STOP", "stop"), ("DISASTER", "stop"), ("TARGET", "target"), ("TRAIL", "trail"), ("LOCK", "lock"),
    ("PARTS", "target"), ("SPOT_TARGET", "underlying_target"), ("SPOT_STOP", "underlying_stop"), ("TOUCH", "strike"),
    ("HOUR_STRIKE", "strike"), ("HOUR", "hourly_close"), ("CLOCK", "time"), ("HAND", "manual"),
    ("HEDGED", "combined_target"), ("HEDGED", "alert"), ("ATR", "underlying_stop"), ("EVENING", "session_end"),
    ("TURN", "opposite"), ("TURN", "alert"), ("WINNER", "gap"), ("LOSER", "session_end"), ("STRADDLE", "combined_stop"),
}  # fmt: skip


class Journeyed:
    """What a journey left behind, with our journal read again from the disk."""

    def __init__(self, told: Told) -> None:
        self.told = told
        self.first, self.second = (seen.day for seen in told.days)
        self.entries = entries_of(told)
        self.ledgers: dict[date, DayLedger] = ledgers_of(self.entries)
        self.trades: list[Trade] = [trade for ledger in self.ledgers.values() for trade in ledger.trades]
        self.fills = by_position(told, self.ledgers)

    def of(self, deployment: str, day: date | None = None) -> list[Trade]:
        return [each for each in self.trades if each.deployment == deployment and day in (None, each.exit_time.date())]

    def events(self, kind: type) -> list[Any]:
        rows: list[JournalEntry] = [entry for day in self.entries.values() for entry in day]
        return [event for entry in rows for event in entry.events if isinstance(event, kind)]


@pytest.fixture(scope="module", params=["drawn", pytest.param("recorded", marks=pytest.mark.shared)])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Journeyed:
    folder = tmp_path_factory.mktemp(f"two-{request.param}")
    if request.param == "drawn":
        story = drawn_story()
    else:
        story = real_story(request.getfixturevalue("shared_data"), tmp_path_factory.mktemp("bars"))
    return Journeyed(live(story, folder))


def money(row: Any, name: str) -> Decimal:
    """An amount as a face tells it: a JSON number or text."""
    return Decimal(str(row[name]))


# --- what happened ------------------------------------------------------------------------------------------------


def test_every_way_to_leave_was_gone(made: Journeyed) -> None:
    assert {(trade.deployment, trade.reason) for trade in made.trades} >= WAYS_OUT
    rest = {(trade.deployment, trade.reason) for trade in made.trades} - WAYS_OUT
    assert rest <= {("ATR", "signal"), ("ATR", "opposite"), ("WINNER_TOO", "trail"), ("WINNER_TOO", "alert")}


def test_exits_by_the_clock_come_at_their_time(made: Journeyed) -> None:
    session = calendar().session(CLOCK_SEGMENT, made.first)
    assert session is not None
    (clock,), (hour,), (strike,) = made.of("CLOCK"), made.of("HOUR"), made.of("HOUR_STRIKE")
    (evening,), (loser,) = made.of("EVENING", made.first), made.of("LOSER")
    a_while = timedelta(seconds=4)
    assert timedelta(0) <= clock.exit_time - clock.exit_time.replace(hour=10, minute=50, second=0) <= a_while
    for trade in (hour, strike):
        assert (trade.exit_time.minute, trade.exit_time.second <= 4) == (15, True), "hours end at XX:15"
    assert timedelta(0) <= evening.exit_time - session.square_off_start <= a_while
    assert timedelta(0) <= loser.exit_time - (session.close - timedelta(minutes=1)) <= a_while


def test_three_lots_leave_in_two_parts_of_whole_lots(made: Journeyed) -> None:
    parts = made.of("PARTS")
    assert [part.lots for part in parts] == [1, 2]
    assert parts[0].exit_price < parts[1].exit_price
    assert parts[1].position_id == f"{parts[0].position_id}.2"


def test_the_hedge_is_bought_before_the_sale_and_sold_after_it(made: Journeyed) -> None:
    for day in (made.first, made.second):
        bought, sold = sorted(made.of("HEDGED", day), key=lambda trade: trade.side)
        assert (bought.side, sold.side) == ("BUY", "SELL")
        assert Decimal("0.2") < bought.entry_price / sold.entry_price < Decimal("0.4"), "about 30 % of the premium"
        mine = [each for each in broker_fills(made.told) if each in made.fills[bought.position_id]]
        order = [(fill.side, fill in mine) for fill in broker_fills(made.told) if fill in _both(made, bought, sold)]
        assert order == [("BUY", True), ("SELL", False), ("BUY", False), ("SELL", True)]


def _both(made: Journeyed, *trades: Trade) -> list[Any]:
    return [fill for trade in trades for fill in made.fills[trade.position_id]]


def test_a_structure_is_worth_what_its_legs_are(made: Journeyed) -> None:
    closed = made.events(StructureClosed)
    assert len(closed) == 3
    for structure in closed:
        legs = [trade for trade in made.trades if trade.exit_time <= structure.at and _is_leg(trade, structure)]
        assert len(legs) == 2
        assert (structure.gross, structure.charges, structure.net) == (
            sum(leg.gross for leg in legs), sum(leg.charges for leg in legs), sum(leg.net for leg in legs),
        )  # fmt: skip


def _is_leg(trade: Trade, structure: StructureClosed) -> bool:
    return trade.deployment in ("HEDGED", "STRADDLE") and structure.at - trade.exit_time <= timedelta(seconds=5)


def test_winners_stay_over_the_night_and_the_loser_is_sold_in_the_evening(made: Journeyed) -> None:
    evening = {row["deployment"]: row for row in made.told.days[0].status["positions"]}
    assert set(evening) == {"WINNER", "WINNER_TOO"}
    assert {row["state"] for row in evening.values()} == {"carried"}
    assert all(row["pnl"] > 0 for row in evening.values())
    (loser,) = made.of("LOSER")
    assert (loser.exit_time.date(), loser.net < 0) == (made.first, True)
    stays = made.events(OvernightListed)[0].stays
    assert {stay.position_id for stay in stays} == {row["id"] for row in evening.values()}
    assert {stay.quantity for stay in stays} == {row["units"] for row in evening.values()}


def test_what_was_carried_has_its_stop_at_the_broker_five_seconds_after_the_open(made: Journeyed) -> None:
    seen = made.told.days[1]
    (kept,) = [row for row in seen.after_open if row["deployment"] == "WINNER_TOO"]
    assert (kept["state"], kept["protection"]) == ("open", "at_broker")
    (stop,) = [row for row in seen.resting_after_open if row["orderId"] == kept["stop_order_id"]]
    assert (stop["orderType"], stop["transactionType"], stop["quantity"]) == ("STOP_LOSS", "SELL", kept["units"])
    assert stop["triggerPrice"] == kept["stop"]


def test_a_gap_through_the_carried_stop_is_chased_out_at_the_open(made: Journeyed) -> None:
    (gapped,) = made.of("WINNER")
    session = calendar().session(CLOCK_SEGMENT, made.second)
    assert session is not None
    assert timedelta(0) <= gapped.exit_time - session.open <= timedelta(seconds=5)
    assert gapped.exit_price < gapped.entry_price * Decimal("0.75"), "it left below its stop of 25 %"
    alarms = made.told.days[1].status["alarms"]
    assert [alarm["text"] for alarm in alarms if "beyond its stop" not in alarm["text"]] == []
    assert len(alarms) == 1


def test_nothing_is_left_and_nothing_went_wrong(made: Journeyed) -> None:
    last = made.told.days[1]
    assert last.status["positions"] == []
    assert {row["netQty"] for row in last.book["positions"]} == {0}
    for seen in made.told.days:
        statuses = Counter(row["orderStatus"] for row in seen.book["orders"])
        assert set(statuses) <= {"TRADED", "CANCELLED", "PENDING"}
        resting = [row for row in seen.status["positions"] if row["stop_order_id"]]
        assert statuses["PENDING"] == len(resting)
        assert (seen.status["halted"], seen.status["frozen"], seen.status["faults"]) == (False, [], [])
    assert made.events(AccountFrozen) == []
    # A look at his book may come before his word on one of our orders, and its positions, read before its orders, may
    # lack a fill of ours of that very moment; anything else would be a difference, and so is what two in a row say.
    keys = {row["correlationId"] for seen in made.told.days for row in seen.book["orders"]}
    contracts = {event.position_id: event.instrument.name for event in made.events(PositionPlanned)}
    fills = [(event.at, contracts[event.position_id]) for event in made.events(FillBooked)]
    looks = [
        (event.at, {text for text in event.differences if text.partition(":")[0] not in keys})
        for event in made.events(Reconciled)
    ]
    assert [one & other for (_, one), (_, other) in pairwise(looks) if one & other] == []
    for at, texts in looks:
        filling = {name for moment, name in fills if abs(moment - at) <= timedelta(seconds=3)}
        assert {text.partition(":")[0] for text in texts} <= filling, (at, texts)
    faults = [line for line in made.told.log.splitlines() if re.search(r"Traceback|ERROR|CRITICAL", line)]
    assert [line for line in faults if "beyond its stop" not in line] == []


# --- ledger, API, report ------------------------------------------------------------------------------------------


def test_api_and_report_have_the_ledgers_trades_to_the_paisa(made: Journeyed) -> None:
    for seen in made.told.days:
        ledger, folder = made.ledgers[seen.day], made.told.folder / "reports" / seen.day.isoformat()
        faces = {
            "API": seen.trades,
            "day.json": report_of(made.told, seen.day)["trades"],
            "trades.csv": csv_of(made.told, seen.day, "trades"),
            "trades.parquet": parquet.read_table(folder / "trades.parquet").to_pylist(),
        }
        assert ledger.trades
        for name, rows in faces.items():
            assert [row["position_id"] for row in rows] == [trade.position_id for trade in ledger.trades], name
            for row, trade in zip(rows, ledger.trades, strict=True):
                assert (row["reason"], int(row["quantity"])) == (trade.reason, trade.quantity), name
                for amount in ("gross", "charges", "net"):
                    assert money(row, amount) == getattr(trade, amount), (name, trade.position_id, amount)
                for price in ("entry_price", "exit_price"):
                    assert round(money(row, price), 4) == round(getattr(trade, price), 4), (name, trade.position_id)


def test_api_and_report_have_the_ledgers_totals_to_the_paisa(made: Journeyed) -> None:
    for seen in made.told.days:
        ledger, totals, pnl = made.ledgers[seen.day], report_of(made.told, seen.day)["totals"], seen.status["pnl"]
        for name in ("gross", "charges", "net"):
            assert money(totals, name) == getattr(ledger, name) == sum(getattr(each, name) for each in ledger.trades)
        assert money(pnl, "gross") == ledger.gross
        assert money(pnl, "realised") == ledger.net
        assert money(pnl, "charges") == ledger.charges + ledger.open_charges
        assert money(pnl, "note_rounding") == money(totals, "note_rounding") == ledger.rounding
        assert money(totals, "net_after_note") == ledger.net - ledger.rounding
        assert pnl["trades"] == totals["trades"] == len(ledger.trades)
    assert made.ledgers[made.second].open_charges == 0


def test_the_html_report_shows_each_trade_and_the_totals_of_the_ledger(made: Journeyed) -> None:
    for day, ledger in made.ledgers.items():
        html = render_daily(made.told.folder / "reports" / day.isoformat()).read_text(encoding="utf-8")
        rows = re.findall(r"<tr>(.*?)</tr>", html, re.DOTALL)
        for trade in ledger.trades:
            parts = [f"{trade.entry_time:%H:%M:%S}", f"{trade.exit_time:%H:%M:%S}", trade.instrument, "priced: model"]
            parts += [rupees(trade.gross, sign=True), rupees(trade.charges), rupees(trade.net, sign=True)]
            assert [row for row in rows if all(f">{part}" in row or part in row for part in parts)], trade
        for name, amount in (
            ("gross", ledger.gross),
            ("charges of the trades", -ledger.charges),
            ("P&amp;L after charges", ledger.net),
            ("P&amp;L as on the contract note", ledger.net - ledger.rounding),
        ):
            shown = [row for row in rows if f">{name}<" in row]
            assert [row for row in shown if f">{rupees(amount, sign=True)}<" in row], name
        assert "report this as a fault" not in html


def test_prices_of_the_model_are_marked_on_every_face(made: Journeyed) -> None:
    for seen in made.told.days:
        report = report_of(made.told, seen.day)
        assert all(row["priced_by_model"] is True for row in (*seen.trades, *report["trades"], *report["fills"]))
        assert all(row["priced_by_model"] == "True" for row in csv_of(made.told, seen.day, "tradebook"))
        assert report["totals"]["priced_by_model"] is True
        assert report["facts"]["market"]["pricing"]["model"] == "black_76"
    assert all(row["priced_by_model"] is True for row in made.told.days[0].status["positions"])


def test_each_day_is_told_with_the_facts_of_its_own_market(made: Journeyed) -> None:
    markets = [report_of(made.told, seen.day)["facts"]["market"] for seen in made.told.days]
    assert [market["date"] for market in markets] == [seen.day.isoformat() for seen in made.told.days]
    assert markets[0]["pricing"]["NIFTY"] != markets[1]["pricing"]["NIFTY"], "each day has a volatility of its own"


# --- the broker's own book ----------------------------------------------------------------------------------------


def test_the_brokers_orders_are_our_orders_and_his_trades_our_fills(made: Journeyed) -> None:
    for seen in made.told.days:
        theirs = {row["correlationId"]: row for row in seen.book["orders"]}
        ours = {
            row["correlation_id"]: row
            for row in seen.orders
            if datetime.fromisoformat(row["submitted_at"]).date() == seen.day
        }
        assert theirs.keys() == ours.keys()
        for key, row in ours.items():
            assert (row["order_id"], row["filled"]) == (theirs[key]["orderId"], theirs[key]["filledQty"])
        told, book = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
        value, turnover = Counter[str](), Counter[str]()
        for row in csv_of(made.told, seen.day, "tradebook"):
            told[row["correlation_id"], row["side"]] += int(row["quantity"])
            value[row["correlation_id"]] += Decimal(row["price"]) * int(row["quantity"])  # type: ignore[assignment]
        for fill in (each for each in broker_fills(made.told) if each.day == seen.day):
            book[fill.key, fill.side] += fill.quantity
            turnover[fill.key] += fill.turnover  # type: ignore[assignment]
        assert told == book
        assert value == turnover


def test_each_position_made_what_the_brokers_trades_of_it_make(made: Journeyed) -> None:
    assert made.fills.keys() == {trade.position_id for trade in made.trades}
    for trade in made.trades:
        fills = made.fills[trade.position_id]
        bought = sum(fill.quantity for fill in fills if fill.side == "BUY")
        sold = sum(fill.quantity for fill in fills if fill.side == "SELL")
        assert bought == sold == trade.quantity
        assert trade.gross == sum(fill.flow for fill in fills), trade.position_id


def test_the_days_result_is_the_brokers_own(made: Journeyed) -> None:
    results = {entry.on: entry.amount for entry in made.told.paid if entry.narration.startswith("TRADING RESULT")}
    for seen in made.told.days:
        realised = sum(money(row, "realizedProfit") for row in seen.book["positions"])
        assert round(realised, 2) == made.ledgers[seen.day].gross == results[seen.day]


def test_the_money_at_the_broker_is_what_the_reports_add_up_to(made: Journeyed) -> None:
    told = sum(money(report_of(made.told, seen.day)["totals"], "net_after_note") for seen in made.told.days)
    assert made.told.cash - FUNDS == told
    narrations = {entry.narration for entry in made.told.paid}
    assert narrations == {"TRADING RESULT AND EXPIRY SETTLEMENT", "CHARGES AS PER CONTRACT NOTE"}, "he closed nothing"


# --- charges ------------------------------------------------------------------------------------------------------


def test_the_charges_of_each_trade_are_those_of_its_date_reckoned_by_hand(made: Journeyed) -> None:
    rates = made.told.story.rates
    for trade in made.trades:
        assert trade.charges == sum(cost(made.fills[trade.position_id], rates).values()), trade.position_id
        assert trade.net == trade.gross - trade.charges


def test_the_brokers_note_of_each_day_is_the_one_reckoned_by_hand(made: Journeyed) -> None:
    notes = {entry.on: -entry.amount for entry in made.told.paid if entry.narration.startswith("CHARGES")}
    for day in (made.first, made.second):
        fills = [fill for fill in broker_fills(made.told) if fill.day == day]
        assert notes[day] == sum(cost(fills, made.told.story.rates, unit=RUPEE).values())


def test_the_published_example_comes_out_of_the_same_table_and_path(made: Journeyed) -> None:
    """Bought 65 at 100, sold at 110 in late 2026: 40, 10.73, 4.85, 0.01, 0.20 and 8.07, together about 64 rupees."""
    (trade,) = made.of("CLOCK")
    position = made.ledgers[made.first].book.positions[trade.position_id]
    on = datetime(2026, 11, 20, 10, 0, tzinfo=trade.exit_time.tzinfo)
    entry, leave = (replace(fill, quantity=65, at=on) for fill in position.fills)
    example = replace(position, fills=(replace(entry, price=Decimal(100)), replace(leave, price=Decimal(110))))
    lines = charge_lines(example, charge_table())
    assert charges_of(lines) == Charges(
        brokerage=Decimal(40), stt=Decimal("10.73"), exchange_txn=Decimal("4.85"), sebi=Decimal("0.01"),
        stamp=Decimal("0.20"), gst=Decimal("8.07"),
    )  # fmt: skip
    note = contract_note([lines]).charges
    assert (note.stt, note.stamp) == (Decimal(11), Decimal(0))
    assert round(note.total) == 64
    assert round(note.total / 65, 2) == Decimal("0.98"), "points"

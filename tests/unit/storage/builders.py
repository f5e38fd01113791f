"""Journal entries for the tests of storage: one option trade, told as the engine tells it."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal

from workbench.core.instrument import Instrument, InstrumentKind, Right, Segment
from workbench.core.messages import (
    AlertAction,
    AlertReceived,
    DayBegan,
    DayOpened,
    DecisionMade,
    Event,
    FillBooked,
    Message,
    OrderMoved,
    OrderSubmitted,
    PositionClosed,
    PositionPlanned,
    TimerBeat,
)
from workbench.core.order import OrderState, OrderTicket, OrderType, Product, Purpose
from workbench.core.plan import Exits
from workbench.core.ports import JournalEntry
from workbench.core.session import IST
from workbench.core.signal import Direction, Side

DAY = date(2022, 6, 15)
MORNING = datetime(2022, 6, 15, 9, 15, tzinfo=IST)
CALL = Instrument(
    segment=Segment.NSE_FNO,
    security_id="40001",
    symbol="NIFTY",
    kind=InstrumentKind.OPTION,
    lot=50,
    expiry=date(2022, 6, 16),
    strike=Decimal(15700),
    right=Right.CE,
    display_name="NIFTY 16 JUN 15700 CALL",
)


def entry(seq: int, message: Message | None, *events: Event, at: datetime | None = None) -> JournalEntry:
    moment = at or MORNING + timedelta(seconds=seq)
    return JournalEntry(seq=seq, now=moment, account_id="practice", message=message, events=events)


def opened(seq: int = 1, day: date = DAY) -> JournalEntry:
    moment = datetime(day.year, day.month, day.day, 9, 14, 30, tzinfo=IST)
    return entry(seq, DayBegan(day=day), DayOpened(day=day), at=moment)


def alert(alert_id: str = "a1", seq: int = 2) -> AlertReceived:
    return AlertReceived(
        alert_id=alert_id,
        deployment="SCALP_ATM",
        action=AlertAction.BULLISH,
        symbol="NIFTY",
        received_at=MORNING + timedelta(seconds=seq),
        text='{"side":"BUY"}',
    )


def a_trade(first: int = 2, *, alert_id: str = "a1", tag: str = "x") -> list[JournalEntry]:
    """Entries of an alert that buys one lot at 100.10 (expected 100.00) and sells it at 110."""
    position, buy, sell = f"p{tag}", f"c{tag}1", f"c{tag}2"

    def moment(seq: int) -> datetime:
        return MORNING + timedelta(seconds=seq)

    plan = PositionPlanned(
        position_id=position,
        deployment="SCALP_ATM",
        direction=Direction.LONG,
        side=Side.BUY,
        instrument=CALL,
        quantity=50,
        product=Product.INTRADAY,
        exits=Exits(),
        reference_price=Decimal(100),
        underlying_price=Decimal(15710),
        subject=alert_id,
        at=moment(first),
        priced_by_model=True,
    )
    decided = DecisionMade(
        subject=alert_id, deployment="SCALP_ATM", at=moment(first), fate="entered", reason="bought 1 lot"
    )

    def ticket(cid: str, purpose: Purpose, side: Side, price: str) -> OrderTicket:
        return OrderTicket(
            correlation_id=cid,
            intent_id=f"i{cid}",
            position_id=position,
            deployment="SCALP_ATM",
            purpose=purpose,
            instrument=CALL,
            side=side,
            quantity=50,
            order_type=OrderType.LIMIT,
            product=Product.INTRADAY,
            price=Decimal(price),
        )

    def filled(cid: str, price: str, expected: str, seq: int) -> FillBooked:
        return FillBooked(
            correlation_id=cid,
            position_id=position,
            quantity=50,
            price=Decimal(price),
            at=moment(seq),
            reference_price=Decimal(expected),
        )

    return [
        entry(
            first,
            alert(alert_id, first),
            plan,
            decided,
            OrderSubmitted(ticket=ticket(buy, Purpose.ENTRY, Side.BUY, "100.5"), at=moment(first)),
        ),
        entry(
            first + 1,
            TimerBeat(),
            OrderMoved(correlation_id=buy, state=OrderState.FILLED, at=moment(first + 1), order_id=f"o{tag}1"),
            filled(buy, "100.10", "100.00", first + 1),
        ),
        entry(
            first + 2,
            TimerBeat(),
            OrderSubmitted(ticket=ticket(sell, Purpose.EXIT, Side.SELL, "110"), at=moment(first + 2)),
        ),
        entry(
            first + 3,
            TimerBeat(),
            OrderMoved(correlation_id=sell, state=OrderState.FILLED, at=moment(first + 3), order_id=f"o{tag}2"),
            filled(sell, "110.00", "110.00", first + 3),
            PositionClosed(
                position_id=position,
                at=moment(first + 3),
                reason="target",
                entry_price=Decimal("100.10"),
                exit_price=Decimal("110.00"),
                gross=Decimal("495.00"),
                charges=Decimal("56.13"),
                net=Decimal("438.87"),
            ),
        ),
    ]

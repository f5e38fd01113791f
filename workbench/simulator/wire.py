"""Dhan's words for orders, trades, positions and funds, field by field.

Shapes are those of the broker's REST documentation and of its order-update socket; times are Indian wall-clock text.

Invariant: what leaves here is plain JSON; prices are floats with all their digits, quantities whole numbers.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from workbench.core.instrument import Instrument, InstrumentKind, Right, Segment
from workbench.core.money import ZERO
from workbench.core.signal import Side
from workbench.simulator.account import SimPosition
from workbench.simulator.orders import Leg, SimOrder, Status, Trade, WireType
from workbench.simulator.statements import Billed
from workbench.simulator.super_orders import SuperLeg, SuperOrder

Row = dict[str, Any]

NO_TIME = "0001-01-01 00:00:00"
_PRODUCT_LETTERS = {"CNC": "C", "INTRADAY": "I", "MARGIN": "M", "MTF": "F", "CO": "V", "BO": "B"}
_TYPE_LETTERS = {
    WireType.LIMIT: "LMT",
    WireType.MARKET: "MKT",
    WireType.STOP_LOSS: "SL",
    WireType.STOP_LOSS_MARKET: "SLM",
}
_LEG_NUMBERS = {Leg.STOP_LOSS: 2, Leg.TARGET: 3}
_INSTRUMENTS = {
    InstrumentKind.INDEX: "INDEX",
    InstrumentKind.EQUITY: "EQUITY",
    InstrumentKind.FUTURE: "FUTIDX",
    InstrumentKind.SYNTHETIC: "FUTIDX",
    InstrumentKind.OPTION: "OPTIDX",
}


def error(kind: str, code: str, message: str) -> Row:
    """Give Dhan's error body."""
    return {"errorType": kind, "errorCode": code, "errorMessage": message}


def stamp(moment: datetime) -> str:
    """Give a moment as Dhan prints it."""
    return moment.strftime("%Y-%m-%d %H:%M:%S")


def instrument_type(instrument: Instrument) -> str:
    """Give Dhan's name of the kind of instrument."""
    return _INSTRUMENTS[instrument.kind]


def _derivative(instrument: Instrument) -> Row:
    right = {None: "NA", Right.CE: "CALL", Right.PE: "PUT"}[instrument.right]
    return {
        "drvExpiryDate": instrument.expiry.isoformat() if instrument.expiry else "0001-01-01",
        "drvOptionType": right,
        "drvStrikePrice": float(instrument.strike) if instrument.strike is not None else 0.0,
    }


def order_row(order: SimOrder, client_id: str) -> Row:
    """Give one row of the order book."""
    instrument = order.listed.instrument
    return {
        "dhanClientId": client_id,
        "orderId": order.shown_id,
        "exchangeOrderId": order.exchange_order_id if order.status is not Status.TRANSIT else "0",
        "correlationId": order.correlation_id,
        "orderStatus": order.status.value,
        "transactionType": order.side.value,
        "exchangeSegment": instrument.segment.value,
        "productType": order.product,
        "orderType": order.order_type.value,
        "validity": order.validity,
        "tradingSymbol": instrument.trading_symbol,
        "securityId": instrument.security_id,
        "quantity": order.quantity,
        "disclosedQuantity": order.disclosed_quantity,
        "price": float(order.price),
        "triggerPrice": float(order.trigger_price),
        "afterMarketOrder": False,
        "boProfitValue": 0.0,
        "boStopLossValue": 0.0,
        "legName": order.leg.value,
        "createTime": stamp(order.created),
        "updateTime": stamp(order.updated),
        "exchangeTime": NO_TIME if order.status in (Status.TRANSIT, Status.REJECTED) else stamp(order.updated),
        **_derivative(instrument),
        "omsErrorCode": order.error_code or "0",
        "omsErrorDescription": order.reason,
        "algoId": "0",
        "remainingQuantity": 0 if order.status is Status.CANCELLED else order.remaining,
        "averageTradedPrice": order.average,
        "filledQty": order.filled,
    }


def super_row(found: SuperOrder, last: float, client_id: str) -> Row:
    """Give one row of the super orders; the misspelt quantity is from the broker's own sample."""
    row = order_row(found.entry, client_id)
    legs = [_leg_row(each, found) for each in found.exits.values()]
    return {
        **row,
        "orderStatus": found.status.value,
        "ltp": last,
        "trailingJump": float(found.jump),
        "legDetails": legs,
    }


def _leg_row(leg: SuperLeg, found: SuperOrder) -> Row:
    order = leg.order
    return {
        "orderId": order.shown_id,
        "legName": order.leg.value,
        "transactionType": order.side.value,
        "totalQuatity": order.quantity,
        "remainingQuantity": order.remaining,
        "triggeredQuantity": order.quantity if leg.sent else 0,
        "price": float(leg.price),
        "orderStatus": leg.status.value,
        "trailingJump": float(found.jump) if order.leg is Leg.STOP_LOSS else 0.0,
    }


def trade_row(trade: Trade, client_id: str) -> Row:
    """Give one row of the trade book; as recorded, it names neither the contract in words nor its right."""
    order = trade.order
    instrument = order.listed.instrument
    return {
        "dhanClientId": client_id,
        "orderId": order.shown_id,
        "exchangeOrderId": order.exchange_order_id,
        "exchangeTradeId": trade.trade_id,
        "transactionType": order.side.value,
        "exchangeSegment": instrument.segment.value,
        "productType": order.product,
        "orderType": order.order_type.value,
        "tradingSymbol": instrument.trading_symbol,
        "customSymbol": None,
        "securityId": instrument.security_id,
        "tradedQuantity": trade.quantity,
        "tradedPrice": float(trade.price),
        "createTime": stamp(order.created),
        "updateTime": stamp(trade.time),
        "exchangeTime": stamp(trade.time),
        **_derivative(instrument),
        "drvOptionType": "NA",
    }


def history_row(billed: Billed, client_id: str) -> Row:
    """Give one row of the trade history: a trade with what it cost, in other words than the trade book's."""
    costs, trade = billed.charges, billed.trade
    instrument = trade.order.listed.instrument
    derivative = _derivative(instrument)
    row = trade_row(trade, client_id)
    del row["tradingSymbol"]
    return {
        **row,
        **derivative,
        "drvExpiryDate": f"{derivative['drvExpiryDate']} 00:00:00",
        "exchangeTradeId": "0",
        "customSymbol": instrument.display_name,
        "createTime": "NA",
        "updateTime": "NA",
        "exchangeTime": stamp(trade.time),
        "isin": "",
        "instrument": instrument_type(instrument),
        "sebiTax": float(costs.sebi),
        "stt": float(costs.stt),
        "brokerageCharges": float(costs.brokerage),
        "serviceTax": float(costs.gst),
        "exchangeTransactionCharges": float(costs.exchange_txn),
        "stampDuty": float(costs.stamp),
    }


def position_row(position: SimPosition, last: Decimal, client_id: str) -> Row:
    """Give one row of the positions."""
    instrument = position.listed.instrument
    net = position.net
    return {
        "dhanClientId": client_id,
        "tradingSymbol": instrument.trading_symbol,
        "securityId": instrument.security_id,
        "positionType": "LONG" if net > 0 else "SHORT" if net < 0 else "CLOSED",
        "exchangeSegment": instrument.segment.value,
        "productType": position.product,
        "buyAvg": float(position.buy_average),
        "costPrice": float(position.buy_average if net >= 0 else position.sell_average),
        "buyQty": position.bought,
        "sellAvg": float(position.sell_average),
        "sellQty": position.sold,
        "netQty": net,
        "realizedProfit": float(position.realised),
        "unrealizedProfit": float(position.unrealised(last)) if net else 0.0,
        "rbiReferenceRate": 1.0,
        "multiplier": 1,
        "carryForwardBuyQty": position.carried_buy,
        "carryForwardSellQty": position.carried_sell,
        "carryForwardBuyValue": float(position.carried_buy_value),
        "carryForwardSellValue": float(position.carried_sell_value),
        "dayBuyQty": position.day_buy,
        "daySellQty": position.day_sell,
        "dayBuyValue": float(position.day_buy_value),
        "daySellValue": float(position.day_sell_value),
        **_derivative(instrument),
        "crossCurrency": False,
    }


def funds_row(start_of_day: Decimal, realised: Decimal, blocked: Decimal, client_id: str) -> Row:
    """Give the funds; the misspelt name is Dhan's own."""
    free = float(start_of_day + realised - blocked)
    return {
        "dhanClientId": client_id,
        "availabelBalance": free,
        "sodLimit": float(start_of_day),
        "collateralAmount": 0.0,
        "receiveableAmount": 0.0,
        "utilizedAmount": float(blocked),
        "blockedPayoutAmount": 0.0,
        "withdrawableBalance": max(0.0, free),
    }


def order_alert(order: SimOrder, client_id: str, now: datetime, last: float) -> Row:
    """Give one message of the order-update socket."""
    instrument = order.listed.instrument
    bse = instrument.segment in (Segment.BSE_EQ, Segment.BSE_FNO)
    cash = instrument.segment in (Segment.NSE_EQ, Segment.BSE_EQ)
    data = {
        "Exchange": "BSE" if bse else "NSE",
        "Segment": "E" if cash else "D",
        "Source": order.source,
        "SecurityId": instrument.security_id,
        "ClientId": client_id,
        "ExchOrderNo": order.exchange_order_id if order.status is not Status.TRANSIT else "",
        "OrderNo": order.shown_id,
        "Product": _PRODUCT_LETTERS.get(order.product, "I"),
        "TxnType": "B" if order.side is Side.BUY else "S",
        "OrderType": _TYPE_LETTERS[order.order_type],
        "Validity": order.validity,
        "DiscQuantity": order.disclosed_quantity,
        "DiscQtyRem": 0,
        "RemainingQuantity": order.remaining,
        "Quantity": order.quantity,
        "TradedQty": order.filled,
        "Price": float(order.price),
        "TriggerPrice": float(order.trigger_price),
        "TradedPrice": float(order.last_price),
        "AvgTradedPrice": order.average,
        "AlgoOrdNo": order.parent,
        "OffMktFlag": "0",
        "OrderDateTime": stamp(order.created),
        "ExchOrderTime": stamp(order.updated),
        "LastUpdatedTime": stamp(now),
        "Remarks": "NR" if order.leg is Leg.NONE else "Super Order",
        "MktType": "NL",
        "ReasonDescription": order.reason,
        "LegNo": _LEG_NUMBERS.get(order.leg, 1),
        "Instrument": instrument_type(instrument),
        "Symbol": instrument.symbol,
        "ProductName": order.product,
        "Status": order.status.value,
        "LotSize": instrument.lot,
        "StrikePrice": float(instrument.strike or ZERO),
        "ExpiryDate": f"{instrument.expiry} 00:00:00" if instrument.expiry else NO_TIME,
        "OptType": instrument.right.value if instrument.right else "XX",
        "DisplayName": instrument.display_name,
        "Isin": "NA",
        "Series": "",
        "GoodTillDaysDate": now.date().isoformat(),
        "RefLtp": last,
        "TickSize": float(instrument.tick),
        "AlgoId": "0",
        "Multiplier": 1,
        "CorrelationId": order.correlation_id,
    }
    return {"Data": data, "Type": "order_alert"}

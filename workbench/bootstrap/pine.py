"""What to paste into TradingView: the message of an alert, for indicator scripts and for strategy scripts.

Invariant: every message printed here is read by the webhook as it is, once TradingView has filled its placeholders.
"""

import json

from workbench.core.deployment import Deployment


def alert_texts(deployment: Deployment, webhook_url: str) -> str:
    """Give the alert messages of a deployment with a word on where each goes."""
    base = {"strategy": deployment.name, "symbol": deployment.symbol}
    key = {"key": "PASTE-THE-KEY-OF-THIS-DEPLOYMENT"} if deployment.key_sha256 else {}
    strategy_script = {
        **base,
        "position": "{{strategy.market_position}}",
        "prev_position": "{{strategy.prev_market_position}}",
        "order_id": "{{strategy.order.id}}",
        "timestamp": "{{timenow}}",
        "id": deployment.name + "-{{strategy.order.id}}-{{timenow}}",
        **key,
    }
    lines = [
        f"# {deployment.name}: webhook URL (put your own public address before the path, see docs/tradingview.md)",
        webhook_url,
        "",
        "# Strategy script: one alert, condition 'Order fills', message:",
        json.dumps(strategy_script),
    ]
    for side, word in (("BUY", "bullish"), ("SELL", "bearish")):
        indicator = {
            **base,
            "side": side,
            "timeframe": "{{interval}}",
            "price": "{{close}}",
            "timestamp": "{{timenow}}",
            "id": deployment.name + "-" + side + "-{{timenow}}",
            **key,
        }
        # TradingView fills numbers in without quotes, and the webhook wants the price as a number.
        text = json.dumps(indicator).replace('"{{close}}"', "{{close}}")
        lines += ["", f"# Indicator script, {word} condition, 'Once per bar close', message:", text]
    return "\n".join(lines) + "\n"

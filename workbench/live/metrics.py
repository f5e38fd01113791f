"""What a Prometheus server reads of a running account: collected when it asks, at no cost on the order path.

Names follow Prometheus' rules (base units, `_total` for what only grows within a day). Counts begin anew with each
trading day, as the books do, which a counter's reset allows.

Invariant: a scrape reads and changes nothing; labels are closed sets, never ids, names of people or free text.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from workbench.core.money import ZERO
from workbench.core.order import OrderState, Purpose
from workbench.core.position import PositionState, Protection
from workbench.core.structure import covers
from workbench.live.system import LiveSystem

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SAMPLES = 600
_EVERY_S = 0.1


class LagMeter:
    """How late the event loop wakes: the delay between when a turn was due and when it came, wire seconds."""

    def __init__(self) -> None:
        self._lags: deque[float] = deque(maxlen=_SAMPLES)

    async def run(self) -> None:
        """Measure ten times a second until cancelled; the newest minute is kept."""
        while True:
            due = time.monotonic() + _EVERY_S
            await asyncio.sleep(_EVERY_S)
            self._lags.append(max(0.0, time.monotonic() - due))

    def quantile(self, share: float) -> float | None:
        """Give the lag that this share of the last minute's turns stayed below; None before the first."""
        ordered = sorted(self._lags)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else None


class AccountCollector(Collector):
    """One running account as metric families.

    Parameters
    ----------
    system : LiveSystem
    lag : LagMeter, optional
    """

    def __init__(self, system: LiveSystem, lag: LagMeter | None = None) -> None:
        self._system, self._lag = system, lag
        self._started = time.monotonic()

    def collect(self) -> Iterator[Metric]:
        """Read the account."""
        yield from self._process()
        yield from self._market()
        yield from self._money()
        yield from self._traffic()

    def _process(self) -> Iterator[Metric]:
        system = self._system
        yield _gauge("up_seconds", "Seconds since this engine began to serve.", time.monotonic() - self._started)
        yield _gauge("ready", "1 when all steps of the start have succeeded.", system.ready)
        yield _gauge("queue_length", "Messages that wait for the engine.", system.runner.waiting)
        faults = len(system.runner.faults)
        yield CounterMetricFamily("workbench_engine_faults", "Faults of the engine today.", value=faults)
        if self._lag is not None:
            family = GaugeMetricFamily("workbench_loop_lag_seconds", "Lateness of the event loop.", labels=["quantile"])
            for share in (0.5, 0.99):
                late = self._lag.quantile(share)
                if late is not None:
                    family.add_metric([str(share)], late)
            yield family

    def _market(self) -> Iterator[Metric]:
        system, book = self._system, self._system.runner.engine.book
        watch = system.watch
        yield _gauge("market_open", "1 while the market trades.", system.market_open)
        yield _gauge("feed_up", "1 while quotes arrive.", book.feed_alive and watch.connected)
        yield _gauge("order_socket_up", "1 while the order-update socket is connected.", watch.orders_connected)
        if watch.age_s is not None:
            yield _gauge("feed_age_seconds", "Seconds since the last quote.", watch.age_s)
        hours = system.token_hours_left()
        if hours is not None:
            yield _gauge("token_seconds_left", "Seconds until the broker's access token ends.", hours * 3600)

    def _money(self) -> Iterator[Metric]:
        system = self._system
        engine, ledger = system.runner.engine, system.runner.ledger
        live = engine.book.live_positions()
        held = [each for each in live if each.open_quantity]
        out_of_hours = (PositionState.CARRIED, PositionState.EXPIRING)
        naked = [
            each
            for each in held
            if each.protection is Protection.NONE
            and each.state not in out_of_hours
            and not covers(engine.book.structures, each)
        ]
        yield _gauge("halted", "1 while entries are refused.", engine.book.halted)
        yield _gauge("frozen", "1 while book and broker differ.", bool(engine.book.frozen))
        yield _gauge("positions", "Positions that are held.", len(held))
        yield _gauge("positions_without_stop", "Held positions without a stop at the broker.", len(naked))
        yield _gauge("realised_rupees", "Net of today's closed trades.", float(ledger.net))
        yield _gauge("open_rupees", "P&L of what is open, charges so far counted.", float(engine.open_pnl()))
        yield _gauge("funds_rupees", "Free funds as last told.", float(engine.book.funds or ZERO))
        yield CounterMetricFamily("workbench_trades", "Round trips of today.", value=len(ledger.trades))

    def _traffic(self) -> Iterator[Metric]:
        book = self._system.runner.engine.book
        orders = CounterMetricFamily("workbench_orders", "Orders of today.", labels=["purpose", "state"])
        counts = Counter((order.ticket.purpose, order.state) for order in book.orders.values())
        for purpose in Purpose:
            for state in OrderState:
                if counts[purpose, state]:
                    orders.add_metric([purpose.value, state.value], counts[purpose, state])
        yield orders
        fates = CounterMetricFamily(
            "workbench_decisions", "Signals and alerts by what became of them.", labels=["fate"]
        )
        for fate, count in sorted(Counter(each.fate for each in book.decisions).items()):
            fates.add_metric([fate], count)
        yield fates
        turned_away = self._system.turned_away
        yield CounterMetricFamily("workbench_alerts_turned_away", "Alerts refused at the door.", value=turned_away)


def registry_of(system: LiveSystem, lag: LagMeter | None = None) -> CollectorRegistry:
    """Give a registry of its own for one account; `text_of` writes it."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(AccountCollector(system, lag))
    return registry


def text_of(registry: CollectorRegistry) -> bytes:
    """Give the account as it is now, in Prometheus' text format."""
    return generate_latest(registry)


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"workbench_{name}", text, value=float(value))

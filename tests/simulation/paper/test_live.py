"""A live account through the real processes, on a simulator in Dhan's place: the gate, the dry run, the real order."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.journey.running import free_port
from tests.simulation.paper.running import FAR, NAME, SENTENCE, STOP, Dhan, Up, deploy, environment, playing_dhan
from workbench.core.messages import OrderSubmitted
from workbench.core.order import Purpose
from workbench.live.supervise import REFUSED, read_latch
from workbench.simulator.addresses import Addresses
from workbench.storage.journal import SqliteJournal

pytestmark = pytest.mark.timeout(300)

SENDING = "dhan:\n  dry_run: false\n"


@contextmanager
def live(dhan: Dhan, folder: Path, settings: str = "", **changes: Any) -> Iterator[Up]:
    deploy(folder / "data", "live", **changes)
    (folder / "workbench.yaml").write_text(settings, encoding="utf-8")
    running = Up(folder, dhan.proxy.url, "--mode", "live", "--confirm", SENTENCE)
    try:
        running.wait_open()
        yield running
    finally:
        assert running.stop() == []


def engine(folder: Path, dhan: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    ports = [free_port() for _ in range(3)]
    command = [sys.executable, "-m", "workbench", "engine", "--mode", "live", *arguments]
    return subprocess.run(
        command, env=environment(folder, dhan, *ports), cwd=folder, capture_output=True, encoding="utf-8", timeout=90,
        check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def test_a_dry_run_journals_the_exact_order_and_sends_nothing(tmp_path: Path) -> None:
    with playing_dhan() as dhan:
        with live(dhan, tmp_path) as up:
            assert up.get("/api/status")["mode"] == "live"
            status, answer = up.buy()
            assert (status, answer["status"]) == (200, "accepted"), answer
            rows = up.wait("its end", lambda: [row for row in up.get("/live/orders") if "dry run" in row["reason"]])
            assert [row["correlation_id"][0] for row in rows] == ["l"]
            assert len(up.get("/live/orders")) == 1
            assert up.positions() == []
            day = up.get("/api/status")["phase"]["day"]
            account = up.get("/health")["account"]
        assert account == "live-001"
        assert dhan.orders() == []
        assert [line for line in dhan.proxy.writes() if "orders" in line] == []
    journal = SqliteJournal(tmp_path / "data" / "journal" / "journal-live.db")
    try:
        written = [
            event.ticket
            for moment in journal.days(account)
            for entry in journal.read_day(account, moment)
            for event in entry.events
            if isinstance(event, OrderSubmitted)
        ]
        assert [str(moment) for moment in journal.days(account)] == [day]
    finally:
        journal.close()
    assert [(ticket.purpose, ticket.quantity) for ticket in written] == [(Purpose.ENTRY, 65)]
    assert written[0].instrument.security_id
    assert written[0].price > Decimal(0)


def test_live_sends_one_order_and_its_stop_and_leaves_when_told(tmp_path: Path) -> None:
    with playing_dhan() as dhan, live(dhan, tmp_path, SENDING, plan=FAR) as up:
        position = up.enter()
        entry, stop = dhan.orders()[-2:]
        assert len(up.orders_of(position["id"])) == 2
        assert (entry["orderStatus"], entry["filledQty"], entry["orderType"]) == ("TRADED", 65, "LIMIT")
        assert entry["correlationId"].startswith("l")
        assert (stop["orderStatus"], stop["orderType"], stop["transactionType"]) == ("PENDING", "STOP_LOSS", "SELL")
        assert stop["triggerPrice"] == pytest.approx(entry["averageTradedPrice"] - STOP)
        up.flat()
        up.wait("a flat book", lambda: up.positions() == [])
        up.wait("a flat account at Dhan", lambda: _net(dhan) == {0})
        assert dhan.orders()[-1]["orderId"] == stop["orderId"], "the stop is the order that leaves"


def test_p11_a_restart_without_the_sentence_watches_what_is_open_and_enters_nothing(tmp_path: Path) -> None:
    with playing_dhan() as dhan:
        with live(dhan, tmp_path, SENDING, plan=FAR) as up:
            up.enter()
        again = Up(tmp_path, dhan.proxy.url, "--mode", "live")
        try:
            again.wait_open()
            assert "exits only" in again.wait("a hold", lambda: _hold(again))
            again.flat()
            again.wait("a flat account at Dhan", lambda: again.positions() == [] and _net(dhan) == {0})
            count = len(dhan.orders())
            _, answer = again.buy()
            assert (answer.get("fate"), answer.get("gate")) == ("denied", "stale_feed"), answer
            assert len(dhan.orders()) == count
        finally:
            assert again.stop() == []
        done = engine(tmp_path, dhan.proxy.url)
        assert (done.returncode, "live needs its sentence" in done.stderr) == (2, True), "nothing is open any more"


def test_p11_an_open_position_is_watched_though_the_doctor_would_refuse_the_start(tmp_path: Path) -> None:
    with playing_dhan() as dhan:
        with live(dhan, tmp_path, SENDING, plan=FAR) as up:
            up.enter()
        simulator = dhan.simulator.simulator
        dhan.simulator.call(lambda: setattr(simulator, "addresses", Addresses(allowed=False)))
        dhan.simulator.call(lambda: setattr(simulator.doors, "addresses", simulator.addresses))
        again = Up(tmp_path, dhan.proxy.url, "--mode", "live", "--confirm", SENTENCE)
        try:
            again.wait_open()
            assert "registered address" in again.wait("a hold", lambda: _hold(again))
            assert len(again.positions()) == 1
        finally:
            assert again.stop() == []


def test_a_dry_run_is_refused_while_a_real_position_is_open(tmp_path: Path) -> None:
    with playing_dhan() as dhan:
        with live(dhan, tmp_path, SENDING, plan=FAR) as up:
            up.enter()
        (tmp_path / "workbench.yaml").write_text("dhan:\n  dry_run: true\n", encoding="utf-8")
        done = engine(tmp_path, dhan.proxy.url, "--confirm", SENTENCE)
    assert done.returncode == REFUSED
    assert "with dry_run no exit would be sent" in done.stdout


def _net(dhan: Dhan) -> set[int]:
    return {row["netQty"] for row in dhan.positions()}


def _hold(up: Up) -> str:
    told = up.get("/api/status")["feed"]
    return "" if told["alive"] else str(told["reason"])


@pytest.mark.parametrize(
    ("typed", "words"),
    [((), "live needs its sentence"), (("--confirm", "I trade real money on 999"), "the sentence is not right")],
)
def test_live_without_its_sentence_starts_nothing(typed: tuple[str, ...], words: str, tmp_path: Path) -> None:
    deploy(tmp_path / "data", "live")
    done = engine(tmp_path, "http://127.0.0.1:9", *typed)
    assert done.returncode == REFUSED
    assert words in done.stderr and SENTENCE in done.stderr
    assert not (tmp_path / "data" / "journal" / "journal-live.db").exists()


def test_an_unregistered_address_stops_live_and_names_the_way_out(tmp_path: Path) -> None:
    deploy(tmp_path / "data", "live")
    with playing_dhan(ip_allowed=False) as dhan:
        done = engine(tmp_path, dhan.proxy.url, "--confirm", SENTENCE)
        assert done.returncode == REFUSED
        assert "live is not started" in done.stdout and "registered address" in done.stdout
        assert "web.dhan.co" in done.stdout
        assert dhan.orders() == []


def test_a_refused_token_stops_the_start(tmp_path: Path) -> None:
    deploy(tmp_path / "data", "live")
    with playing_dhan(token="another") as dhan:
        done = engine(tmp_path, dhan.proxy.url, "--confirm", SENTENCE)
    assert done.returncode == REFUSED
    assert "start-up stopped at login" in done.stdout
    assert "practice-token" not in done.stdout + done.stderr


def test_a_deployment_of_alerts_without_a_key_is_refused(tmp_path: Path) -> None:
    deploy(tmp_path / "data", "live", key_sha256="")
    done = engine(tmp_path, "http://127.0.0.1:9", "--confirm", SENTENCE)
    assert done.returncode == REFUSED
    assert f"workbench deployments {NAME} --new-key" in done.stdout


def test_no_deployment_on_live_is_refused_with_the_way_out(tmp_path: Path) -> None:
    deploy(tmp_path / "data", "practice")
    done = engine(tmp_path, "http://127.0.0.1:9", "--confirm", SENTENCE)
    assert done.returncode == REFUSED
    assert "workbench deployments NAME --account live" in done.stdout


def test_up_ends_with_the_engines_words_when_its_start_is_refused(tmp_path: Path) -> None:
    deploy(tmp_path / "data", "live")
    with playing_dhan(ip_allowed=False) as dhan:
        up = Up(tmp_path, dhan.proxy.url, "--mode", "live", "--confirm", SENTENCE)
        try:
            assert up.process.wait(90) == REFUSED
        finally:
            assert up.stop() == []
    told = up.log.read_text(encoding="utf-8")
    assert told.count("start-up stopped at login: live is not started") == 1
    assert "engine refused to start, for the reason above" in told
    assert read_latch(up.data / "journal") is None

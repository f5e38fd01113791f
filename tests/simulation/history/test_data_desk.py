"""History, expired options, chain and snapshots from the simulator, through the official library over real sockets."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from workbench.bootstrap.history import DataDesk, FetchWish, steps_of
from workbench.bootstrap.places import Places
from workbench.brokers.dhan.client import DhanClient
from workbench.brokers.dhan.pace import Pace
from workbench.brokers.dhan.transport import Endpoint
from workbench.cli import main
from workbench.core.bars import MINUTE
from workbench.core.errors import BadInput, UnknownName
from workbench.core.instrument import InstrumentKind, Right
from workbench.data.chain import read_expiries
from workbench.data.dhan_history import DhanHistory
from workbench.data.gaps import SourceHoles
from workbench.data.snapshots import Detail, read_snapshots
from workbench.reference import calendar
from workbench.simulator import SimulatorConfig
from workbench.testing.simulator import RunningSimulator, running_simulator

TODAY = date(2026, 11, 16)
LAST_EXPIRY = date(2026, 11, 9)  # Tuesday the 10th is a holiday


@pytest.fixture(scope="module")
def simulator() -> Iterator[RunningSimulator]:
    with running_simulator(day=TODAY) as running:
        running.open_market()
        running.advance(90 * 60 + 20)
        yield running


@pytest.fixture
def client(simulator: RunningSimulator) -> DhanClient:
    return DhanClient(simulator.base_url, simulator.client_id, simulator.token, Endpoint.DATA, pace=Pace.unlimited())


@pytest.fixture
def desk(simulator: RunningSimulator, client: DhanClient, tmp_path: Path) -> DataDesk:
    now = simulator.simulator.now
    return DataDesk(tmp_path, Places.simulator(simulator.port), client, lambda: now, spread_s=0)


def test_an_index_is_fetched_up_to_the_last_whole_minute(desk: DataDesk, simulator: RunningSimulator) -> None:
    report = desk.fetch(FetchWish(names=["NIFTY"], start=date(2026, 11, 2)))
    row = report.to_dict()["symbols"][0]
    assert report.whole, row
    opens = desk.store.opens("NIFTY", MINUTE, None, None)
    assert opens[0].date() == date(2026, 11, 2)
    assert opens[-1] + timedelta(minutes=1) <= simulator.simulator.now < opens[-1] + timedelta(minutes=2)
    assert desk.fetch(FetchWish(names=["NIFTY"], start=date(2026, 11, 2))).requests == 0


def test_made_up_prices_are_not_mixed_with_those_of_dhan(desk: DataDesk) -> None:
    SourceHoles(desk.store.root).claim("Dhan")
    with pytest.raises(BadInput, match="fetched from Dhan, and these would come from a simulator"):
        desk.fetch(FetchWish(names=["NIFTY"], start=TODAY))
    with pytest.raises(BadInput, match="WORKBENCH_DATA"):
        desk.fetch_options("NIFTY", LAST_EXPIRY)
    assert desk.store.symbols() == []


def test_stored_bars_are_those_that_the_live_engine_reads(desk: DataDesk, client: DhanClient) -> None:
    desk.fetch(FetchWish(names=["NIFTY"], start=TODAY))
    index = desk.instrument("NIFTY")
    now = desk.store.opens("NIFTY", MINUTE, None, None)[-1].to_pydatetime() + timedelta(minutes=1)
    live = DhanHistory(client.api, lambda _: index, calendar(), lambda: now)
    session = now.replace(hour=9, minute=0)
    assert live.read("NIFTY", "5m", session, None).equals(
        desk.store.read("NIFTY", "5m", session, None).loc[: now - timedelta(minutes=5)]
    )


def test_daily_bars_end_with_yesterday_while_the_market_is_open(desk: DataDesk) -> None:
    report = desk.fetch(FetchWish(names=["BANKNIFTY"], interval="1d", start=date(2026, 10, 15)))
    assert report.whole
    assert desk.store.read("BANKNIFTY", "1d").index[-1].date() == date(2026, 11, 13)


def test_contracts_are_found_by_key_and_by_name_in_the_days_master(desk: DataDesk, simulator: RunningSimulator) -> None:
    option = simulator.option(steps=2)
    assert desk.instrument(option.key).security_id == option.security_id
    assert desk.instrument(option.display_name).key == option.key
    report = desk.fetch(FetchWish(names=[option.key], start=TODAY))
    assert report.whole
    assert report.symbols[0].symbol == option.key
    with pytest.raises(UnknownName, match="NIFTY"):
        desk.instrument(option.key.replace(":CE", ":XX"))


def test_an_expired_week_is_stitched_into_contracts_that_settle(desk: DataDesk) -> None:
    report = desk.fetch_options("NIFTY", LAST_EXPIRY)
    told = report.to_dict()
    assert report.whole, told
    assert (told["series"], told["requests"], told["disagreements"], told["findings"]) == ("weekly", 42, 0, [])
    assert len(report.contracts) >= 42
    assert sum(row.revised for row in report.contracts.values()) == 0
    whole = [key for key, row in report.contracts.items() if row.absent_minutes == 0]
    assert whole
    for key in whole:
        frame = desk.store.read(key, MINUTE)
        assert frame.index.is_unique
        assert frame.index[-1].date() == LAST_EXPIRY
    assert desk.fetch_options("NIFTY", LAST_EXPIRY).requests == 0


def test_an_expiry_to_come_is_refused_with_the_way_out(desk: DataDesk) -> None:
    with pytest.raises(BadInput, match="workbench data fetch NSE_FNO:NIFTY:2026-11-17"):
        desk.fetch_options("NIFTY", date(2026, 11, 17))


def test_the_chain_names_every_strike_with_both_sides(desk: DataDesk, simulator: RunningSimulator) -> None:
    expiries = desk.expiries("NIFTY")
    chain = desk.chain("NIFTY")
    assert (chain.underlying, chain.expiry) == ("NIFTY", expiries[0])
    option = simulator.option(steps=1)
    row = chain.row(option.strike or Decimal(0))
    assert row is not None
    call = row.side(Right.CE)
    assert call is not None
    quote = simulator.quote(option)
    assert (call.security_id, call.bid, call.ask) == (option.security_id, quote.bid, quote.ask)
    assert 0 < call.delta < 1
    assert call.iv_pct > 1
    assert [one.strike for one in chain.rows] == sorted(one.strike for one in chain.rows)
    with pytest.raises(BadInput, match="no such expiry"):
        desk.chain("NIFTY", date(2026, 11, 18))


def test_an_underlying_that_is_not_known_is_refused(desk: DataDesk, client: DhanClient) -> None:
    with pytest.raises(BadInput, match="no row of NIFTI; check the symbols"):
        desk.chain("NIFTI")
    index = replace(desk.instrument("NIFTY"), security_id="999999")
    with pytest.raises(Exception, match="813 Invalid SecurityId"):
        read_expiries(client.api, index, pause=lambda _: None)


def test_snapshots_tell_prices_and_name_what_dhan_does_not_know(
    desk: DataDesk, client: DhanClient, simulator: RunningSimulator
) -> None:
    option = simulator.option()
    ghost = replace(option, security_id="5", expiry=date(2026, 11, 10))
    index = desk.instrument("NIFTY")
    for detail in Detail:
        found = read_snapshots(client.api, [index, option, ghost], detail, pause=lambda _: None)
        assert set(found.prices) == {index.key, option.key}
        assert found.unknown == (ghost,)
        assert found.prices[option.key].last == simulator.quote(option).last
    quote = read_snapshots(client.api, [option], Detail.QUOTE, pause=lambda _: None).prices[option.key]
    assert (quote.bid, quote.ask) == (simulator.quote(option).bid, simulator.quote(option).ask)
    assert quote.traded_at is not None
    assert quote.traded_at.date() == TODAY


def test_the_command_line_fetches_shows_and_lists(
    simulator: RunningSimulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in environment(simulator, tmp_path).items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    assert main(["data", "fetch", "NIFTY", "BANKNIFTY", "--from", "2026-11-12", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert [row["symbol"] for row in report["symbols"]] == ["NIFTY", "BANKNIFTY"]
    assert report["whole"] is True
    assert main(["data", "show", "NIFTY", "--from", "2026-11-13", "--to", "2026-11-13", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["bars"]) == 72
    assert main(["data", "chain", "NIFTY", "--expiries", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["expiries"][0] == "2026-11-17"
    assert main(["data", "chain", "NIFTY", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["rows"]) > 20
    assert main(["data", "chain", "NIFTY"]) == 0
    table = capsys.readouterr().out.splitlines()
    assert table[0].startswith("NIFTY 2026-11-17, spot ")
    assert len({len(line) for line in table[1:]}) == 1
    assert main(["data", "fetch-options", "NIFTY", "--expiry", "2026-11-09", "--strikes", "ATM±1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["requests"] == 6
    assert main(["data", "fetch", "NOSUCH", "--json"]) == 2
    assert "NOSUCH" in capsys.readouterr().err


def environment(simulator: RunningSimulator, data: Path) -> dict[str, str]:
    """What a person sets."""
    return {
        "WORKBENCH_DATA": str(data),
        "WORKBENCH_DHAN_URL": simulator.origin,
        "DHAN_CLIENT_ID": simulator.client_id,
        "DHAN_ACCESS_TOKEN": simulator.token,
    }


def test_p1_a_fetch_that_is_killed_goes_on_where_it_stood(simulator: RunningSimulator, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "workbench", "data", "fetch", "NIFTY", "BANKNIFTY", "--json"]
    env = {**os.environ, **environment(simulator, tmp_path)}
    notes = tmp_path / "bars" / ".fetched" / "NIFTY" / "1m.json"
    with subprocess.Popen(command, env=env, cwd=tmp_path, stdout=subprocess.DEVNULL) as process:
        until = time.monotonic() + 60
        while not notes.exists() and time.monotonic() < until and process.poll() is None:
            time.sleep(0.01)
        process.kill()
    assert notes.exists()
    now = simulator.simulator.now
    client = DhanClient(simulator.base_url, simulator.client_id, simulator.token, Endpoint.DATA, pace=Pace.unlimited())
    killed = DataDesk(tmp_path, Places.simulator(simulator.port), client, lambda: now, spread_s=0)
    rest = killed.fetch(FetchWish(names=["NIFTY", "BANKNIFTY"]))
    fresh = DataDesk(tmp_path / "fresh", Places.simulator(simulator.port), client, lambda: now, spread_s=0)
    whole = fresh.fetch(FetchWish(names=["NIFTY", "BANKNIFTY"]))
    assert rest.whole
    assert whole.whole
    assert 0 < rest.requests < whole.requests
    for symbol in ("NIFTY", "BANKNIFTY"):
        assert killed.store.fingerprint(symbol, MINUTE) == fresh.store.fingerprint(symbol, MINUTE)


def test_history_is_whole_from_a_strict_broker_with_two_repeats_at_most(tmp_path: Path) -> None:
    with running_simulator(day=TODAY, config=SimulatorConfig(rate_scale=1.0)) as strict:
        client = DhanClient(strict.base_url, strict.client_id, strict.token, Endpoint.DATA, pace=Pace())
        desk = DataDesk(tmp_path, Places.simulator(strict.port), client, lambda: strict.simulator.now)
        began = time.monotonic()
        report = desk.fetch(FetchWish(names=["NIFTY"], start=date(2023, 6, 1)))
        took = time.monotonic() - began
    assert report.whole
    assert report.requests == 14
    # The strict broker shares this process and may count late; one refusal is asked again and costs a pause, no bar.
    assert client.transport.requests <= 16
    assert took >= 2.0


def test_words_for_strikes_are_read_or_refused() -> None:
    assert [steps_of(text) for text in ("10", "ATM±3", "atm+-2", "ATM5", "ATM +/- 4")] == [10, 3, 2, 5, 4]
    with pytest.raises(BadInput, match="ATM±10"):
        steps_of("OTM")


def test_an_index_needs_no_master(desk: DataDesk, tmp_path: Path) -> None:
    assert desk.instrument("sensex").kind is InstrumentKind.INDEX
    assert not (tmp_path / "instruments").exists()

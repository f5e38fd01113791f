"""The doctor at a running simulator in each broken state: it names what is wrong, and the way out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.simulation.paper.running import deploy
from tests.unit.brokers.test_token_ways import NO_RING, Ring
from workbench.bootstrap import deployments as promoted
from workbench.bootstrap import doctor
from workbench.bootstrap.broker_checks import examine_broker, wall_clock
from workbench.bootstrap.client import EngineClient
from workbench.bootstrap.doctor import Patient, examine
from workbench.bootstrap.findings import Blocks, Finding, Readiness
from workbench.bootstrap.places import Places
from workbench.brokers.dhan.login_wire import LoginWire
from workbench.brokers.dhan.token_store import TokenStore
from workbench.cli import main
from workbench.config import Config, Mode, Secrets
from workbench.core.deployment import Deployment
from workbench.core.plan import plan_from_mapping
from workbench.core.session import Calendar
from workbench.live.awake import SleepNotInhibitedError
from workbench.reference import calendar
from workbench.simulator import SimulatorConfig
from workbench.simulator.tokens import TokenKind
from workbench.testing.simulator import DAY, RunningSimulator, running_simulator
from workbench.testing.wire_stub import free_port

WEB = SimulatorConfig(token_kind=TokenKind.WEB)


@pytest.fixture(autouse=True)
def _awake(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether the machine of these tests can be kept awake is not what they ask."""
    monkeypatch.setattr(doctor, "kept_awake", lambda: "by a stand-in")


@pytest.fixture
def healthy() -> Iterator[RunningSimulator]:
    with running_simulator(config=WEB) as simulator:
        yield simulator


def patient(simulator: RunningSimulator, data: Path, *, mode: Mode = Mode.LIVE, token: str | None = None) -> Patient:
    folder = data / "instruments"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"practice-{DAY}.csv").write_text("x", encoding="utf-8")
    secrets = Secrets(dhan_client_id=simulator.client_id, dhan_access_token=token or simulator.token)
    return Patient(
        data=data,
        config=Config(secrets=secrets),
        mode=mode,
        client=EngineClient(free_port(), data),
        places=Places.simulator(simulator.port),
        calendar=calendar(),
        store=TokenStore(simulator.client_id, NO_RING),
    )


def only_fault(readiness: Readiness) -> Finding:
    (found,) = [each for each in readiness.findings if not each.ok]
    return found


def test_a_healthy_account_has_no_finding_against_it(healthy: RunningSimulator, tmp_path: Path) -> None:
    readiness = examine(patient(healthy, tmp_path))
    assert readiness.ok and not readiness.stops, readiness.to_dict()
    names = {each.name for each in readiness.findings}
    assert {"token", "token's end", "segments", "data plan", "registered address", "clock"} <= names
    assert {"sessions", "instrument master", "login", "engine"} <= names
    assert healthy.token not in str(readiness.to_dict()) and healthy.client_id not in str(readiness.to_dict())


def test_s10_a_machine_that_may_fall_asleep_is_named_with_the_way_out_and_stops_nothing(
    healthy: RunningSimulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused() -> str:
        raise SleepNotInhibitedError("this machine may fall asleep (no inhibitor); switch sleep off: by hand")

    monkeypatch.setattr(doctor, "kept_awake", refused)
    readiness = examine(patient(healthy, tmp_path))
    found = only_fault(readiness)
    assert (found.name, found.detail) == ("sleep", "this machine may fall asleep (no inhibitor)")
    assert found.way_out == "switch sleep off: by hand" and not readiness.stops


def test_an_expired_token_is_named_with_the_way_out(healthy: RunningSimulator, tmp_path: Path) -> None:
    healthy.call(healthy.simulator.tokens.expire)
    found = only_fault(examine(patient(healthy, tmp_path)))
    assert found.name == "token" and "invalid or expired" in found.detail
    assert "workbench login" in found.way_out and found.blocks is Blocks.PAPER


def test_a_token_whose_time_is_over_says_since_when(tmp_path: Path) -> None:
    with running_simulator(config=replace(WEB, token_life_s=0.0)) as simulator:
        found = only_fault(examine(patient(simulator, tmp_path)))
    assert found.name == "token" and "it ended at " in found.detail


def test_r7_a_token_that_ends_before_the_session_does_refuses_live(healthy: RunningSimulator) -> None:
    until = wall_clock() + timedelta(hours=25)
    wire = LoginWire(healthy.client_id, base_url=healthy.base_url)
    findings = examine_broker(wire, healthy.token, base_url=healthy.base_url, needed_until=until)
    found = only_fault(Readiness(mode=Mode.LIVE, findings=findings))
    assert (found.name, found.blocks) == ("token's end", Blocks.LIVE)
    assert "before the session is over" in found.detail and "workbench login" in found.way_out


def test_r8_a_wrong_address_is_named_with_the_way_out_and_stops_live_only(tmp_path: Path) -> None:
    with running_simulator(config=replace(WEB, ip_allowed=False)) as simulator:
        found = only_fault(examine(patient(simulator, tmp_path)))
        paper = examine(patient(simulator, tmp_path, mode=Mode.PAPER))
    assert (found.name, found.blocks) == ("registered address", Blocks.LIVE)
    assert "takes no orders from here: 203.0.113.7; Dhan sees 127.0.0.1" in found.detail
    assert "register this machine's address" in found.way_out
    assert paper.ok and not paper.stops and only_fault(paper) == found


def test_r8_an_account_without_any_address_is_named(healthy: RunningSimulator, tmp_path: Path) -> None:
    healthy.call(lambda: healthy.simulator.addresses.use(None))
    found = only_fault(examine(patient(healthy, tmp_path)))
    assert "none registered (No IP found for the client)" in found.detail


def test_a_missing_data_plan_is_named_with_the_way_out(tmp_path: Path) -> None:
    with running_simulator(config=replace(WEB, data_plan="Deactive")) as simulator:
        found = only_fault(examine(patient(simulator, tmp_path)))
    assert (found.name, found.blocks) == ("data plan", Blocks.PAPER)
    assert "Deactive" in found.detail and "Data APIs at web.dhan.co" in found.way_out


def test_a_data_plan_that_is_called_active_and_gives_no_price_is_named(
    healthy: RunningSimulator, tmp_path: Path
) -> None:
    healthy.simulator.doors.data_plan = "Deactive"
    wire = LoginWire(healthy.client_id, base_url=healthy.base_url)
    original = wire.profile
    wire.profile = lambda token: {**original(token), "dataPlan": "Active"}  # type: ignore[method-assign]
    findings = examine_broker(wire, healthy.token, base_url=healthy.base_url)
    found = only_fault(Readiness(mode=Mode.LIVE, findings=findings))
    assert found.name == "data plan" and "called active, but no price is given" in found.detail


@pytest.mark.parametrize(("off_s", "word"), [(40.0, "40 s ahead of"), (-40.0, "40 s behind")])
def test_s9_a_clock_that_is_forty_seconds_off_refuses_live(
    healthy: RunningSimulator, tmp_path: Path, off_s: float, word: str
) -> None:
    # The answers carry this machine's true time in their Date header; the doctor is given a clock that is off.
    wrong = replace(patient(healthy, tmp_path), now=lambda: wall_clock() + timedelta(seconds=off_s))
    found = only_fault(examine(wrong))
    assert (found.name, found.blocks) == ("clock", Blocks.LIVE)
    seconds = int(found.detail.split(" ", 1)[0])
    assert abs(seconds - 40) <= 1 and word.split(" s ", 1)[1] in found.detail
    assert "w32tm /resync" in found.way_out and "timedatectl" in found.way_out


def test_s9_a_clock_that_is_five_seconds_off_is_named_and_stops_nothing(
    healthy: RunningSimulator, tmp_path: Path
) -> None:
    readiness = examine(replace(patient(healthy, tmp_path), now=lambda: wall_clock() + timedelta(seconds=5)))
    assert only_fault(readiness).name == "clock" and not readiness.stops and not readiness.ok


def test_s13_a_stale_master_is_named_with_the_way_out(healthy: RunningSimulator, tmp_path: Path) -> None:
    sick = patient(healthy, tmp_path)
    folder = tmp_path / "instruments"
    (folder / f"practice-{DAY}.csv").rename(folder / f"practice-{DAY - timedelta(days=3)}.csv")
    (folder / f"dhan-{DAY}.csv").write_text("x", encoding="utf-8")
    found = only_fault(examine(sick))
    assert (found.name, found.blocks) == ("instrument master", Blocks.LIVE)
    assert f"older than trading day {DAY}" in found.detail and "workbench up fetches" in found.way_out


def test_a_first_master_that_the_start_itself_will_fetch_is_no_obstacle(
    healthy: RunningSimulator, tmp_path: Path
) -> None:
    new = patient(healthy, tmp_path)
    (tmp_path / "instruments" / f"practice-{DAY}.csv").unlink()
    readiness = examine(new)
    assert readiness.ok and not readiness.stops
    (found,) = [each for each in readiness.findings if each.name == "instrument master"]
    assert "will be fetched" in found.detail


def test_a_super_order_that_the_start_would_refuse_is_named_for_live_only(
    healthy: RunningSimulator, tmp_path: Path
) -> None:
    plan = plan_from_mapping({"name": "sup", "exits": {"stop": 15, "target": 30}, "protection": "super_order"})
    sup = Deployment(name="SUP", symbol="NIFTY", plan=plan, account="live", key_sha256="a" * 64)
    promoted.save(tmp_path, sup)
    found = only_fault(examine(patient(healthy, tmp_path)))
    assert found.name == "account" and "dhan.allow_super_orders" in found.detail + found.way_out
    allowed = replace(patient(healthy, tmp_path), config=_allowing(healthy))
    assert not examine(allowed).stops
    promoted.save(tmp_path, replace(sup, account="paper"))
    assert not examine(patient(healthy, tmp_path, mode=Mode.PAPER)).stops


def _allowing(simulator: RunningSimulator) -> Config:
    secrets = Secrets(dhan_client_id=simulator.client_id, dhan_access_token=simulator.token)
    return Config.model_validate({"dhan": {"allow_super_orders": True}, "secrets": secrets})


def test_s11_a_year_without_session_rows_refuses_live(healthy: RunningSimulator, tmp_path: Path) -> None:
    known = calendar()
    years = tuple(year for year in known.years if year < DAY.year)
    sick = replace(patient(healthy, tmp_path), calendar=Calendar({}, years))
    faults = [each for each in examine(sick).findings if not each.ok]
    found = next(each for each in faults if each.name == "sessions")
    assert f"no session rows for the year {DAY.year}" in found.detail and "newer version" in found.way_out
    assert found.blocks is Blocks.LIVE


def test_a_broker_that_does_not_answer_is_named(tmp_path: Path) -> None:
    with running_simulator(config=WEB) as simulator:
        sick = patient(simulator, tmp_path)
    readiness = examine(sick)
    found = only_fault(readiness)
    assert found.name == "broker" and "does not answer" in found.detail and readiness.stops == (found,)


def test_without_a_client_id_or_a_token_the_way_out_is_named(healthy: RunningSimulator, tmp_path: Path) -> None:
    whole = patient(healthy, tmp_path)
    nobody = only_fault(examine(replace(whole, config=Config())))
    assert nobody.name == "login" and "DHAN_CLIENT_ID" in nobody.way_out
    no_token = Config(secrets=Secrets(dhan_client_id=healthy.client_id))
    missing = only_fault(examine(replace(whole, config=no_token)))
    assert missing.name == "token" and missing.way_out == "run workbench login"
    ring = Ring()
    TokenStore(healthy.client_id, ring).write(healthy.token)
    kept = examine(replace(whole, config=no_token, store=TokenStore(healthy.client_id, ring)))
    assert kept.ok


def test_deployments_that_are_all_on_another_account_are_named_with_the_way_out(
    healthy: RunningSimulator, tmp_path: Path
) -> None:
    deploy(tmp_path, "paper")
    fault = only_fault(examine(patient(healthy, tmp_path)))
    assert (fault.name, fault.way_out) == ("account", "workbench deployments NAME --account live")
    assert examine(patient(healthy, tmp_path, mode=Mode.PAPER)).stops == ()


def test_bars_that_are_missing_are_told_for_the_mode_that_was_asked(healthy: RunningSimulator, tmp_path: Path) -> None:
    for mode in Mode:
        (bars,) = [each for each in examine(patient(healthy, tmp_path, mode=mode)).findings if each.name == "bars"]
        assert bars.ok and mode.value in bars.detail
        assert ("practice" in bars.detail) == (mode is Mode.PRACTICE)


def test_practice_asks_nothing_of_dhan(tmp_path: Path) -> None:
    with running_simulator(config=WEB) as simulator:
        well = patient(simulator, tmp_path, mode=Mode.PRACTICE)
    readiness = examine(replace(well, config=Config()))
    assert readiness.ok, readiness.to_dict()
    assert "token" not in {each.name for each in readiness.findings}


def test_no_finding_shows_a_secret(healthy: RunningSimulator, tmp_path: Path) -> None:
    healthy.call(healthy.simulator.tokens.expire)
    told = str(examine(patient(healthy, tmp_path)).to_dict())
    assert healthy.token not in told and healthy.client_id not in told


def test_the_command_tells_it_as_json_and_by_its_exit_code(
    healthy: RunningSimulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "workbench.yaml").touch()  # the settings of this folder, not those of the checkout
    for name, value in (
        ("WORKBENCH_DHAN_URL", healthy.origin),
        ("WORKBENCH_DATA", str(tmp_path / "data")),
        ("WORKBENCH_ENGINE_PORT", str(free_port())),
        ("DHAN_CLIENT_ID", healthy.client_id),
        ("DHAN_ACCESS_TOKEN", healthy.token),
    ):
        monkeypatch.setenv(name, value)
    patient(healthy, tmp_path / "data")
    assert main(["doctor", "--mode", "live", "--json"]) == 0
    well = json.loads(capsys.readouterr().out)
    assert well["ok"] is True and well["mode"] == "live"
    healthy.call(healthy.simulator.tokens.expire)
    assert main(["doctor", "--mode", "paper"]) == 1
    told = capsys.readouterr().out
    assert "run workbench login" in told and healthy.token not in told and healthy.client_id not in told
    assert main(["doctor", "--mode", "practice"]) == 0

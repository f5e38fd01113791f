"""The token of a process, and what `workbench login` does and tells."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import keyring
import pytest
from keyring.backend import KeyringBackend

from tests.unit.brokers.test_login import token
from tests.unit.brokers.test_token_ways import NO_RING, Dhan, Ring, ring_with
from workbench.bootstrap.logging_in import (
    given_token,
    hold_until,
    log_in,
    needed_until,
    token_to_start_with,
    token_ways,
)
from workbench.brokers.dhan.token_store import NoKeyring, TokenStore
from workbench.brokers.dhan.token_ways import TokenSource, TokenWays
from workbench.cli import main
from workbench.config import Secrets
from workbench.core.errors import BadInput
from workbench.core.session import IST
from workbench.reference import calendar
from workbench.testing.wire_stub import WireStub

CLIENT = "1000000001"
SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
FULL = Secrets(dhan_client_id=CLIENT, dhan_pin="4829", dhan_totp_secret=SECRET)
NOW = datetime(2026, 11, 20, 8, 0, tzinfo=IST)


@pytest.fixture
def stub() -> Iterator[WireStub]:
    with WireStub() as server:
        yield server


def ways(stub: WireStub, data: Path, ring: KeyringBackend, secrets: Secrets = FULL) -> TokenWays:
    auth = stub.url.removesuffix("/v2")
    return token_ways(secrets, data, rest=stub.url, auth=auth, store=TokenStore(CLIENT, ring))


def at(hour: int, minute: int = 0, *, day: int = 20) -> datetime:
    return datetime(2026, 11, day, hour, minute, tzinfo=IST)


def test_r7_a_token_is_needed_until_five_minutes_after_the_close() -> None:
    known = calendar()
    assert needed_until(known, at(8)) == needed_until(known, at(12)) == at(15, 45)
    assert needed_until(known, at(15, 40)) is None
    assert needed_until(known, at(12, day=21)) is None  # a Saturday
    assert needed_until(known, at(12).replace(year=2040)) is None


def test_r7_the_keeper_renews_before_the_open_and_not_in_the_middle_of_a_session() -> None:
    needed = hold_until(calendar())
    assert needed(at(8)) == at(15, 45)
    assert needed(at(9, 15)) is None and needed(at(16)) is None and needed(at(8, day=21)) is None


@pytest.mark.parametrize(
    ("secrets", "told"),
    [
        (Secrets(), "DHAN_CLIENT_ID"),
        (Secrets(dhan_client_id=CLIENT, dhan_pin="1234"), "DHAN_TOTP_SECRET make a token only together"),
        (Secrets(dhan_client_id=CLIENT, dhan_totp_secret=SECRET), "DHAN_PIN and"),
        (Secrets(dhan_client_id=CLIENT, dhan_pin="12x4", dhan_totp_secret=SECRET), "DHAN_PIN is not made of digits"),
    ],
)
def test_settings_that_make_no_login_are_refused_with_the_way_out(tmp_path: Path, secrets: Secrets, told: str) -> None:
    with pytest.raises(BadInput, match=told):
        token_ways(secrets, tmp_path, rest="http://127.0.0.1:1/v2", auth="http://127.0.0.1:1")


def test_a_process_that_starts_again_within_two_minutes_waits_for_its_token(stub: WireStub, tmp_path: Path) -> None:
    stub.default = Dhan()
    first = token_to_start_with(ways(stub, tmp_path, NO_RING), None)
    assert (first.value, first.source) == ("made-1", TokenSource.MINTED)
    waited: list[float] = []
    (mark,) = (tmp_path / "journal").glob("token-*.json")

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        mark.unlink()

    assert token_to_start_with(ways(stub, tmp_path, NO_RING), None, sleep=sleep).value == "made-2"
    assert len(waited) == 1 and 100 < waited[0] <= 120


def test_a_login_keeps_the_given_token_and_tells_about_it_without_showing_it(stub: WireStub, tmp_path: Path) -> None:
    given = token({"exp": int((NOW + timedelta(hours=6)).timestamp())})
    stub.default, ring = Dhan(given), Ring()
    told = log_in(ways(stub, tmp_path, ring), given, now=lambda: NOW)
    assert (told["token"], told["from"], told["hours_left"]) == ("good", "DHAN_ACCESS_TOKEN", 6.0)
    assert told["client"] == "…001" and told["data_plan"] == "Active"
    assert TokenStore(CLIENT, ring).read() == given
    assert given not in str(told) and CLIENT not in str(told)


def test_a_good_token_is_not_replaced_by_a_login_unless_asked(stub: WireStub, tmp_path: Path) -> None:
    dhan = Dhan("kept")
    stub.default, ring = dhan, ring_with("kept")
    assert log_in(ways(stub, tmp_path, ring), None)["from"] == "keyring"
    assert dhan.made == 0
    told = log_in(ways(stub, tmp_path, ring), None, new=True)
    assert (told["from"], dhan.made) == ("PIN and one-time password", 1)
    assert TokenStore(CLIENT, ring).read() == "made-1" and "made-1" not in str(told)


@pytest.mark.parametrize("new", [False, True])
def test_no_token_is_made_that_could_not_be_kept(stub: WireStub, tmp_path: Path, new: bool) -> None:
    dhan = Dhan()
    stub.default = dhan
    with pytest.raises(NoKeyring, match="DHAN_ACCESS_TOKEN"):
        log_in(ways(stub, tmp_path, NO_RING), None, new=new)
    assert dhan.made == 0


def test_without_a_keyring_a_given_token_is_checked_and_the_way_out_is_told(stub: WireStub, tmp_path: Path) -> None:
    stub.default = Dhan("given")
    told = log_in(ways(stub, tmp_path, NO_RING), "given", now=lambda: NOW + timedelta(days=2))
    assert told["token"] == "good" and told["ends_at"] is None  # the profile's end is over, yet the token is taken
    assert str(told["kept_in"]).startswith("not kept: no keyring")


def test_the_given_token_is_read_only_where_it_is_used() -> None:
    assert given_token(Secrets(dhan_access_token="abc")) == "abc"
    assert given_token(Secrets()) is None


@pytest.fixture
def dhan_here(stub: WireStub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[WireStub]:
    former = keyring.get_keyring()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "workbench.yaml").touch()  # the settings of this folder, not those of the checkout
    monkeypatch.setenv("WORKBENCH_DHAN_URL", stub.url.removesuffix("/v2"))
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("DHAN_CLIENT_ID", CLIENT)
    yield stub
    keyring.set_keyring(former)


def test_the_command_logs_in_and_prints_no_secret(
    dhan_here: WireStub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DHAN_PIN", "482913")
    monkeypatch.setenv("DHAN_TOTP_SECRET", SECRET)
    dhan_here.default, ring = Dhan(), Ring()
    keyring.set_keyring(ring)
    assert main(["login", "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["token"] == "good"
    assert TokenStore(CLIENT, ring).read() == "made-1"
    assert main(["login", "--new"]) == 2
    again, refused = capsys.readouterr()
    assert "once in two minutes" in refused
    shown = out + err + again + refused
    assert not any(secret in shown for secret in ("482913", SECRET, "made-1", CLIENT))


def test_the_command_names_the_way_out_where_nothing_is_set(
    dhan_here: WireStub, capsys: pytest.CaptureFixture[str]
) -> None:
    keyring.set_keyring(Ring())
    assert main(["login"]) == 2
    assert "set DHAN_ACCESS_TOKEN" in capsys.readouterr().err
    assert not dhan_here.requests


def test_a_token_written_into_the_settings_of_a_running_process_is_found(dhan_here: WireStub, tmp_path: Path) -> None:
    dhan_here.default = Dhan("written-down")
    running = ways(dhan_here, tmp_path, NO_RING)
    assert running.elsewhere("ours") is None
    (tmp_path / ".env").write_text("DHAN_ACCESS_TOKEN=written-down\n", encoding="utf-8")
    found = running.elsewhere("ours")
    assert found is not None and found.value == "written-down"
    (tmp_path / "workbench.yaml").write_text("half: [", encoding="utf-8")
    assert running.elsewhere("ours") is None


@pytest.mark.parametrize("half_written", [b"DHAN_ACCESS_TOKEN=caf\xe9", None])
def test_settings_that_cannot_be_read_just_now_give_no_token_and_no_error(
    stub: WireStub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, half_written: bytes | None
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "workbench.yaml").write_text("", encoding="utf-8")
    if half_written is None:
        (tmp_path / "workbench.yaml").write_text("dahn: {}", encoding="utf-8")
    else:
        (tmp_path / ".env").write_bytes(half_written)
    ways = token_ways(Secrets(dhan_client_id=CLIENT), tmp_path, rest=stub.url, auth=stub.url)
    ways.store = TokenStore(CLIENT, NO_RING)
    assert ways.elsewhere("present") is None

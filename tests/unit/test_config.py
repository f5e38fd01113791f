"""Settings: what is refused, what wins, and what is never shown."""

from __future__ import annotations

from datetime import time
from decimal import Decimal
from pathlib import Path

import pytest
from pydantic import ValidationError

from workbench import config
from workbench.config import Config, Mode, data_dir, load
from workbench.core.errors import BadInput, UnknownName

ROOT = Path(__file__).resolve().parents[2]


def written(folder: Path, text: str) -> Path:
    file = folder / "workbench.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def test_the_shipped_file_says_what_the_defaults_say() -> None:
    assert load(ROOT / "workbench.yaml", env={}).model_dump() == Config().model_dump()


def test_without_a_file_the_defaults_are_safe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(config, "_ROOT", tmp_path)
    found = load(env={})
    assert (found.trading.mode, found.dhan.dry_run) == (Mode.PRACTICE, True)
    assert found.secrets.dhan_access_token is None


def test_the_file_of_the_working_folder_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path, "risk:\n  max_trades_per_day: 3\n")
    monkeypatch.chdir(tmp_path)
    assert load(env={}).risk.max_trades_per_day == 3


def test_values_are_read_as_what_they_mean(tmp_path: Path) -> None:
    text = (
        'risk:\n  max_daily_loss: 2500.50\n  capital: 100000\ntrading:\n  mode: paper\n  square_off_at: "15:20"\n'
        "strategy:\n  parameters: {fast: 9, slow: 21}\n"
    )
    found = load(written(tmp_path, text), env={})
    assert found.risk.max_daily_loss == Decimal("2500.50")
    assert found.risk.capital == Decimal(100000)
    assert found.trading.mode is Mode.PAPER
    assert found.trading.square_off_at == time(15, 20)
    assert found.strategy.parameters == {"fast": 9, "slow": 21}


def test_limits_of_a_deployment_may_be_narrower_and_have_windows_of_their_own(tmp_path: Path) -> None:
    text = (
        "risk:\n  deployments:\n    SCALP_ATM:\n      max_daily_loss: 3000\n      min_premium: 20\n"
        '      no_entry_windows: [["12:00", "13:00"]]\n'
    )
    own = load(written(tmp_path, text), env={}).risk.deployments["SCALP_ATM"]
    assert (own.max_daily_loss, own.min_premium, own.max_premium) == (Decimal(3000), Decimal(20), None)
    assert own.no_entry_windows == ((time(12), time(13)),)


def test_an_empty_file_and_an_empty_section_mean_the_defaults(tmp_path: Path) -> None:
    assert load(written(tmp_path, ""), env={}) == Config()
    assert load(written(tmp_path, "risk:\n"), env={}) == Config()


def test_a_misspelt_key_is_refused_with_the_near_one(tmp_path: Path) -> None:
    file = written(tmp_path, "risk:\n  max_daily_los: 1\n")
    with pytest.raises(UnknownName, match=r"'max_daily_los'; did you mean 'max_daily_loss'\?") as refused:
        load(file, env={})
    assert str(file) in str(refused.value)


def test_a_misspelt_section_is_refused_with_the_near_one(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match=r"'riks'; did you mean 'risk'\?"):
        load(written(tmp_path, "riks:\n  capital: 1\n"), env={})


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("risk:\n  max_daily_loss: 1\n  max_daily_loss: 9\n", "'max_daily_loss' stands twice .again in line 3"),
        ("risk: {}\nrisk: {}\n", "'risk' stands twice"),
        ("trading:\n  square_off_at: 15:10\n", "trading.square_off_at: write a time in quotes"),
        ("trading:\n  no_entry_before: '09:20'\n  no_entry_after: '09:00'\n", "no_entry_before < no_entry_after"),
        ("trading:\n  mode: real\n", "trading.mode: .*'practice', 'paper' or 'live'"),
        ("trading:\n  enabled: 1\n", "trading.enabled"),
        ("risk:\n  max_trades_per_day: true\n", "risk.max_trades_per_day"),
        ("risk:\n  max_trades_per_day: 2.5\n", "risk.max_trades_per_day"),
        ("risk:\n  max_trades_per_day: -1\n", "risk.max_trades_per_day"),
        ("risk:\n  max_daily_loss: true\n", "a number is wanted"),
        ("risk:\n  max_daily_loss: .nan\n", "risk.max_daily_loss"),
        ("risk:\n  max_daily_loss: .inf\n", "risk.max_daily_loss"),
        ("risk:\n  max_daily_loss: 0\n", "risk.max_daily_loss"),
        ("risk:\n  risk_per_trade_pct: 101\n", "risk.risk_per_trade_pct"),
        ("risk:\n  min_premium: 50\n  max_premium: 10\n", "min_premium is above max_premium"),
        ("server:\n  engine_port: 8501\n", "three different ports"),
        ("server:\n  engine_port: 70000\n", "server.engine_port"),
        ("risk:\n  deployments:\n    A: {max_trades_per_day: 21}\n", "deployments.A.max_trades_per_day: 21 is wider"),
        ("risk:\n  deployments:\n    A: {min_premium: 4}\n", "deployments.A.min_premium: 4 is wider"),
        ("risk:\n  deployments:\n    A: {max_trade: 4}\n", "risk.deployments.A.max_trade"),
        ('trading:\n  no_entry_windows: [["13:00", "12:00"]]\n', "its begin first"),
        ("trading:\n  no_entry_windows: [[12:00, 13:00]]\n", "write a time in quotes"),
        ("risk: 5\n", "risk must hold keys and values"),
        ("- risk\n", "holds no sections"),
        ("risk: [\n", "is not YAML"),
    ],
)
def test_a_bad_value_is_refused_where_it_stands(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(BadInput, match=reason):
        load(written(tmp_path, text), env={})


def test_a_file_that_was_named_must_exist(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"cannot read .*nowhere\.yaml"):
        load(tmp_path / "nowhere.yaml", env={})


def test_a_file_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "workbench.yaml"
    file.write_bytes(b"risk: \xff\n")
    with pytest.raises(BadInput, match="not UTF-8"):
        load(file, env={})


def test_the_byte_order_mark_of_windows_editors_is_no_part_of_a_name(tmp_path: Path) -> None:
    assert load(written(tmp_path, "\ufeffrisk:\n  max_trades_per_day: 4\n"), env={}).risk.max_trades_per_day == 4


def test_secrets_come_from_the_file_beside_and_the_environment_wins(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(
        "DHAN_CLIENT_ID=1000\nDHAN_ACCESS_TOKEN=old\nWORKBENCH_ADMIN_TOKEN=\n", encoding="utf-8"
    )
    secrets = load(written(tmp_path, ""), env={"DHAN_ACCESS_TOKEN": "new"}).secrets
    assert secrets.dhan_client_id is not None
    assert secrets.dhan_access_token is not None
    assert secrets.dhan_client_id.get_secret_value() == "1000"
    assert secrets.dhan_access_token.get_secret_value() == "new"
    assert secrets.admin_token is None


def test_a_secret_is_in_no_text_of_a_config(tmp_path: Path) -> None:
    found = load(written(tmp_path, ""), env={"DHAN_ACCESS_TOKEN": "eyJhbGciOi"})
    shown = f"{found!r} {found} {found.secrets!r} {found.model_dump()} {found.model_dump_json()}"
    assert "eyJhbGciOi" not in shown


def test_an_error_shows_no_value_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(BadInput) as refused:
        load(written(tmp_path, "trading:\n  mode: eyJhbGciOi\n"), env={})
    assert "eyJhbGciOi" not in str(refused.value)


def test_ports_of_the_environment_win(tmp_path: Path) -> None:
    found = load(written(tmp_path, "server:\n  engine_port: 9000\n"), env={"WORKBENCH_ENGINE_PORT": "9100"})
    assert (found.server.engine_port, found.server.panel_port, found.server.simulator_port) == (9100, 8501, 8800)


@pytest.mark.parametrize("text", ["http", "-1", "8.5", "٣"])
def test_a_port_that_is_no_number_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(BadInput, match="WORKBENCH_PANEL_PORT"):
        load(written(tmp_path, ""), env={"WORKBENCH_PANEL_PORT": text})


def test_a_config_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        Config().risk.max_trades_per_day = 99  # type: ignore[misc]


def test_the_data_folder_is_named_by_the_environment(tmp_path: Path) -> None:
    assert data_dir({"WORKBENCH_DATA": str(tmp_path / "mine")}) == (tmp_path / "mine").resolve()


def test_the_data_folder_of_a_checkout_is_its_own() -> None:
    assert data_dir({}) == ROOT / "data"
    assert data_dir({"WORKBENCH_DATA": " "}) == ROOT / "data"


def test_outside_of_a_checkout_the_data_folder_is_in_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(config, "_ROOT", tmp_path / "site-packages")
    assert data_dir({}) == Path.cwd() / "data"


@pytest.mark.parametrize("name", ["WORKBENCH_DHAN_URL", "WORKBENCH_DATA"])
def test_i6_what_only_the_environment_can_say_is_not_passed_over_in_the_env_file(tmp_path: Path, name: str) -> None:
    file = tmp_path / "workbench.yaml"
    file.write_text("", encoding="utf-8")
    (tmp_path / ".env").write_text(f"{name}=http://127.0.0.1:8801\n", encoding="utf-8")
    with pytest.raises(BadInput, match=f"{name} stands in .*environment alone"):
        load(file, env={})
    load(file, env={name: "http://127.0.0.1:8802"})

"""What the user may set: ``workbench.yaml`` for choices, the environment or ``.env`` for secrets and places.

Everything is checked when it is read, so that a slip of the pen stops the start and not the trade: an unknown or
repeated key is refused with the nearest known one, a time must be quoted (YAML reads a bare ``15:10`` as the number
910), a count is no truth value. Without a file the defaults hold, and they are safe: practice mode, dry run, no secret.

Invariant: a loaded `Config` is complete, valid and frozen, and neither its ``repr`` nor an error shows a secret.
"""

from __future__ import annotations

import os
from collections.abc import Hashable, Mapping
from datetime import time
from decimal import Decimal
from enum import StrEnum
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import yaml
from dotenv import dotenv_values
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)

from workbench.core.deployment import is_wider
from workbench.core.errors import BadInput, UnknownName

FILE_NAME = "workbench.yaml"
_ROOT = Path(__file__).resolve().parents[1]


class Mode(StrEnum):
    """Where orders go: a simulated market, the live market without orders to Dhan, or Dhan."""

    PRACTICE = "practice"
    PAPER = "paper"
    LIVE = "live"


def _quoted_time(value: object) -> object:
    # PyYAML follows YAML 1.1, where 15:10 is a base-60 number; pydantic would read 910 as ten past midnight.
    if not isinstance(value, str | time):
        raise ValueError('write a time in quotes, as in "15:10"')
    return value


def _no_truth_value(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("a number is wanted, not true or false")
    return value


def _begin_before_end(windows: tuple[tuple[time, time], ...]) -> tuple[tuple[time, time], ...]:
    if any(not begin < end for begin, end in windows):
        raise ValueError('write a window as ["12:00", "13:00"], its begin first')
    return windows


MarketTime = Annotated[time, BeforeValidator(_quoted_time)]
Count = Annotated[int, Field(strict=True, ge=0)]
Port = Annotated[int, Field(strict=True, ge=1, le=65535)]
Seconds = Annotated[float, BeforeValidator(_no_truth_value), Field(gt=0, allow_inf_nan=False)]
Rupees = Annotated[Decimal, BeforeValidator(_no_truth_value), Field(gt=0, allow_inf_nan=False)]
Points = Rupees
Percent = Annotated[Decimal, BeforeValidator(_no_truth_value), Field(gt=0, le=100, allow_inf_nan=False)]
Share = Annotated[Decimal, BeforeValidator(_no_truth_value), Field(gt=0, le=1000, allow_inf_nan=False)]
Windows = Annotated[tuple[tuple[MarketTime, MarketTime], ...], AfterValidator(_begin_before_end)]
Switch = Annotated[bool, Field(strict=True)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class DhanSection(_Section):
    """How we talk to Dhan; who we are stands in the environment.

    `allow_super_orders` lets live deployments use `protection: super_order`: nobody has recorded what Dhan really
    answers about one.
    """

    timeout_s: Seconds = 5.0
    dry_run: Switch = True
    allow_super_orders: Switch = False


class DeploymentRisk(_Section):
    """Limits of one deployment, counted over what it does itself; a limit that is not given is the account's."""

    max_trades_per_day: Count | None = None
    max_daily_loss: Rupees | None = None
    risk_per_trade_pct: Percent | None = None
    min_premium: Rupees | None = None
    max_premium: Rupees | None = None
    max_open_premium: Rupees | None = None
    max_lots_per_entry: Count | None = None
    max_open_lots: Count | None = None
    max_entries_per_minute: Count | None = None
    cooling_off_minutes: Count | None = None
    max_spread_pct: Percent | None = None
    max_spread_ticks: Count | None = None
    min_depth_pct: Share | None = None
    max_price_gap_pct: Percent | None = None
    max_alert_age_s: Seconds | None = None
    max_quote_age_s: Seconds | None = None
    no_entry_before: MarketTime | None = None
    no_entry_after: MarketTime | None = None
    no_entry_windows: Windows = ()


class RiskSection(_Section):
    """Limits that may refuse an entry and never an exit; money in rupees, ages in seconds.

    `deployments` holds those of single deployments, which may be narrower than the account's and never wider. What they
    mean stands in `workbench.core.deployment.Limits`.
    """

    max_trades_per_day: Count = 20
    max_daily_loss: Rupees = Decimal(10000)
    risk_per_trade_pct: Percent = Decimal(1)
    capital: Rupees | None = None
    min_premium: Rupees = Decimal(5)
    max_premium: Rupees = Decimal(1000)
    max_open_premium: Rupees | None = Decimal(200000)
    max_lots_per_entry: Count | None = 20
    max_open_lots: Count | None = 40
    max_positions_per_symbol: Count | None = None
    max_entries_per_minute: Count | None = 30
    cooling_off_minutes: Count | None = None
    max_spread_pct: Percent | None = Decimal(5)
    max_spread_ticks: Count | None = 4
    min_depth_pct: Share | None = Decimal(25)
    max_price_gap_pct: Percent | None = Decimal(2)
    max_alert_age_s: Seconds = 60.0
    max_quote_age_s: Seconds = 5.0
    deployments: dict[str, DeploymentRisk] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _premiums_in_order(self) -> RiskSection:
        if self.min_premium > self.max_premium:
            raise ValueError("min_premium is above max_premium: no option could ever be bought")
        return self

    @model_validator(mode="after")
    def _never_wider(self) -> RiskSection:
        for name, own in self.deployments.items():
            for key in DeploymentRisk.model_fields:
                if key in RiskSection.model_fields and is_wider(key, getattr(self, key), getattr(own, key)):
                    raise ValueError(
                        f"deployments.{name}.{key}: {getattr(own, key)} is wider than the account's "
                        f"{getattr(self, key)}; a deployment may be narrower only"
                    )
        return self


class StrategySection(_Section):
    """The strategy that practice starts with; the parameters are checked by the strategy itself."""

    name: str = "ema_cross"
    symbol: str = "NIFTY"
    interval: str = "5m"
    lots: Annotated[int, Field(strict=True, ge=1)] = 1
    stop_points: Points = Decimal(15)
    target_points: Points = Decimal(30)
    parameters: dict[str, bool | int | float | str] = Field(default_factory=dict)


class TradingSection(_Section):
    """Whether and when to trade; times are Indian market time.

    Without a time the session and the plan decide: positions are left four minutes before the broker would.
    """

    mode: Mode = Mode.PRACTICE
    enabled: Switch = True
    no_entry_before: MarketTime | None = None
    no_entry_after: MarketTime | None = None
    no_entry_windows: Windows = ()
    square_off_at: MarketTime | None = None

    @model_validator(mode="after")
    def _times_in_order(self) -> TradingSection:
        given = [each for each in (self.no_entry_before, self.no_entry_after, self.square_off_at) if each is not None]
        if any(not earlier < later for earlier, later in pairwise(given)):
            raise ValueError("wanted: no_entry_before < no_entry_after < square_off_at")
        return self


class ServerSection(_Section):
    """Ports on 127.0.0.1; WORKBENCH_ENGINE_PORT, WORKBENCH_PANEL_PORT and WORKBENCH_SIMULATOR_PORT come first."""

    engine_port: Port = 8700
    panel_port: Port = 8501
    simulator_port: Port = 8800

    @model_validator(mode="after")
    def _ports_differ(self) -> ServerSection:
        if len({self.engine_port, self.panel_port, self.simulator_port}) < 3:
            raise ValueError("engine, panel and simulator need three different ports")
        return self


class Secrets(_Section):
    """What must never be printed, logged or stored; ``None`` when not set."""

    dhan_client_id: SecretStr | None = None
    dhan_access_token: SecretStr | None = None
    dhan_pin: SecretStr | None = None
    dhan_totp_secret: SecretStr | None = None
    notify_urls: SecretStr | None = None
    admin_token: SecretStr | None = None


class Config(_Section):
    """All settings of one run, as `load` gives them."""

    dhan: DhanSection = DhanSection()
    risk: RiskSection = RiskSection()
    strategy: StrategySection = StrategySection()
    trading: TradingSection = TradingSection()
    server: ServerSection = ServerSection()
    secrets: Secrets = Field(default=Secrets(), exclude=True)


_SECTIONS = ("dhan", "risk", "strategy", "trading", "server")
_PORTS = {
    "engine_port": "WORKBENCH_ENGINE_PORT",
    "panel_port": "WORKBENCH_PANEL_PORT",
    "simulator_port": "WORKBENCH_SIMULATOR_PORT",
}
_ENVIRONMENT_ONLY = ("WORKBENCH_DHAN_URL", "WORKBENCH_DATA")
_SECRETS = {
    "dhan_client_id": "DHAN_CLIENT_ID",
    "dhan_access_token": "DHAN_ACCESS_TOKEN",
    "dhan_pin": "DHAN_PIN",
    "dhan_totp_secret": "DHAN_TOTP_SECRET",
    "notify_urls": "WORKBENCH_NOTIFY_URLS",
    "admin_token": "WORKBENCH_ADMIN_TOKEN",
}


def load(path: Path | None = None, *, env: Mapping[str, str] | None = None) -> Config:
    """Read settings and secrets.

    Parameters
    ----------
    path : Path, optional
        The YAML file. Without one: ``workbench.yaml`` of the working folder, else of the checkout, else the defaults.
    env : Mapping, optional
        The environment, ``os.environ`` by default; it wins over the ``.env`` beside the YAML file.

    Raises
    ------
    UnknownName
        A section or key that does not exist; the message names the nearest.
    BadInput
        The file is missing, is not YAML, repeats a key, or holds a value that cannot be used.
    """
    source = path if path is not None else _find_file()
    document = {} if source is None else _read(source)
    where = FILE_NAME if source is None else str(source)
    values = _effective_env(source, os.environ if env is None else env)
    sections = {name: _section(document, name, where) for name in _SECTIONS}
    for field, variable in _PORTS.items():
        if variable in values:
            sections["server"][field] = _port(variable, values[variable])
    secrets = {field: values[variable] for field, variable in _SECRETS.items() if variable in values}
    try:
        return Config.model_validate({**sections, "secrets": secrets})
    except ValidationError as error:
        raise _explain(error, where) from None


def data_dir(env: Mapping[str, str] | None = None) -> Path:
    """Give the user's data folder: WORKBENCH_DATA, else ``data`` of the checkout, else of the working folder.

    The folder need not exist yet.
    """
    named = (os.environ if env is None else env).get("WORKBENCH_DATA", "").strip()
    if named:
        return Path(named).expanduser().resolve()
    return (_ROOT if _is_checkout(_ROOT) else Path.cwd()) / "data"


def _is_checkout(folder: Path) -> bool:
    return (folder / "pyproject.toml").is_file()


def _find_file() -> Path | None:
    candidates = [Path.cwd() / FILE_NAME]
    if _is_checkout(_ROOT):
        candidates.append(_ROOT / FILE_NAME)
    return next((file for file in candidates if file.is_file()), None)


class _Loader(yaml.SafeLoader):
    """YAML's safe loader, but a key given twice is refused: the last one would win in silence."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key_node, _ in node.value:
            if key_node.value in seen:
                line = key_node.start_mark.line + 1
                raise BadInput(f"{key_node.value!r} stands twice (again in line {line}); keep one of them")
            seen.add(key_node.value)
        return super().construct_mapping(node, deep)


def _read(file: Path) -> dict[str, Any]:
    try:
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise BadInput(f"cannot read {file}: {error.strerror}; copy {FILE_NAME} of the project there") from None
    except UnicodeDecodeError:
        raise BadInput(f"{file} is not UTF-8 text; save it as UTF-8") from None
    try:
        document = yaml.load(text, Loader=_Loader)  # noqa: S506 - a subclass of the safe loader
    except yaml.YAMLError as error:
        raise BadInput(f"{file} is not YAML: {error}") from None
    except BadInput as error:
        raise BadInput(f"{file}: {error}") from None
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise BadInput(f"{file} holds no sections; wanted at the top: {', '.join(_SECTIONS)}")
    for name in document:
        if name not in _SECTIONS:
            raise UnknownName(f"section in {file}", str(name), _SECTIONS)
    return document


def _section(document: Mapping[str, Any], name: str, where: str) -> dict[str, Any]:
    content = document.get(name)
    if content is None:  # the section is absent, or only its name stands there
        return {}
    if not isinstance(content, dict):
        raise BadInput(f"{where}: {name} must hold keys and values, one a line, indented")
    section: type[BaseModel] = Config.model_fields[name].annotation  # type: ignore[assignment]
    for key in content:
        if key not in section.model_fields:
            raise UnknownName(f"setting of {name} in {where}", str(key), section.model_fields)
    return dict(content)


def _effective_env(source: Path | None, env: Mapping[str, str]) -> dict[str, str]:
    beside = (source.parent if source is not None else Path.cwd()) / ".env"
    stored = dotenv_values(beside, encoding="utf-8") if beside.is_file() else {}
    for name in _ENVIRONMENT_ONLY:
        if (stored.get(name) or "").strip() and not env.get(name, "").strip():
            # Passed over in silence, a rehearsal would be at Dhan, and a trial in the folder of the real account.
            raise BadInput(f"{name} stands in {beside} and is read from the environment alone; set it there")
    merged = {**stored, **env}
    return {name: value.strip() for name, value in merged.items() if value is not None and value.strip()}


def _port(variable: str, text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise BadInput(f"{variable}={text!r} is no port; give a whole number from 1 to 65535")
    return int(text)


def _explain(error: ValidationError, where: str) -> BadInput:
    lines = []
    for problem in error.errors(include_input=False, include_url=False):
        key = ".".join(str(part) for part in problem["loc"])
        lines.append(f"{key}: {problem['msg'].removeprefix('Value error, ')}")
    return BadInput(f"{where}: " + "; ".join(lines))

"""Deployments on disk: one folder each below ``<data>/promotions``, one JSON file that says what runs.

Invariant: a deployment is never half written, and its alert secret is kept as a SHA-256 only.
"""

import json
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from workbench import strategies
from workbench.config import RiskSection, StrategySection
from workbench.core.contracts import ContractTable
from workbench.core.deployment import Deployment, OwnLimits, webhook_path
from workbench.core.errors import BadInput, CorruptData, UnknownName
from workbench.core.plan import NAMED_PLANS, Contract, Distance, Exits, Plan, plan_from_mapping, plan_to_mapping
from workbench.core.plan_checks import without_stop
from workbench.reference import contract_table

NAME = re.compile(r"[A-Za-z0-9_-]{1,40}")
FILE = "deployment.json"


def folder(data: Path) -> Path:
    """Folder of all promotions."""
    return data / "promotions"


def load_all(data: Path) -> tuple[Deployment, ...]:
    """Read every deployment, by name."""
    return tuple(_read(path) for path in sorted(folder(data).glob(f"*/{FILE}")))


def load(data: Path, name: str) -> Deployment:
    """Read one deployment; an unknown name is refused with the nearest one."""
    found = {item.name: item for item in load_all(data)}
    if name not in found:
        raise UnknownName("deployment", name, found)
    return found[name]


def save(data: Path, deployment: Deployment) -> Path:
    """Write one deployment (first beside, then in place)."""
    if not NAME.fullmatch(deployment.name):
        raise BadInput(f"deployment name {deployment.name!r}: use 1 to 40 letters, digits, - and _")
    target = folder(data) / deployment.name / FILE
    target.parent.mkdir(parents=True, exist_ok=True)
    body = {
        "name": deployment.name,
        "symbol": deployment.symbol,
        "strategy": deployment.strategy,
        "parameters": deployment.parameters,
        "interval": deployment.interval,
        "plan": plan_to_mapping(deployment.plan),
        "account": deployment.account,
        "webhook_link": deployment.webhook_link,
        "key_sha256": deployment.key_sha256,
        "strategy_hash": deployment.strategy_hash,
    }
    scratch = target.with_suffix(".part")
    scratch.write_text(json.dumps(body, indent=2) + "\n", encoding="utf-8")
    scratch.replace(target)
    return target


def save_keeping_address(data: Path, deployment: Deployment) -> Deployment:
    """Write a deployment under the webhook link and alert key that its name had before, or a new link; give it."""
    known = {item.name: item for item in load_all(data)}.get(deployment.name)
    kept = replace(
        deployment,
        webhook_link=known.webhook_link if known is not None else new_link(deployment.name),
        key_sha256=known.key_sha256 if known is not None else "",
    )
    save(data, kept)
    return kept


def refuse_alert_driven(data: Path, deployment: Deployment, contracts: ContractTable) -> None:
    """Refuse a deployment that only alerts drive and that could not trade, with the way out.

    Raises
    ------
    BadInput
        Options without a stop, a name that a strategy's deployment has, or an account beyond practice before there is
        a key.
    UnknownName
        Nobody lists derivatives on its symbol.
    """
    name, plan = deployment.name, deployment.plan
    if not NAME.fullmatch(name):
        raise BadInput(f"deployment name {name!r}: use 1 to 40 letters, digits, - and _")
    if bare := without_stop(plan):
        raise BadInput(bare)
    if plan.contract is not Contract.UNDERLYING:
        contracts.underlying(deployment.symbol)
    known = {item.name: item for item in load_all(data)}.get(name)
    if known is not None and known.strategy is not None:
        raise BadInput(f"{name} is the deployment of strategy {known.strategy}; give this one another name")
    if deployment.account == "practice":
        return
    if plan.is_synthetic:
        raise BadInput(f"{name} would trade the index as if it were a future, which nobody can buy; use practice")
    if known is None or not known.key_sha256:
        raise BadInput(
            f"{name} has no alert key yet, and {deployment.account} takes no alert without one: promote it to "
            f"practice, then workbench deployments {name} --new-key --account {deployment.account}"
        )


def not_in_practice(deployment: Deployment) -> str:
    """Say why practice leaves a deployment out, or "": its market has indices and their contracts, and no shares."""
    known = [each.symbol for each in contract_table().underlyings]
    if deployment.account != "practice" or deployment.symbol in known:
        return ""
    return (
        f"{deployment.name} is left out: practice has no market of {deployment.symbol}, only of {', '.join(known)}; "
        f"try it on paper (workbench deployments {deployment.name} --account paper)"
    )


def new_link(name: str) -> str:
    """Make a routing name for a webhook; it is not a secret, but nobody guesses it."""
    return f"{name.lower()}-{secrets.token_urlsafe(9)}"


def read_plan(name_or_file: str | None, data: Path) -> Plan:
    """Give a plan by name, by the name of a deployment, or from a file; None is the index as a future, by signals only.

    Raises
    ------
    BadInput
        No such plan, or a file that calls a plan of its own by the name of one that comes with the workbench.
    """
    if name_or_file is None:
        return NAMED_PLANS["index_as_future"]
    if name_or_file in NAMED_PLANS:
        return NAMED_PLANS[name_or_file]
    path = Path(name_or_file)
    if not path.suffix:
        traded = {item.name: item.plan for item in load_all(data)}
        if name_or_file not in traded:
            raise UnknownName("plan", name_or_file, {*NAMED_PLANS, *traded})
        return traded[name_or_file]
    if not path.is_file():
        raise BadInput(f"plan file {path} does not exist; give a file or one of {', '.join(sorted(NAMED_PLANS))}")
    import yaml

    try:
        body = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except yaml.YAMLError as error:
        raise BadInput(f"{path} is not YAML: {error}") from None
    if not isinstance(body, Mapping):
        raise BadInput(f"{path}: expected keys of a plan, such as 'contract: option'")
    plan = plan_from_mapping({"name": path.stem, **body})
    if _borrows_a_name(plan):
        raise BadInput(f"{path}: plan {plan.name!r} comes with the workbench and is another; give yours a name")
    return plan


def _borrows_a_name(plan: Plan) -> bool:
    return plan != NAMED_PLANS.get(plan.name, plan)


def limited(chosen: Sequence[Deployment], data: Path, risk: RiskSection) -> tuple[Deployment, ...]:
    """Give deployments with the limits that ``workbench.yaml`` sets for them.

    Raises
    ------
    UnknownName
        It names a deployment that does not exist on any account: a slip that would leave one without its limits.
    """
    names = {item.name for item in load_all(data)} | {item.name for item in chosen}
    for name in risk.deployments:
        if name not in names:
            raise UnknownName("deployment in risk.deployments of workbench.yaml", name, names)
    given = {name: OwnLimits(**dict(own)) for name, own in risk.deployments.items()}
    return tuple(replace(item, limits=given[item.name]) if item.name in given else item for item in chosen)


def ensure_practice(data: Path, settings: StrategySection) -> None:
    """Lay down the two deployments that practice comes with, where they do not exist: one of a strategy, one of alerts.

    Parameters
    ----------
    settings : StrategySection
        The section `strategy` of ``workbench.yaml``.
    """
    existing = {item.name for item in load_all(data)}
    built, name = strategies.build(settings.name, settings.parameters), f"{settings.name}_atm".upper()
    exits = Exits(stop=Distance(points=settings.stop_points), target=Distance(points=settings.target_points))
    wanted = (
        Deployment(
            name="SCALP_ATM",
            symbol="NIFTY",
            plan=NAMED_PLANS["scalp_atm"],
            interval="1m",
            webhook_link=new_link("SCALP_ATM"),
        ),
        Deployment(
            name=name,
            symbol=settings.symbol,
            strategy=settings.name,
            parameters=dict(built.parameters()),
            plan=replace(NAMED_PLANS["atm_option"], name=name, exits=exits, lots=settings.lots),
            interval=settings.interval,
            webhook_link=new_link(settings.name),
            strategy_hash=strategies.code_hash(type(built)),
        ),
    )
    for deployment in wanted:
        if deployment.name not in existing:
            save(data, deployment)


def public_view(deployment: Deployment, engine_url: str) -> dict[str, Any]:
    """What `workbench deployments` and the API tell of a deployment."""
    return {
        "name": deployment.name,
        "strategy": deployment.strategy or "alerts",
        "symbol": deployment.symbol,
        "interval": deployment.interval,
        "account": deployment.account,
        "plan": plan_to_mapping(deployment.plan),
        "parameters": deployment.parameters,
        "webhook_url": engine_url + webhook_path(deployment),
        "key_set": bool(deployment.key_sha256),
    }


def _read(path: Path) -> Deployment:
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
        plan = plan_from_mapping(body.pop("plan"))
        if _borrows_a_name(plan):
            # What is replayed under a name is what trades under it: a changed plan goes by its deployment's.
            plan = replace(plan, name=body["name"])
        return Deployment(plan=plan, **body)
    except (ValueError, TypeError, KeyError) as error:
        raise CorruptData(f"{path} does not read as a deployment ({error}); promote it again") from error

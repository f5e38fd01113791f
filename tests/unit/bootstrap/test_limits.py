"""From `workbench.yaml` to the limits that the gates ask: none is lost on the way."""

from __future__ import annotations

from dataclasses import fields, replace
from decimal import Decimal
from pathlib import Path

import pytest

from tests.unit.core.builders import scalp
from workbench.bootstrap import deployments as promoted
from workbench.bootstrap.practice import limits_of
from workbench.config import Config, DeploymentRisk, RiskSection, TradingSection
from workbench.core.deployment import Limits, OwnLimits
from workbench.core.errors import UnknownName


def test_every_limit_is_set_by_the_file_and_funds_are_always_needed() -> None:
    limits, told = limits_of(Config()), {**RiskSection.model_fields, **TradingSection.model_fields}
    for item in fields(Limits):
        if item.name == "needs_funds":
            assert limits.needs_funds
        else:
            assert item.name in told
    assert (limits.max_open_lots, limits.max_spread_pct, limits.max_quote_age_s) == (40, Decimal(5), 5.0)
    assert {item.name for item in fields(OwnLimits)} == set(DeploymentRisk.model_fields)


def test_a_deployment_gets_its_own_limits_and_the_others_none(tmp_path: Path) -> None:
    one, other = scalp("ONE"), scalp("OTHER")
    risk = RiskSection(deployments={"ONE": DeploymentRisk(max_trades_per_day=3, max_open_lots=2)})
    found = promoted.limited((one, other), tmp_path, risk)
    assert found == (replace(one, limits=OwnLimits(max_trades_per_day=3, max_open_lots=2)), other)


def test_a_deployment_of_another_account_may_be_named_and_one_that_does_not_exist_not(tmp_path: Path) -> None:
    promoted.save(tmp_path, scalp("PAPER_ONE"))
    assert promoted.load(tmp_path, "PAPER_ONE").limits == OwnLimits()
    risk = RiskSection(deployments={"PAPER_ONE": DeploymentRisk(max_trades_per_day=3)})
    assert promoted.limited((scalp("ONE"),), tmp_path, risk) == (scalp("ONE"),)
    with pytest.raises(UnknownName, match=r"'PAPER_ON'; did you mean 'PAPER_ONE'"):
        promoted.limited((), tmp_path, RiskSection(deployments={"PAPER_ON": DeploymentRisk()}))

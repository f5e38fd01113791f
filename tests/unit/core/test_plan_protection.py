"""What a plan may ask to rest at the broker, and what is refused with the way out."""

from __future__ import annotations

from typing import Any

import pytest

from workbench.core.errors import BadInput, UnknownName
from workbench.core.plan import Plan, ProtectionRule, plan_from_mapping, plan_to_mapping

BRACKET = {"stop": 15, "target": 30}


def test_a_plan_is_protected_by_its_stop_alone_unless_it_says_otherwise() -> None:
    assert Plan().protection is ProtectionRule.STOP_ONLY
    assert plan_from_mapping({"exits": BRACKET, "protection": "stop_only"}) == plan_from_mapping({"exits": BRACKET})


@pytest.mark.parametrize(
    "exits",
    [BRACKET, {"stop": "20%", "scale_out": [{"lots": 1, "at": 10}]}, {"target": 30, "underlying": {"stop": 40}}],
)
def test_a_target_beside_the_stop_is_read_and_written_back(exits: dict[str, Any]) -> None:
    plan = plan_from_mapping({"exits": exits, "protection": "stop_and_target"})
    assert plan.protection is ProtectionRule.STOP_AND_TARGET
    assert plan_from_mapping(plan_to_mapping(plan)) == plan


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"exits": {"stop": 15}}, "needs exits.stop and exits.target"),
        ({"exits": {"target": 15}}, "needs exits.stop and exits.target"),
        ({"exits": BRACKET, "contract": "index_as_future"}, "use stop_only"),
        ({"exits": BRACKET, "side": "SELL"}, "protected by their stops; use stop_only"),
        ({"exits": BRACKET, "strike": "premium_near 100"}, "use stop_only"),
        ({"exits": BRACKET, "protection": "super_order", "product": "MARGIN"}, "write product: INTRADAY"),
        ({"exits": BRACKET, "protection": "super_order", "pyramiding": 1}, "no scale_out and no pyramiding"),
        ({"exits": {"stop": 15}, "protection": "super_order"}, "needs exits.stop and exits.target"),
        ({"exits": BRACKET, "protection": "super_order", "contract": "index_as_future"}, "use stop_only"),
    ],
)
def test_what_cannot_rest_beside_a_stop_is_refused_with_the_way_out(body: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        plan_from_mapping({"protection": "stop_and_target", **body})


def test_a_misspelt_protection_is_refused_with_the_nearest() -> None:
    with pytest.raises(UnknownName, match="stop_and_target"):
        plan_from_mapping({"exits": BRACKET, "protection": "stop_and_targets"})

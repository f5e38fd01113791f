"""A day's master that lists a held contract otherwise is an alarm on that day."""

from __future__ import annotations

from dataclasses import replace

from tests.unit.core.builders import Stand, scalp
from workbench.bootstrap.held_contracts import tell_changes, tell_orphans
from workbench.core.position import PositionState
from workbench.data.instruments import InstrumentMaster
from workbench.notify import Notifier


def test_s13_another_lot_or_no_listing_of_what_is_held_is_an_alarm() -> None:
    position = Stand().protected()
    instrument = position.plan.instrument
    notifier = Notifier()
    assert tell_changes([position], InstrumentMaster([instrument]), notifier) == ()
    (lot,) = tell_changes([position], InstrumentMaster([replace(instrument, lot=75)]), notifier)
    assert "lots of 50; the day's master says 75" in lot
    (gone,) = tell_changes([position], InstrumentMaster([]), notifier)
    assert "does not list it" in gone
    assert [(item.level, item.text) for item in notifier.notices] == [("alarm", lot), ("alarm", gone)]


def test_what_waits_for_its_settlement_need_not_be_listed() -> None:
    position = replace(Stand().protected(), state=PositionState.EXPIRING)
    assert tell_changes([position], InstrumentMaster([]), Notifier()) == ()


def test_what_is_held_for_a_deployment_that_has_gone_is_an_alarm_with_the_way_to_leave_it() -> None:
    position, notifier = Stand().protected(), Notifier()
    assert tell_orphans([position], [scalp()], notifier) == ()
    (text,) = tell_orphans([position], [scalp(name="ANOTHER")], notifier)
    assert position.plan.deployment in text and f"workbench close {position.position_id}" in text
    assert [item.level for item in notifier.notices] == ["alarm"]

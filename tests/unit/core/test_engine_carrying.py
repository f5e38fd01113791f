"""What goes over into the next day beside positions: doubts of the account, a dead feed, and what legs have earned."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from tests.unit.core.builders import Stand, at, option
from tests.unit.core.legs_stand import LegsStand
from tests.unit.core.test_structures import STRADDLE
from workbench.core.book import Book
from workbench.core.codec import decode, encode
from workbench.core.instrument import Right, Segment
from workbench.core.messages import DayBegan, FeedChecked, OrderUpdated
from workbench.core.signal import Side


def next_day(stand: Stand, clock: str = "09:00:00") -> date:
    """Begin the next session's day, and see that its own events alone give the book."""
    following = stand.config.calendar.next_session(Segment.NSE_FNO, stand.now.date()).date
    before = len(stand.events)
    stand.now = at(clock, following)
    stand.tell(DayBegan(day=following))
    again = Book()
    again.apply_all(decode(encode(event)) for event in stand.events[before:])
    assert again == stand.book
    return following


def test_an_account_in_doubt_is_frozen_on_the_next_day_too() -> None:
    stand = Stand()
    stand.protected()
    stand.tell(OrderUpdated(order=replace(stand.row(stand.ticket("S"), 50, "104.5"), side=Side.BUY)))
    doubts = stand.book.frozen
    assert doubts
    next_day(stand)
    assert stand.book.frozen == doubts


def test_a_feed_that_is_dead_is_dead_on_the_next_day_until_it_is_seen_alive() -> None:
    stand = Stand()
    stand.tell(FeedChecked(alive=False, reason="no packet", age_s=9.0))
    next_day(stand)
    assert (stand.book.feed_alive, stand.book.feed_reason) == (False, "no packet")
    stand.tell(FeedChecked(alive=True, reason="", age_s=0.1))
    assert stand.book.feed_alive


def test_a_locked_profit_of_legs_that_could_not_be_left_is_known_on_the_next_day() -> None:
    stand = LegsStand({**STRADDLE, "combined": {"lock": {"after": 1000, "keep": "50%"}}})
    stand.stand()
    stand.option_price(option(15700), "80")
    stand.wait(61)
    locked, peak = stand.structure.stop, stand.structure.peak
    assert locked is not None and locked > 0 and peak
    stand.go_to("15:29:59")  # nobody answers: the legs are not left before the close
    next_day(stand)
    assert (stand.structure.stop, stand.structure.peak) == (locked, peak)


def test_why_legs_are_left_is_known_on_the_next_day() -> None:
    stand = LegsStand(STRADDLE)
    stand.stand()
    stand.option_price(option(15700), "160")
    stand.option_price(option(15700, Right.PE), "145")
    assert stand.structure.left_for == "combined_stop"  # and nobody answers the orders that leave
    next_day(stand)
    assert stand.structure.left_for == "combined_stop"

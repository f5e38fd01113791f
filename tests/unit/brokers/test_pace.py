"""Rate limits on a clock that is moved by waiting: what may leave when, and what is kept for exits."""

from __future__ import annotations

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.brokers.dhan.circuit import Circuit
from workbench.brokers.dhan.pace import DHAN_LIMITS, EXIT_PATIENCE_S, MARGIN_S, Bucket, Pace, Window


class Time:
    """Seconds that pass only in sleep."""

    def __init__(self) -> None:
        self.now = 1000.0

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds


def pace_of(time: Time, *windows: Window, bucket: Bucket = Bucket.ORDERS, scale: float = 1.0) -> Pace:
    limits = {bucket: windows} if windows else DHAN_LIMITS
    return Pace(limits, scale=scale, clock=time.clock, sleep=time.sleep)


def most_in(stamps: list[float], length_s: float) -> int:
    window: deque[float] = deque()
    most = 0
    for stamp in stamps:
        window.append(stamp)
        while stamp - window[0] >= length_s:
            window.popleft()
        most = max(most, len(window))
    return most


def test_entries_use_their_share_of_a_second_and_then_wait() -> None:
    time = Time()
    pace = pace_of(time)
    stamps = []
    for _ in range(50):
        assert pace.entry_turn() == ""
        stamps.append(time.now)
    assert most_in(stamps, 1.0) == 7
    assert stamps[6] == stamps[0]
    assert 50 / 7 - 1 < stamps[-1] - stamps[0] < 50 / 7 * (1 + MARGIN_S) + 1


def test_r2_an_exit_finds_room_at_once_while_entries_fill_their_share() -> None:
    time = Time()
    pace = pace_of(time)
    for _ in range(7):
        pace.entry_turn()
    began = time.now
    for _ in range(3):
        pace.exit_turn()
    assert time.now == began
    pace.exit_turn()
    assert time.now - began < 1.1


def test_an_entry_without_room_is_told_the_window_and_does_not_wait_for_nothing() -> None:
    time = Time()
    pace = pace_of(time)
    while not (reason := pace.entry_turn()):
        pass
    assert "rate limit of 175 orders in a minute (of 250; the rest is kept for exits)" in reason
    refused_at = time.now
    assert pace.entry_turn() != ""
    assert time.now == refused_at


@pytest.mark.parametrize("length_s", [3600.0, 86400.0])
def test_an_exit_in_a_spent_hour_or_day_goes_all_the_same(length_s: float) -> None:
    time = Time()
    pace = pace_of(time, Window(limit=10, length_s=length_s))
    for _ in range(10):
        pace.exit_turn()
    began = time.now
    pace.exit_turn()
    assert time.now == began
    assert "in an hour" in pace.entry_turn() or "in a day" in pace.entry_turn()


def test_an_exit_waits_for_a_minute_only_so_long() -> None:
    time = Time()
    pace = pace_of(time, Window(limit=10, length_s=60.0))
    for _ in range(10):
        pace.exit_turn()
    began = time.now
    pace.exit_turn()
    assert time.now - began == pytest.approx(EXIT_PATIENCE_S)


def test_what_exits_use_is_not_there_for_entries() -> None:
    time = Time()
    pace = pace_of(time)
    for _ in range(7):
        pace.exit_turn()
    began = time.now
    assert pace.entry_turn(patience_s=0.5) != ""
    assert pace.entry_turn() == ""
    assert time.now > began


@pytest.mark.parametrize(("bucket", "a_second"), [(Bucket.DATA, 5), (Bucket.QUOTE, 1), (Bucket.OTHER, 20)])
def test_reads_wait_in_a_bucket_of_their_own(bucket: Bucket, a_second: int) -> None:
    time = Time()
    pace = pace_of(time)
    stamps = []
    for _ in range(4 * a_second):
        assert pace.read_turn(bucket) == ""
        stamps.append(time.now)
    assert most_in(stamps, 1.0) == a_second
    # The limit's own pace is kept to within five parts in a hundred.
    assert (stamps[-1] - stamps[a_second - 1]) / 3 < 1 / 0.95
    began = time.now
    assert pace.entry_turn() == ""
    assert time.now == began


def test_a_read_that_left_late_is_counted_late() -> None:
    time = Time()
    pace = pace_of(time, bucket=Bucket.QUOTE)
    assert pace.read_turn(Bucket.QUOTE) == ""
    turn_at = time.now
    time.now += 0.4
    pace.left(Bucket.QUOTE, turn_at)
    assert pace.read_turn(Bucket.QUOTE) == ""
    assert time.now == pytest.approx(turn_at + 1.4 + MARGIN_S)


def test_the_same_chain_is_asked_once_in_three_seconds_and_another_at_once() -> None:
    time = Time()
    pace = pace_of(time)
    pace.read_turn(Bucket.DATA, unique="NIFTY")
    pace.read_turn(Bucket.DATA, unique="BANKNIFTY")
    assert time.now == 1000.0
    pace.read_turn(Bucket.DATA, unique="NIFTY")
    assert time.now == pytest.approx(1003.0 + MARGIN_S)


def test_a_read_that_would_wait_for_hours_is_refused_with_the_reason() -> None:
    time = Time()
    pace = pace_of(time, Window(limit=2, length_s=86400.0), bucket=Bucket.DATA)
    assert [pace.read_turn(Bucket.DATA) for _ in range(2)] == ["", ""]
    assert "rate limit of 2 data in a day" in pace.read_turn(Bucket.DATA)


def test_r2_a_refusal_by_the_broker_pauses_entries_and_halves_them_for_a_while() -> None:
    time = Time()
    pace = pace_of(time)
    pace.refused(Bucket.ORDERS, sent_at=time.now)
    began = time.now
    assert pace.entry_turn() == ""
    assert time.now - began == pytest.approx(1.0)
    stamps = []
    while time.now < began + 50:
        if pace.entry_turn() == "":
            stamps.append(time.now)
        else:
            time.sleep(1.0)
    assert most_in(stamps, 1.0) == 3
    time.sleep(120)
    stamps = [time.now for _ in range(20) if pace.entry_turn() == ""]
    assert most_in(stamps, 1.0) == 7


def test_r2_repeated_refusals_pause_for_longer_and_longer_and_exits_keep_trying() -> None:
    time = Time()
    pace = pace_of(time)
    pauses, exits = [], []
    for _ in range(6):
        pace.refused(Bucket.ORDERS, sent_at=time.now)
        began = time.now
        pace.exit_turn()
        exits.append(time.now - began)
        while pace.entry_turn(patience_s=0.0):
            time.sleep(0.5)
        pauses.append(time.now - began)
    assert [round(pause) for pause in pauses] == [1, 2, 4, 8, 16, 32]
    assert exits[0] == pytest.approx(0.25)
    assert max(exits) <= EXIT_PATIENCE_S + 0.01


def test_r2_exits_that_are_refused_for_an_hour_are_still_only_held_up_for_their_bound() -> None:
    time = Time()
    pace = pace_of(time)
    for _ in range(2400):
        began = time.now
        pace.exit_turn()
        assert time.now - began <= EXIT_PATIENCE_S
        time.sleep(0.01)
        pace.refused(Bucket.ORDERS, sent_at=time.now)


def test_r2_refusals_of_requests_that_were_under_way_together_count_once() -> None:
    time = Time()
    pace = pace_of(time)
    sent_at = time.now
    time.sleep(0.2)
    for _ in range(5):
        pace.refused(Bucket.DATA, sent_at=sent_at)
    began = time.now
    assert pace.read_turn(Bucket.DATA) == ""
    assert time.now - began == pytest.approx(1.0)


def test_r2_retry_after_is_honoured() -> None:
    time = Time()
    pace = pace_of(time)
    pace.refused(Bucket.ORDERS, sent_at=time.now, retry_after_s=30.0)
    assert "the broker refused the pace of orders; 30.0 s of pause are left" in pace.entry_turn()
    began = time.now
    pace.refused(Bucket.DATA, sent_at=time.now, retry_after_s=7.0)
    assert pace.read_turn(Bucket.DATA) == ""
    assert time.now - began == pytest.approx(7.0)


def test_a_market_that_runs_faster_has_shorter_windows() -> None:
    time = Time()
    pace = pace_of(time, scale=10.0)
    stamps = [time.now for _ in range(70) if pace.entry_turn() == ""]
    assert len(stamps) == 70
    assert most_in(stamps, 0.1) == 7


def test_without_windows_nothing_waits_but_the_brokers_own_refusal_counts() -> None:
    pace = Pace.unlimited()
    assert [pace.entry_turn() for _ in range(1000)] == [""] * 1000
    pace.refused(Bucket.ORDERS, sent_at=pace.clock(), retry_after_s=60.0)
    assert pace.entry_turn() != ""


@given(st.lists(st.tuples(st.sampled_from(["entry", "exit"]), st.floats(0, 0.7)), min_size=1, max_size=80))
def test_no_mix_of_wishes_breaks_a_window(wishes: list[tuple[str, float]]) -> None:
    """Entries never exceed their share, and with at most ten exits a second nothing exceeds the whole."""
    time = Time()
    pace = pace_of(time, Window(limit=10, length_s=1.0))
    stamps: list[float] = []
    for kind, later in wishes:
        time.now += later
        if kind == "exit":
            pace.exit_turn()
            stamps.append(time.now)
        elif pace.entry_turn() == "":
            stamps.append(time.now)
            assert sum(time.now - stamp < 1.0 for stamp in stamps) <= 7
    assert most_in(stamps, 1.0) <= 10


def test_r3_the_circuit_opens_after_five_unclear_writes_and_a_read_closes_it_half() -> None:
    circuit = Circuit()
    for at in range(5):
        assert circuit.reason == ""
        circuit.write_ended(clear=False, at=float(at))
    assert "5 writes in a row ended unclear" in circuit.reason
    circuit.read_answered(3.9)
    assert circuit.reason != "", "a read from before it opened proves nothing"
    circuit.read_answered(4.1)
    assert circuit.reason == ""
    circuit.write_ended(clear=False, at=5.0)
    assert circuit.reason != "", "the next unclear write opens it again"
    circuit.write_ended(clear=True, at=6.0)
    assert circuit.reason == ""


def test_r3_a_clear_end_between_unclear_ones_starts_the_count_anew() -> None:
    circuit = Circuit()
    for at in range(20):
        circuit.write_ended(clear=at % 5 == 4, at=float(at))
        assert circuit.reason == ""

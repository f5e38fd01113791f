"""The keeper of the access token: one renewal, for everybody, before the end or at a refusal."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import pytest

from tests.unit.brokers.test_login import token
from workbench.brokers.dhan import tokens
from workbench.brokers.dhan.login import FreshToken
from workbench.brokers.dhan.login_wire import LoginRefused
from workbench.brokers.dhan.minting import TooSoon
from workbench.brokers.dhan.token_ways import NoWay
from workbench.brokers.dhan.tokens import Keeping, TokenKeeper
from workbench.core.errors import BrokerError, BrokerUnavailable
from workbench.core.session import IST

NOW = datetime(2026, 11, 20, 8, 30, tzinfo=IST)
FAST = Keeping(beat_s=0.02, backoff_s=(0.02, 0.05))
_PATIENCE_S = 20.0


def until(condition: Callable[[], bool]) -> None:
    give_up = time.monotonic() + _PATIENCE_S
    while not condition():
        assert time.monotonic() < give_up, "it never came to that"
        time.sleep(0.005)


class Maker:
    """Dhan and keyring as the keeper sees them; `living` are the tokens that are taken."""

    def __init__(self, *living: str) -> None:
        self.living = set(living)
        self.faults: list[BrokerError | OSError] = []
        self.check_faults: list[BrokerError] = []
        self.kept: FreshToken | None = None
        self.asked: list[tuple[str, bool]] = []
        self.checks = 0
        self.ends_at: datetime | None = NOW + timedelta(hours=24)
        self.hold = threading.Event()
        self.hold.set()

    def check(self, token: str) -> datetime | None:
        self.checks += 1
        if self.check_faults:
            raise self.check_faults.pop(0)
        if token not in self.living:
            raise LoginRefused("the profile", "expired", code="DH-901", status=401)
        return self.ends_at

    def fresh(self, token: str, *, is_alive: bool) -> FreshToken:
        assert self.hold.wait(_PATIENCE_S)
        self.asked.append((token, is_alive))
        if self.faults:
            raise self.faults.pop(0)
        made = f"made-{len(self.asked)}"
        self.living = {made}
        return FreshToken(value=made, ends_at=self.ends_at)

    def elsewhere(self, token: str) -> FreshToken | None:
        return self.kept if self.kept and self.kept.value != token else None


class Stand:
    """A keeper with everything it tells."""

    def __init__(self, keeping: Keeping = FAST) -> None:
        self.now, self.clock_reads = NOW, 0
        self.maker = Maker()
        self.keeping = keeping
        self.seen: list[str] = []
        self.states: list[tuple[bool, str]] = []
        self.alarms: list[tuple[str, str]] = []
        self.needed: datetime | None = None
        self.keeper: TokenKeeper

    def start(self, value: str, *, living: bool = True) -> TokenKeeper:
        if living:
            self.maker.living.add(value)
        self.keeper = TokenKeeper(
            value,
            self.maker,
            now=self.clock,
            hold_until=lambda _: self.needed,
            on_alarm=lambda level, text: self.alarms.append((level, text)),
            keeping=self.keeping,
        )
        self.keeper.subscribe(self.seen.append)
        self.keeper.on_state(lambda good, reason: self.states.append((good, reason)))
        self.keeper.start()
        return self.keeper

    def clock(self) -> datetime:
        self.clock_reads += 1
        return self.now

    def loud(self, level: str) -> list[str]:
        return [text for each, text in self.alarms if each == level]


@pytest.fixture
def stand() -> Iterator[Stand]:
    made = Stand()
    yield made
    made.maker.hold.set()
    made.keeper.close()


def ending(hours: float) -> str:
    return token({"exp": int((NOW + timedelta(hours=hours)).timestamp())})


def test_r7_a_refused_token_is_replaced_once_however_many_are_refused(stand: Stand) -> None:
    keeper = stand.start(ending(20), living=False)
    stand.maker.hold.clear()
    threads = [threading.Thread(target=keeper.refused, args=(f"DH-901 {n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not keeper.is_good and keeper.reason.startswith("DH-901")
    until(lambda: bool(stand.states))
    for n in range(20):
        keeper.refused(f"807 {n}")
    stand.maker.hold.set()
    until(lambda: len(stand.states) == 2)
    assert (stand.seen, keeper.token, keeper.is_good, keeper.renewals) == (["made-1"], "made-1", True, 1)
    assert len(stand.maker.asked) == 1 and stand.maker.asked[0][1] is False
    assert [good for good, _ in stand.states] == [False, True]
    assert len(stand.loud("alarm")) == 1 and "no entries" in stand.loud("alarm")[0]


def test_a_refusal_of_the_former_token_that_comes_late_renews_nothing(stand: Stand) -> None:
    keeper = stand.start(ending(20), living=False)
    keeper.refused("DH-901")
    until(lambda: keeper.is_good and keeper.renewals == 1)
    for _ in range(5):
        checks = stand.maker.checks
        keeper.refused("DH-901 of a request on its way")
        until(lambda seen=checks: stand.maker.checks > seen and keeper.is_good)  # type: ignore[misc]
    assert keeper.renewals == 1


def test_a_token_that_one_door_keeps_refusing_is_replaced_though_the_profile_takes_it(stand: Stand) -> None:
    keeper = stand.start(ending(20))
    for wanted in (1, 2):
        keeper.refused("807")
        until(lambda least=wanted: stand.maker.checks >= least and keeper.is_good)  # type: ignore[misc]
    assert not stand.maker.asked
    keeper.refused("807")
    until(lambda: keeper.renewals == 1)
    assert stand.maker.asked[0][1] is True
    assert any("yet it is refused again: 807" in text for text in stand.loud("warning"))


def test_a_door_that_refuses_the_new_token_too_makes_no_third_one(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "_SETTLES_S", 0.0)
    keeper = stand.start(ending(20))
    for wanted in range(1, 8):
        keeper.refused("809")
        until(lambda least=wanted: stand.maker.checks >= least and keeper.is_good)  # type: ignore[misc]
    assert keeper.renewals == 1
    assert len(stand.loud("warning")) == 2


def test_a_token_is_renewed_two_hours_before_its_end(stand: Stand) -> None:
    first = ending(2.5)
    keeper = stand.start(first)
    assert keeper.hours_left() == pytest.approx(2.5, abs=0.001)
    assert keeper.hours_left(NOW + timedelta(hours=3)) == pytest.approx(-0.5, abs=0.001)
    stand.now = NOW + timedelta(minutes=31)
    until(lambda: keeper.renewals == 1)
    assert stand.maker.asked == [(first, True)]
    assert keeper.hours_left() == pytest.approx(24 - 31 / 60, abs=0.001)
    assert not stand.states and not stand.loud("alarm") and not stand.loud("warning")


def test_r7_a_token_that_ends_within_the_session_is_renewed_before_it_opens(stand: Stand) -> None:
    stand.needed = NOW.replace(hour=15, minute=45)
    keeper = stand.start(ending(7))
    until(lambda: keeper.renewals == 1)
    assert keeper.ends_at == NOW + timedelta(hours=24)


def test_a_renewal_that_gains_nothing_is_not_repeated_at_once(stand: Stand) -> None:
    stand.keeping = Keeping(beat_s=0.005, backoff_s=(0.01, 3600.0))
    stand.maker.ends_at = NOW + timedelta(hours=1)
    keeper = stand.start(ending(1))
    until(lambda: keeper.renewals == 1)
    until(lambda: any("less than two hours" in text for text in stand.loud("warning")))
    checks = stand.maker.checks
    keeper.refused("a late one")
    until(lambda: stand.maker.checks > checks and keeper.is_good)
    reads = stand.clock_reads
    until(lambda: stand.clock_reads > reads + 10)  # further turns have been made
    assert len(stand.maker.asked) == 1


def test_r7_a_failure_alarms_once_and_is_tried_again_with_pauses(stand: Stand) -> None:
    stand.maker.faults = [BrokerUnavailable("no answer (1)"), BrokerUnavailable("no answer (2)")]
    keeper = stand.start(ending(20), living=False)
    keeper.refused("DH-901")
    until(lambda: keeper.is_good)
    assert len(stand.maker.asked) == 3
    assert len([text for text in stand.loud("alarm") if "could not be renewed" in text]) == 1
    assert keeper.token == "made-3"


def test_a_full_disk_ends_a_try_and_not_the_keeper(stand: Stand) -> None:
    stand.maker.faults = [OSError(28, "No space left on device")]
    keeper = stand.start(ending(20), living=False)
    keeper.refused("DH-901")
    until(lambda: keeper.is_good)
    assert keeper.token == "made-2"
    assert [text for text in stand.loud("alarm") if "No space left" in text]


def test_dhan_that_cannot_be_asked_makes_no_new_token(stand: Stand) -> None:
    stand.maker.check_faults = [BrokerUnavailable("down"), BrokerUnavailable("down")]
    keeper = stand.start(ending(20))
    keeper.refused("DH-901")
    until(lambda: stand.maker.checks == 3 and keeper.is_good)
    assert not stand.maker.asked


@pytest.mark.parametrize(("said", "tries"), [("Invalid TOTP", 3), ("Invalid Pin", 1)])
def test_refused_logins_end_until_a_person_helps(stand: Stand, said: str, tries: int) -> None:
    stand.maker.faults = [LoginRefused("a new access token", said) for _ in range(9)]
    keeper = stand.start(ending(20), living=False)
    keeper.refused("DH-901")
    until(lambda: stand.maker.checks >= tries + 4)
    assert len(stand.maker.asked) == tries and not keeper.is_good
    assert len([text for text in stand.loud("alarm") if "no further try" in text and said in text]) == 1
    stand.maker.kept = FreshToken(value="put-down", ends_at=None)
    until(lambda: keeper.is_good)
    assert (keeper.token, stand.seen) == ("put-down", ["put-down"])


def test_a_person_who_puts_down_a_token_is_not_kept_waiting_for_the_pause(stand: Stand) -> None:
    stand.keeping = Keeping(beat_s=0.01, backoff_s=(3600.0, 3600.0))
    stand.maker.faults = [NoWay("nothing to make one with")]
    keeper = stand.start(ending(20), living=False)
    keeper.refused("DH-901")
    until(lambda: len(stand.maker.asked) == 1)
    stand.maker.kept = FreshToken(value="put-down", ends_at=None)
    until(lambda: keeper.is_good)
    assert keeper.token == "put-down" and len(stand.maker.asked) == 1


def test_asking_for_a_renewal_does_it_whatever_the_end(stand: Stand) -> None:
    keeper = stand.start(ending(20))
    keeper.renew()
    until(lambda: keeper.renewals == 1)
    assert stand.seen == ["made-1"]


def test_the_two_minutes_of_dhan_are_waited_and_told_quietly(stand: Stand) -> None:
    stand.maker.faults = [TooSoon(0.05)]
    keeper = stand.start(ending(20), living=False)
    keeper.refused("DH-901")
    until(lambda: keeper.is_good)
    assert len(stand.maker.asked) == 2
    assert not [text for text in stand.loud("alarm") if "renewed" in text]


def test_a_token_without_a_way_to_another_warns_before_it_ends_and_when_it_has(stand: Stand) -> None:
    stand.keeping = Keeping(beat_s=0.01, backoff_s=(60.0, 60.0))
    stand.maker.faults = [NoWay("nothing to make one with") for _ in range(9)]
    keeper = stand.start(ending(1))
    until(lambda: bool(stand.loud("warning")))
    stand.now = NOW + timedelta(hours=2)
    until(lambda: any("has ended" in text for text in stand.loud("alarm")))
    assert len(stand.loud("warning")) == 1
    assert keeper.is_good  # only Dhan says that it takes it no more


def test_an_end_that_the_token_does_not_tell_is_asked_of_the_profile(stand: Stand) -> None:
    keeper = stand.start("opaque")
    until(lambda: keeper.ends_at is not None)
    assert keeper.hours_left() == pytest.approx(24)


def test_an_end_that_has_passed_for_a_token_that_is_taken_is_not_believed(stand: Stand) -> None:
    stand.maker.ends_at = NOW - timedelta(days=50)
    keeper = stand.start("opaque")
    until(lambda: stand.maker.checks == 1)
    keeper.refused("a late one")
    until(lambda: stand.maker.checks == 2 and keeper.is_good)
    assert keeper.hours_left() is None
    assert keeper.renewals == 0 and not stand.loud("warning")


def test_an_opaque_token_that_is_dead_at_the_start_is_replaced(stand: Stand) -> None:
    keeper = stand.start("opaque", living=False)
    until(lambda: keeper.renewals == 1)
    assert stand.states[-1] == (True, "")


def test_i10_no_token_stands_in_what_is_told(stand: Stand) -> None:
    first = ending(20)
    keeper = stand.start(first, living=False)
    keeper.refused("DH-901")
    until(lambda: keeper.is_good and len(stand.states) == 2)
    told = repr(keeper) + str(stand.alarms) + str(stand.states) + keeper.reason
    assert first not in told and "made-1" not in told


def test_nothing_is_done_after_the_end(stand: Stand) -> None:
    keeper = stand.start(ending(20), living=False)
    keeper.close()
    keeper.refused("DH-901")
    keeper.close()
    assert not stand.maker.asked and keeper.is_good
    assert not any(thread.name == "dhan-token" for thread in threading.enumerate())


def test_the_defaults_are_two_hours_ahead_and_seconds_to_minutes_of_pause() -> None:
    assert (tokens.RENEW_BEFORE, Keeping().backoff_s) == (timedelta(hours=2), (5.0, 300.0))

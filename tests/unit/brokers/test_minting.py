"""A token from PIN and one-time password: at most once in two minutes, and never a word of either."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyotp
import pytest

from workbench.brokers.dhan.login_wire import LoginRefused, LoginWire
from workbench.brokers.dhan.minting import Minter, TooSoon, is_hopeless
from workbench.core.errors import BadInput, BrokerUnavailable
from workbench.testing.wire_stub import Reply, WireStub, free_port, http

CLIENT = "1000000001"
PIN, SECRET = "482913", "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
GOOD = http(200, {"accessToken": "new-token", "expiryTime": "2026-11-21T09:00:00.000"})
START = 1_790_000_005.0


class Wall:
    """A wall clock that moves only when somebody waits."""

    def __init__(self) -> None:
        self.now = START
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def stub() -> Iterator[WireStub]:
    with WireStub() as server:
        yield server


def minter(url: str, folder: Path, wall: Wall, secret: str = SECRET) -> Minter:
    wire = LoginWire(CLIENT, base_url=url, auth_url=url.removesuffix("/v2"))
    return Minter(wire, PIN, secret, folder=folder, wall=wall, sleep=wall.sleep)


def test_a_token_is_made_with_the_password_of_this_moment(stub: WireStub, tmp_path: Path) -> None:
    stub.replies.append(GOOD)
    wall = Wall()
    assert (
        minter(stub.url, tmp_path / "journal", wall, "jbsw y3dp ehpk 3pxp jbsw y3dp ehpk 3pxp").mint().value
        == "new-token"
    )
    code = pyotp.TOTP(SECRET).at(int(wall.now))
    assert (stub.requests[0].method, stub.requests[0].path) == (
        "POST",
        f"/app/generateAccessToken?dhanClientId={CLIENT}&pin={PIN}&totp={code}",
    )


def test_a_key_of_eighty_bits_gives_the_passwords_that_it_gives_elsewhere(stub: WireStub, tmp_path: Path) -> None:
    stub.replies.append(GOOD)
    wall = Wall()
    wall.now = 1_000.0
    minter(stub.url, tmp_path, wall, "JBSWY3DPEHPK3PXP").mint()
    assert stub.requests[0].path.endswith("totp=475209")  # RFC 6238 worked out by hand for step 33


def test_a_second_one_within_two_minutes_is_refused_here_also_by_another_process(
    stub: WireStub, tmp_path: Path
) -> None:
    stub.replies.extend([GOOD, GOOD])
    wall = Wall()
    minter(stub.url, tmp_path, wall).mint()
    wall.now += 50
    with pytest.raises(TooSoon, match="70 seconds") as caught:
        minter(stub.url, tmp_path, wall).mint()
    assert (caught.value.seconds_left, len(stub.requests)) == (70.0, 1)
    wall.now += 70
    minter(stub.url, tmp_path, wall).mint()
    assert len(stub.requests) == 2


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"asked_at": "soon"}'])
def test_a_file_that_cannot_be_read_refuses_nothing(stub: WireStub, tmp_path: Path, text: str) -> None:
    wall = Wall()
    first = minter(stub.url, tmp_path, wall)
    stub.replies.extend([GOOD, GOOD])
    first.mint()
    (mark,) = tmp_path.glob("token-*.json")
    mark.write_text(text, encoding="utf-8")
    first.mint()
    assert len(stub.requests) == 2


def test_s9_a_clock_that_was_set_back_waits_two_minutes_at_most(stub: WireStub, tmp_path: Path) -> None:
    stub.replies.append(GOOD)
    wall = Wall()
    made = minter(stub.url, tmp_path, wall)
    made.mint()
    wall.now -= 3600
    assert made.seconds_left() == 120.0


def test_at_the_edge_of_its_half_minute_the_next_password_is_waited_for(stub: WireStub, tmp_path: Path) -> None:
    stub.replies.append(GOOD)
    wall = Wall()
    wall.now = 1_790_000_008.0 - 1_790_000_008.0 % 30 + 28.5
    minter(stub.url, tmp_path, wall).mint()
    assert wall.slept == [2.0]
    assert stub.requests[0].path.endswith(pyotp.TOTP(SECRET).at(int(wall.now)))


@pytest.mark.parametrize(
    ("said", "way_out", "hopeless"),
    [
        ("Token can be generated once every 2 minutes.", "wait two minutes", False),
        ("Invalid TOTP", "DHAN_TOTP_SECRET and this machine's clock", False),
        ("Invalid Pin", "DHAN_PIN before you try again", True),
        ("Something new", "web.dhan.co", False),
    ],
)
def test_a_refusal_comes_with_http_200_and_names_the_way_out(
    stub: WireStub, tmp_path: Path, said: str, way_out: str, hopeless: bool
) -> None:
    stub.replies.append(http(200, {"status": "error", "message": said}))
    wall = Wall()
    with pytest.raises(LoginRefused, match=way_out) as caught:
        minter(stub.url, tmp_path, wall).mint()
    assert is_hopeless(caught.value) is hopeless
    with pytest.raises(TooSoon):  # a refused attempt counts: another at once would be refused for its pace
        minter(stub.url, tmp_path, wall).mint()


def test_an_attempt_without_an_answer_counts_but_one_that_never_left_does_not(stub: WireStub, tmp_path: Path) -> None:
    wall = Wall()
    nobody = minter(f"http://127.0.0.1:{free_port()}/v2", tmp_path, wall)
    with pytest.raises(BrokerUnavailable):
        nobody.mint()
    assert nobody.seconds_left() == 0
    stub.replies.append(Reply(close=True))
    silent = minter(stub.url, tmp_path, wall)
    with pytest.raises(BrokerUnavailable):
        silent.mint()
    assert silent.seconds_left() == 120.0


def test_i10_pin_secret_and_password_stand_in_no_message_and_no_file(stub: WireStub, tmp_path: Path) -> None:
    wall = Wall()
    code = pyotp.TOTP(SECRET).at(int(wall.now))
    stub.replies.append(http(200, {"status": "error", "message": f"pin {PIN} and totp {code} of {CLIENT} do not fit"}))
    made = minter(stub.url, tmp_path, wall)
    with pytest.raises(LoginRefused) as caught:
        made.mint()
    shown = str(caught.value) + repr(made) + "".join(file.read_text(encoding="utf-8") for file in tmp_path.iterdir())
    shown += "".join(file.name for file in tmp_path.iterdir())
    assert not any(secret in shown for secret in (PIN, SECRET, code, CLIENT))


@pytest.mark.parametrize(("pin", "secret"), [("12a4", SECRET), ("", SECRET), (PIN, "not base 32!"), (PIN, "890")])
def test_settings_that_cannot_work_are_refused_unsent(tmp_path: Path, pin: str, secret: str) -> None:
    with pytest.raises(BadInput) as caught:
        Minter(LoginWire(CLIENT), pin, secret, folder=tmp_path)
    assert not secret or secret not in str(caught.value)

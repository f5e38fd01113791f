"""Where a token comes from, and where it is kept."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from keyring.backend import KeyringBackend
from keyring.backends import fail, null
from keyring.errors import PasswordSetError

from tests.unit.brokers.test_login import token
from workbench.brokers.dhan.login_wire import LoginRefused, LoginWire
from workbench.brokers.dhan.minting import Minter
from workbench.brokers.dhan.token_store import NoKeyring, TokenStore
from workbench.brokers.dhan.token_ways import NoWay, TokenSource, TokenWays
from workbench.core.errors import BrokerUnavailable
from workbench.core.session import IST
from workbench.testing.wire_stub import Received, Reply, WireStub, http

CLIENT = "1000000001"
NO_RING: KeyringBackend = fail.Keyring()  # type: ignore[no-untyped-call]
FORGETFUL: KeyringBackend = null.Keyring()  # type: ignore[no-untyped-call]
NOW = datetime(2026, 11, 20, 9, 0, tzinfo=IST)


class Ring(KeyringBackend):
    """A keyring in memory."""

    def __init__(self, *, locked: bool = False) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.kept: dict[tuple[str, str], str] = {}
        self.locked = locked

    def get_password(self, service: str, username: str) -> str | None:
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        if self.locked:
            raise PasswordSetError(f"locked, cannot keep {password}")
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        del self.kept[service, username]


class PlaintextKeyring(Ring):
    """As some machines have one: a file in plain sight."""


class Dhan:
    """Answers profile, renewal and minting: `living` are the tokens that it takes."""

    def __init__(self, *living: str) -> None:
        self.living = set(living)
        self.renews = True
        self.made = 0

    def __call__(self, request: Received) -> Reply:
        token = request.headers.get("access-token", "")
        if request.path.startswith("/app/generateAccessToken"):
            return self._new()
        if token not in self.living:
            return http(401, {"errorCode": "DH-901", "errorMessage": f"token {token} is dead"})
        if request.path == "/v2/RenewToken":
            return self._new() if self.renews else http(400, {"errorCode": "DH-905", "errorMessage": "not a web token"})
        return http(200, {"dhanClientId": CLIENT, "tokenValidity": "20/11/2026 18:00", "dataPlan": "Active"})

    def _new(self) -> Reply:
        self.made += 1
        self.living = {f"made-{self.made}"}
        return http(200, {"accessToken": f"made-{self.made}", "expiryTime": "2026-11-21T09:00:00.000"})


@pytest.fixture
def stub() -> Iterator[WireStub]:
    with WireStub() as server:
        yield server


def ways(stub: WireStub, folder: Path, ring: KeyringBackend, *, mints: bool = True) -> TokenWays:
    wire = LoginWire(CLIENT, base_url=stub.url, auth_url=stub.url.removesuffix("/v2"))
    minter = Minter(wire, "1234", "JBSWY3DPEHPK3PXP", folder=folder, sleep=lambda _: None) if mints else None
    return TokenWays(wire, TokenStore(CLIENT, ring), minter)


def ring_with(token: str) -> Ring:
    ring = Ring()
    TokenStore(CLIENT, ring).write(token)
    return ring


def test_the_given_token_comes_first_then_the_keyring_then_a_new_one(stub: WireStub, tmp_path: Path) -> None:
    dhan = Dhan("given", "kept")
    stub.default = dhan
    found = ways(stub, tmp_path, ring_with("kept")).good("given")
    assert (found.value, found.source) == ("given", TokenSource.GIVEN)
    dhan.living = {"kept"}
    found = ways(stub, tmp_path, ring_with("kept")).good("given")
    assert (found.value, found.source) == ("kept", TokenSource.KEYRING)
    dhan.living, ring = set(), ring_with("kept")
    found = ways(stub, tmp_path, ring).good("given")
    assert (found.value, found.source) == ("made-1", TokenSource.MINTED)
    assert TokenStore(CLIENT, ring).read() == "made-1"
    assert "made-1" not in repr(found)


def test_without_any_way_the_way_out_is_named(stub: WireStub, tmp_path: Path) -> None:
    stub.default = Dhan()
    with pytest.raises(NoWay, match=r"DHAN_ACCESS_TOKEN.*DHAN_TOTP_SECRET"):
        ways(stub, tmp_path, NO_RING, mints=False).good(None)
    with pytest.raises(LoginRefused, match="dead"):
        ways(stub, tmp_path, NO_RING, mints=False).good("given")
    with pytest.raises(NoWay, match="DHAN_PIN"):
        ways(stub, tmp_path, NO_RING, mints=False).mint()


def test_nobody_mints_because_dhan_does_not_answer(stub: WireStub, tmp_path: Path) -> None:
    stub.default = lambda _: http(503, {"errorMessage": "down"})
    with pytest.raises(BrokerUnavailable):
        ways(stub, tmp_path, Ring()).good("given")
    assert [request.path for request in stub.requests] == ["/v2/profile"]


def test_looking_asks_nobody_and_prefers_what_has_not_ended(stub: WireStub, tmp_path: Path) -> None:
    ended = token({"exp": int((NOW - timedelta(hours=1)).timestamp())})
    alive = token({"exp": int((NOW + timedelta(hours=1)).timestamp())})
    looking = ways(stub, tmp_path, ring_with(alive))
    assert (found := looking.look(ended, NOW)) is not None and found.source is TokenSource.KEYRING
    assert (found := looking.look("opaque", NOW)) is not None and found.source is TokenSource.GIVEN
    alone = ways(stub, tmp_path, NO_RING)
    assert (found := alone.look(ended, NOW)) is not None and found.value == ended
    assert alone.look(None, NOW) is None
    assert not stub.requests


def test_a_living_token_of_the_page_is_renewed_and_another_is_made_anew(stub: WireStub, tmp_path: Path) -> None:
    dhan = Dhan("page-token")
    stub.default, ring = dhan, Ring()
    asking = ways(stub, tmp_path, ring)
    assert asking.fresh("page-token", is_alive=True).value == "made-1"
    assert stub.requests[-1].path == "/v2/RenewToken"
    dhan.renews = False
    assert asking.fresh("made-1", is_alive=True).value == "made-2"
    assert [request.path.partition("?")[0] for request in stub.requests[1:]] == [
        "/v2/RenewToken",
        "/app/generateAccessToken",
    ]
    assert TokenStore(CLIENT, ring).read() == "made-2"
    stub.requests.clear()
    (mark,) = tmp_path.glob("token-*.json")
    mark.unlink()
    assert asking.fresh("made-2", is_alive=True).value == "made-3"
    assert [request.path.partition("?")[0] for request in stub.requests] == ["/app/generateAccessToken"]


def test_a_token_that_cannot_be_renewed_names_why_and_the_way_out(stub: WireStub, tmp_path: Path) -> None:
    dhan = Dhan("page-token")
    dhan.renews = False
    stub.default = dhan
    with pytest.raises(NoWay, match=r"not a web token.*workbench login"):
        ways(stub, tmp_path, Ring(), mints=False).fresh("page-token", is_alive=True)
    with pytest.raises(NoWay, match="cannot be renewed; make one"):
        ways(stub, tmp_path, Ring(), mints=False).fresh("page-token", is_alive=False)


def test_what_another_process_put_down_is_taken_if_dhan_takes_it(stub: WireStub, tmp_path: Path) -> None:
    stub.default = Dhan("theirs")
    found = ways(stub, tmp_path, ring_with("theirs")).elsewhere("ours")
    assert found is not None and (found.value, found.ends_at) == ("theirs", datetime(2026, 11, 20, 18, 0, tzinfo=IST))
    assert ways(stub, tmp_path, ring_with("ours")).elsewhere("ours") is None
    dead = ways(stub, tmp_path, ring_with("old"))
    stub.requests.clear()
    assert dead.elsewhere("ours") is None and dead.elsewhere("ours") is None
    assert len(stub.requests) == 1  # a dead one is asked about once


def test_a_keyring_gives_back_what_it_took() -> None:
    store = TokenStore(CLIENT, Ring())
    assert store.read() is None
    assert store.write("tok") and store.read() == "tok"


@pytest.mark.parametrize("backend", [NO_RING, FORGETFUL, PlaintextKeyring(), Ring(locked=True)])
def test_without_a_keyring_nothing_is_stored_and_the_way_out_is_named(backend: KeyringBackend) -> None:
    store = TokenStore(CLIENT, backend)
    with pytest.raises(NoKeyring, match="nothing was stored; put the token into DHAN_ACCESS_TOKEN") as caught:
        store.write("secret-token")
    assert "secret-token" not in str(caught.value) and store.read() is None


def test_a_machine_without_a_keyring_takes_the_token_that_is_put_into_its_settings(
    stub: WireStub, tmp_path: Path
) -> None:
    stub.default = Dhan("written-down")
    wire = LoginWire(CLIENT, base_url=stub.url)
    asking = TokenWays(wire, TokenStore(CLIENT, NO_RING), given_now=lambda: "written-down")
    found = asking.elsewhere("ours")
    assert found is not None and found.value == "written-down"
    assert asking.elsewhere("written-down") is None

"""The wire as Dhan has it, secured: who cannot prove who he is gets no order, and leaving is told there as well."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from workbench.brokers.dhan.client import DhanClient
from workbench.brokers.dhan.leaving import telling_adapter
from workbench.brokers.dhan.outcomes import judge_write
from workbench.brokers.dhan.transport import Endpoint
from workbench.core.messages import Outcome
from workbench.testing.wire_stub import Reply, WireStub, http

NOBODY_SIGNED_IT = "certificate"


class SecuredStub(WireStub):
    """The same server behind TLS."""

    def __init__(self, certificate: Path) -> None:
        super().__init__()
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate)

    @property
    def url(self) -> str:
        return super().url.replace("http://", "https://")

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):  # a caller who does not trust us hangs up within the handshake
            super()._serve(self._context.wrap_socket(connection, server_side=True))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for this machine that nobody but itself vouches for."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    plain = serialization.NoEncryption()
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


@pytest.fixture
def stub(certificate: Path) -> Iterator[WireStub]:
    with SecuredStub(certificate) as server:
        yield server


def test_a_server_that_cannot_prove_who_it_is_gets_no_order(stub: WireStub) -> None:
    client = DhanClient(stub.url, "1000000001", "token", Endpoint.ORDERS, timeouts_s=(10, 10))
    verdict = judge_write(client.api.cancel_order("11")["answer"])
    assert verdict.outcome is Outcome.NOT_SENT
    assert NOBODY_SIGNED_IT in verdict.reason
    assert stub.requests == []


def test_a_secured_request_tells_that_it_left_before_it_is_answered(stub: WireStub, certificate: Path) -> None:
    told: list[str] = []
    adapter = telling_adapter(lambda: told.append("left"), lambda: told.append("answered"))
    stub.default = lambda _: http(200, {"orderId": "7"})
    with requests.Session() as session:
        session.trust_env = False
        session.mount("https://", adapter)
        for _ in range(2):
            assert session.get(stub.url + "/orders", verify=str(certificate), timeout=10).json() == {"orderId": "7"}
    assert told == ["left", "answered"] * 2
    assert stub.connections == 1


def test_a_secured_request_that_dies_on_the_way_is_not_repeated(stub: WireStub, certificate: Path) -> None:
    told: list[str] = []
    adapter = telling_adapter(lambda: told.append("left"), lambda: told.append("answered"))
    stub.default = lambda _: Reply(close=True)
    with requests.Session() as session:
        session.trust_env = False
        session.mount("https://", adapter)
        with pytest.raises(requests.ConnectionError):
            session.delete(stub.url + "/orders/11", verify=str(certificate), timeout=10)
    assert told == ["left"]
    assert len(stub.requests) == 1

"""The library's login methods on a wire of ours.

`dhanhq.DhanLogin` calls `requests` without a time-out, follows redirects with the token in a header, raises bare
exceptions whose text holds PIN and TOTP, and writes the same text to the root logger. Its methods stay what builds each
request; only the three names that they look up (``requests``, ``logging``, ``DhanHTTP``) are bound to this module's
objects, in copies of the functions, so that the library itself is untouched for everybody else.

Invariants: one call is at most one request, to one of four paths, ended within a deadline, without redirects; no
secret is in an exception, a log or a ``repr``; an answer is JSON with HTTP 200 or an error of ours.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import FunctionType
from typing import Any, NoReturn
from urllib.parse import urlsplit

import dhanhq
import requests
from urllib3.exceptions import HTTPError, MaxRetryError, NewConnectionError

from workbench.brokers.dhan.server_time import ServerTime, server_time
from workbench.core.errors import BrokerError, BrokerUnavailable

LIVE_URL = "https://api.dhan.co/v2"
LIVE_AUTH_URL = "https://auth.dhan.co"
CONNECT_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 8.0
_PATHS = frozenset(
    {("POST", "/app/generateAccessToken"), ("GET", "/RenewToken"), ("GET", "/profile"), ("GET", "/ip/getIP")}
)
_MOST_BYTES = 1 << 20
_SHOWN = 200
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class LoginRefused(BrokerError):
    """Dhan answered a login request with a refusal.

    Parameters
    ----------
    what : str
        Which request.
    said : str
        Dhan's own words, without secrets.
    code : str
        ``DH-901`` and the like; empty where none was given.
    status : int
        HTTP status; a refused minting comes with 200.
    """

    def __init__(self, what: str, said: str, *, code: str = "", status: int = 200) -> None:
        super().__init__(f"Dhan refused {what}: {said} (HTTP {status}{', ' + code if code else ''})")
        self.what, self.said, self.code, self.status = what, said, code, status


class NeverLeft(BrokerUnavailable):
    """The connection was never made, so nothing was asked."""


class LoginWire:
    """The four login requests of one client id.

    Parameters
    ----------
    client_id : str
    base_url, auth_url : str
        Dhan's own places, or a simulator's.
    timeouts_s : (float, float)
        Connect and read; the whole answer may take twice the read time.

    Attributes
    ----------
    server_time : ServerTime or None
        Of the newest answer that had a ``Date``.
    """

    def __init__(
        self,
        client_id: str,
        *,
        base_url: str = LIVE_URL,
        auth_url: str = LIVE_AUTH_URL,
        timeouts_s: tuple[float, float] = (CONNECT_TIMEOUT_S, READ_TIMEOUT_S),
    ) -> None:
        self.client_id = client_id
        self._timeouts_s = timeouts_s
        self._login = dhanhq.DhanLogin(client_id)
        self._login.API_BASE_URL = base_url.rstrip("/")
        self._login.AUTH_BASE_URL = auth_url.rstrip("/")
        self.server_time: ServerTime | None = None

    def __repr__(self) -> str:
        return f"LoginWire({self._login.API_BASE_URL!r}, client …{self.client_id[-3:]})"

    def mint(self, pin: str, totp: str) -> Any:
        """Ask for a new token by PIN and one-time password."""
        return self._call("generate_token", "a new access token", (pin, totp), (pin, totp))

    def renew(self, token: str) -> Any:
        """Ask for a new token with the present one."""
        return self._call("renew_token", "the renewal of the access token", (token,), (token,))

    def profile(self, token: str) -> Any:
        """Ask whom the token belongs to."""
        return self._call("user_profile", "the profile", (token,), (token,))

    def ip(self, token: str) -> Any:
        """Ask which addresses are registered."""
        return self._call("get_ip", "the registered addresses", (token,), (token,))

    def _call(self, method: str, what: str, arguments: tuple[str, ...], secrets: tuple[str, ...]) -> Any:
        if not all(each.isascii() and each.isprintable() for each in arguments):
            # No header can carry it, and the error of whoever tries would show it.
            raise LoginRefused(what, "it has characters that no access token has; copy it anew, in one line")
        request = _Request(what, (*secrets, self.client_id), self._timeouts_s, self._note_time)
        original = getattr(dhanhq.DhanLogin, method)

        def http_of(client_id: str, token: str) -> _Connection:
            return _Connection(request, self._login.API_BASE_URL, {"access-token": token, "client-id": client_id})

        names = {**original.__globals__, "requests": request, "logging": _SILENT, "DhanHTTP": http_of}
        bound = FunctionType(original.__code__, names, method, original.__defaults__)
        return bound(self._login, *arguments)

    def _note_time(self, told: ServerTime) -> None:
        self.server_time = told


class _Silent:
    """Stands where the library looks for ``logging``: what it would write holds PIN, TOTP or a token."""

    def error(self, *_: object) -> None:
        """Write nothing."""


_SILENT = _Silent()


class _Reply:
    """What the library takes for a `requests` answer; only good ones are handed to it."""

    status_code = 200

    def __init__(self, document: Any) -> None:
        self._document = document

    def json(self) -> Any:
        return self._document


@dataclass(frozen=True, slots=True)
class _Connection:
    """What `get_ip` takes for the library's HTTP class."""

    request: _Request
    base_url: str
    headers: dict[str, str]

    def get(self, path: str) -> Any:
        return self.request.get(self.base_url + path, headers=self.headers).json()


class _Request:
    """What the library's methods take for the module `requests`, for one call."""

    def __init__(
        self,
        what: str,
        secrets: Iterable[str],
        timeouts_s: tuple[float, float],
        on_time: Callable[[ServerTime], None],
    ) -> None:
        self._what, self._secrets = what, tuple(secret for secret in secrets if secret)
        self._timeouts_s, self._on_time = timeouts_s, on_time

    def get(self, url: str, *, headers: dict[str, str]) -> _Reply:
        return self._send("GET", url, headers=headers)

    def post(self, url: str, *, params: dict[str, str]) -> _Reply:
        return self._send("POST", url, params=params)

    def _send(self, method: str, url: str, **parts: Any) -> _Reply:
        place = urlsplit(url)
        if (method, place.path.removeprefix("/v2")) not in _PATHS:
            raise BrokerUnavailable(f"{method} {place.path} is no login request; nothing was sent")
        asked_at = time.monotonic()
        with _QuietUrllib3(), requests.Session() as session:
            session.trust_env = place.hostname not in _LOOPBACK
            try:
                with session.request(
                    method, url, timeout=self._timeouts_s, allow_redirects=False, stream=True, **parts
                ) as response:
                    body = _read(response, asked_at + 2 * self._timeouts_s[1])
                    status, date = response.status_code, response.headers.get("date", "")
            except (requests.RequestException, HTTPError, OSError) as error:
                # The text of these errors holds the address with its query: only their kind is told.
                kind = NeverLeft if _never_left(error) else BrokerUnavailable
                name = type(error).__name__
            else:
                self._take_time(date, asked_at)
                return self._read_reply(status, body)
        raise kind(f"Dhan did not answer {self._what} ({name}); check the connection and try again")

    def _read_reply(self, status: int, body: bytes) -> _Reply:
        try:
            document = json.loads(body)
        except (ValueError, RecursionError):
            raise BrokerUnavailable(f"the answer to {self._what} is no JSON (HTTP {status}); try again later") from None
        if status != 200:
            self._refuse(status, document)
        return _Reply(document)

    def _refuse(self, status: int, document: Any) -> NoReturn:
        fields = document if isinstance(document, dict) else {}
        code = str(fields.get("errorCode") or "")
        said = self.safe(str(fields.get("errorMessage") or fields.get("message") or fields.get("error") or "no reason"))
        if status == 429 or status >= 500:
            raise BrokerUnavailable(f"Dhan cannot answer {self._what} now: {said} (HTTP {status}); try again later")
        raise LoginRefused(self._what, said, code=self.safe(code), status=status)

    def safe(self, text: str) -> str:
        """Give a text without secrets, on one short line."""
        for secret in self._secrets:
            text = text.replace(secret, "…")
        return " ".join(text.split())[:_SHOWN]

    def _take_time(self, header: str, asked_at: float) -> None:
        told = server_time(header, asked_at=asked_at, read_at=time.monotonic())
        if told is not None:
            self._on_time(told)


def _read(response: requests.Response, deadline: float) -> bytes:
    content = b""
    while chunk := response.raw.read1(65536, decode_content=True):
        content += chunk
        if len(content) > _MOST_BYTES or time.monotonic() > deadline:
            raise OSError("the answer is too long or too slow")
    return content


def _never_left(error: BaseException) -> bool:
    cause = error.args[0] if error.args else None
    return isinstance(error, requests.ConnectTimeout) or (
        isinstance(cause, MaxRetryError) and isinstance(cause.reason, NewConnectionError)
    )


class _QuietUrllib3:
    """Drops what urllib3 writes in this thread: at DEBUG that is the request line, which holds PIN and TOTP."""

    def __enter__(self) -> None:
        self._thread = threading.get_ident()
        self._logger = logging.getLogger("urllib3.connectionpool")
        self._logger.addFilter(self._passes)

    def __exit__(self, *_: object) -> None:
        self._logger.removeFilter(self._passes)

    def _passes(self, record: logging.LogRecord) -> bool:
        return record.thread != self._thread

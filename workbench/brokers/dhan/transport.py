"""The object that stands in for the library's own HTTP class, so that its methods stay the only way to Dhan.

`dhanhq` reports a time-out, a refused connection and a rejection in one and the same way. Every method of the library
calls ``dhan_http.get | post | put | delete``; :class:`Transport` has that face, gives the library the envelope it knows
(``status, remarks, data``) and adds under ``answer`` what really happened on the wire: nothing left, somebody answered
(with HTTP status and raw body), or nobody did.

Reads wait for their turn (`pace`) and are asked again, a few times, when a server failed or nobody answered.

Invariants: a write is at most one request on the wire (no retries, no redirects); a method and path that the
endpoint's list does not name never leaves; neither ``repr`` nor a reason shows the token.
"""

from __future__ import annotations

import json
import logging
import random
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import HTTPError, NewConnectionError

from workbench.brokers.dhan.answers import Answer, Fate, error_of, says_token, says_too_fast
from workbench.brokers.dhan.leaving import Delays, telling_adapter
from workbench.brokers.dhan.pace import Bucket, Pace
from workbench.brokers.dhan.paths import Endpoint, bucket_of, is_asked_once, is_read, may_leave
from workbench.brokers.dhan.server_time import ServerTime, server_time

__all__ = ["Answer", "Endpoint", "Fate", "Transport", "error_of"]

log = logging.getLogger(__name__)

CONNECT_TIMEOUT_S = 2.0
READ_TIMEOUT_S = 5.0
# A look that only keeps a lane's connection open: an exit may be waiting behind it.
HURRIED_S = 1.0
MAX_BODY_BYTES = 32 * 1024 * 1024
# A read is asked at most so often, and not again when so much time has gone by since it was first asked.
READ_ATTEMPTS = 3
RETRY_BUDGET_S = 6.0
# A token that is refused on and on is told again so often, for its keeper counts.
TOLD_AGAIN_S = 30.0
_RETRY_PAUSE_S, _LONGEST_RETRY_PAUSE_S = 0.2, 2.0
_CHUNK = 65536
_SHOWN = 200
# A shorter token is a test's; it could be a word of any answer.
_SECRET_LENGTH = 16


class Transport:
    """What the library takes for its HTTP connection; safe for several threads, each with its own connection.

    Parameters
    ----------
    base_url : str
        ``https://api.dhan.co/v2``, or a simulator's.
    client_id, token : str
    endpoint : Endpoint
        Which methods and paths may leave.
    timeouts_s : (float, float)
        Connect and read; the whole answer may take twice the read time.
    pace : Pace, optional
        Turns of the client id, shared by its connections; default without limits.

    Attributes
    ----------
    idle_limit_s : float
        A connection that was idle for longer is not used again: a server closes idle ones, and a request that crosses
        the closing would end unknown. 4 s on this machine (uvicorn closes after 5), else 45 s.
    on_token_refused : callable or None
        Told in the calling thread when the broker refuses the token that is in use; of one that it goes on to refuse,
        once in half a minute.
    on_server_time : callable or None
        Told in the calling thread what the ``Date`` of each answer said.
    """

    def __init__(
        self,
        base_url: str,
        client_id: str,
        token: str,
        endpoint: Endpoint,
        *,
        timeouts_s: tuple[float, float] = (CONNECT_TIMEOUT_S, READ_TIMEOUT_S),
        pace: Pace | None = None,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self.client_id = client_id
        self.endpoint = endpoint
        self._token = token
        self._timeouts_s = timeouts_s
        self._is_loopback = urlsplit(base_url).hostname in ("127.0.0.1", "localhost", "::1")
        self.idle_limit_s = 4.0 if self._is_loopback else 45.0
        self.pace = pace if pace is not None else Pace.unlimited()
        self.on_token_refused: Callable[[str], None] | None = None
        self.on_server_time: Callable[[ServerTime], None] | None = None
        self._token_refused, self._told_at = "", float("-inf")
        self._lanes = threading.local()
        self._delays = Delays()
        self.requests = 0

    def __repr__(self) -> str:
        return f"Transport({self.base_url!r}, client …{self.client_id[-3:]}, {self.endpoint.value})"

    def renew_token(self, token: str) -> None:
        """Use another access token from the next request on."""
        self._token = token

    @property
    def idle_left_s(self) -> float:
        """For how long this thread's connection can still be used; negative without one."""
        return float(getattr(self._lanes, "used_at", float("-inf"))) + self.idle_limit_s - time.monotonic()

    @contextmanager
    def hurried(self) -> Iterator[None]:
        """Let this thread's reads neither wait for a turn nor be asked again: something else may need the lane."""
        self._lanes.hurried = True
        try:
            yield
        finally:
            self._lanes.hurried = False

    def get(self, endpoint: str) -> dict[str, Any]:
        """GET, as the library calls it."""
        return self._call("GET", endpoint, None)

    def post(self, endpoint: str, payload: dict[str, Any]) -> dict[str, Any]:
        """POST, as the library calls it."""
        return self._call("POST", endpoint, payload)

    def put(self, endpoint: str, payload: dict[str, Any]) -> dict[str, Any]:
        """PUT, as the library calls it."""
        return self._call("PUT", endpoint, payload)

    def delete(self, endpoint: str) -> dict[str, Any]:
        """DELETE, as the library calls it."""
        return self._call("DELETE", endpoint, None)

    def close(self) -> None:
        """Close this thread's connection."""
        session: requests.Session | None = getattr(self._lanes, "session", None)
        if session is not None:
            session.close()

    def _call(self, method: str, path: str, payload: dict[str, Any] | None) -> dict[str, Any]:
        bare = path.split("?", 1)[0]
        if not may_leave(self.endpoint, method, bare):
            reason = f"{method} {bare} is not among what the {self.endpoint.value} connection may do; nothing was sent"
            return _envelope(Answer(fate=Fate.NOT_SENT, reason=reason))
        body = None
        if payload:
            # The library's own class adds the client id to the caller's dictionary; a copy does no harm.
            try:
                body = json.dumps({**payload, "dhanClientId": self.client_id}, allow_nan=False).encode()
            except (TypeError, ValueError) as error:
                return _envelope(Answer(fate=Fate.NOT_SENT, reason=f"{method} {bare}: cannot be written: {error}"))
        return _envelope(self._read(method, path, body) if is_read(method, bare) else self._send(method, path, body))

    def _read(self, method: str, path: str, body: bytes | None) -> Answer:
        """Ask until there is an answer worth having, a few times at most."""
        bare = path.split("?", 1)[0]
        bucket, unique = bucket_of(method, bare), f"{bare} {body!r}" if is_asked_once(bare) else ""
        hurried = getattr(self._lanes, "hurried", False)
        began = time.monotonic()
        attempt = READ_ATTEMPTS if hurried else 1
        while True:
            no_turn = self.pace.read_turn(bucket, unique=unique, patience_s=0.0 if hurried else None)
            if no_turn:
                return Answer(fate=Fate.NOT_SENT, reason=f"{method} {bare}: {no_turn}")
            asked_at = self.pace.clock()
            self._lanes.turn = (bucket, asked_at, bare)
            answer = self._send(method, path, body)
            self._lanes.turn = None
            pause_s = min(_RETRY_PAUSE_S * 2.0 ** (attempt - 1), _LONGEST_RETRY_PAUSE_S) * random.uniform(0.5, 1.0)
            late = time.monotonic() + pause_s - began > RETRY_BUDGET_S
            if not _may_be_better(answer) or late or attempt >= READ_ATTEMPTS:
                break
            time.sleep(pause_s)
            attempt += 1
        if self.endpoint is Endpoint.ORDERS and 200 <= answer.status <= 299 and answer.is_json:
            self.pace.circuit.read_answered(asked_at)
        return answer

    def _send(self, method: str, path: str, body: bytes | None) -> Answer:
        sent_at, token = self.pace.clock(), self._token
        answer = self._exchange(method, path, body, token)
        if says_too_fast(answer):
            bucket = bucket_of(method, path.split("?", 1)[0])
            self.pace.refused(bucket, sent_at=sent_at, retry_after_s=answer.retry_after_s)
        if says_token(answer.document) and token == self._token and self._is_news(token, sent_at):
            # An answer to a token that was renewed meanwhile says nothing of the new one.
            self._token_refused, self._told_at = token, sent_at
            if self.on_token_refused is not None:
                self.on_token_refused(self._safe(" ".join(error_of(answer.document)[::2]), token))
        elif token == self._token_refused and 200 <= answer.status <= 299:
            self._token_refused = ""  # it was good after all, so that its next refusal is news
        return answer

    def _is_news(self, token: str, at: float) -> bool:
        return token != self._token_refused or at - self._told_at >= TOLD_AGAIN_S

    def _left(self) -> None:
        """Count a read from the moment when it was written to the wire."""
        turn: tuple[Bucket, float, str] | None = getattr(self._lanes, "turn", None)
        if turn is not None:
            bucket, turn_at, path = turn
            self.pace.left(bucket, turn_at)
            self._lanes.turn = (bucket, self.pace.clock(), path)

    def _answered(self) -> None:
        """Count a read that was held up on its way from when it may have arrived."""
        turn: tuple[Bucket, float, str] | None = getattr(self._lanes, "turn", None)
        if turn is not None:
            bucket, left_at, path = turn
            self.pace.held_up(bucket, left_at, self._delays.of(path, self.pace.clock() - left_at))

    def _exchange(self, method: str, path: str, body: bytes | None, token: str) -> Answer:
        session = self._session()
        headers = {
            "access-token": token,
            "client-id": self.client_id,
            "Content-type": "application/json",
            "Accept": "application/json",
        }
        timeouts_s = self._timeouts_s
        if getattr(self._lanes, "hurried", False):
            timeouts_s = min(timeouts_s[0], HURRIED_S), min(timeouts_s[1], HURRIED_S)
        started = time.monotonic()
        self.requests += 1
        try:
            response = session.request(
                method,
                self.base_url + path,
                data=body,
                headers=headers,
                timeout=timeouts_s,
                allow_redirects=False,
                stream=True,
            )
            told = server_time(response.headers.get("Date", ""), asked_at=started, read_at=time.monotonic())
            with response:
                content = self._content(response, started + 2 * timeouts_s[1])
            if len(token) >= _SECRET_LENGTH:
                # An error text may repeat the token, and texts end in reasons, logs and the journal.
                content = content.replace(token.encode(), b"***")
        except (requests.RequestException, HTTPError, OSError) as error:
            session.close()
            self._lanes.used_at = float("-inf")
            fate = Fate.NOT_SENT if _never_left(error) else Fate.UNANSWERED
            reason = f"{method} {path.split('?', 1)[0]}: {self._safe(_innermost(error), token)}"
            log.warning("%s (%s)", reason, fate.value)
            return Answer(fate=fate, reason=reason, elapsed_s=time.monotonic() - started)
        self._lanes.used_at = time.monotonic()
        self._tell_time(told)
        document, is_json = _parsed(content)
        return Answer(
            fate=Fate.ANSWERED,
            status=response.status_code,
            body=content,
            document=document,
            is_json=is_json,
            reason=f"HTTP {response.status_code}: {self._safe(content[:_SHOWN].decode(errors='replace'), token)}",
            elapsed_s=self._lanes.used_at - started,
            retry_after_s=_seconds(response.headers.get("Retry-After", "")),
        )

    def _tell_time(self, told: ServerTime | None) -> None:
        if told is None or self.on_server_time is None:
            return
        try:
            self.on_server_time(told)
        except (ArithmeticError, ValueError, RuntimeError) as error:
            # What the answer says of an order must not be lost to whoever only reads its time.
            log.warning("nobody could take the time of an answer: %s", error)

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._lanes, "session", None)
        if session is None:
            session = requests.Session()
            adapter = telling_adapter(self._left, self._answered)
            session.mount("https://", adapter)
            session.mount("http://", adapter)
            # A proxy may be the way out with the registered address, but never the way to this machine.
            session.trust_env = not self._is_loopback
            self._lanes.session = session
        elif time.monotonic() - getattr(self._lanes, "used_at", 0.0) > self.idle_limit_s:
            session.close()
        return session

    def _content(self, response: requests.Response, deadline: float) -> bytes:
        chunks, size = [], 0
        for chunk in _pieces(response):
            size += len(chunk)
            chunks.append(chunk)
            if size > MAX_BODY_BYTES:
                raise OSError(f"the answer is longer than {MAX_BODY_BYTES} bytes")
            if time.monotonic() > deadline:
                raise OSError("the answer came too slowly")
        return b"".join(chunks)

    def _safe(self, text: str, token: str = "") -> str:
        # The token of the request may have been renewed since: both are hidden.
        for secret in (token, self._token, self.client_id):
            if secret:
                text = text.replace(secret, "…")
        return " ".join(text.split())


def _may_be_better(answer: Answer) -> bool:
    """Say whether a read is worth asking again: nobody answered, or a server failed or was too busy."""
    if answer.fate is not Fate.ANSWERED:
        return answer.fate is Fate.UNANSWERED
    # "No holdings" comes as HTTP 500; that is an answer.
    return says_too_fast(answer) or (500 <= answer.status <= 599 and error_of(answer.document)[0] != "DH-1111")


def _seconds(text: str) -> float | None:
    return float(text) if text.strip().isdecimal() else None


def _pieces(response: requests.Response) -> Iterator[bytes]:
    """Read what has arrived, piece by piece: `iter_content` would wait for full pieces and never see a deadline."""
    while chunk := response.raw.read1(_CHUNK, decode_content=True):
        yield chunk


def _parsed(content: bytes) -> tuple[Any, bool]:
    def refuse(name: str) -> None:
        raise ValueError(f"{name} is no number")

    try:
        return json.loads(content, parse_constant=refuse), True
    except (ValueError, RecursionError):
        return None, False


def _never_left(error: BaseException) -> bool:
    """Say whether the failure proves that no byte of the request left: the connection was never made."""
    if isinstance(error, requests.ConnectTimeout | requests.exceptions.InvalidURL | requests.exceptions.InvalidSchema):
        return True
    return any(isinstance(cause, NewConnectionError | ssl.SSLCertVerificationError) for cause in _causes(error))


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    queue: list[BaseException] = [error]
    while queue:
        cause = queue.pop()
        if id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        inner = [cause.__cause__, cause.__context__, getattr(cause, "reason", None), *cause.args]
        queue.extend(item for item in inner if isinstance(item, BaseException))


def _innermost(error: BaseException) -> str:
    named = [cause for cause in _causes(error) if not isinstance(cause, requests.RequestException)]
    shown = named[0] if named else error
    return f"{type(error).__name__}: {shown}"


def _envelope(answer: Answer) -> dict[str, Any]:
    """Give the library's own envelope, with ours beside it."""
    if answer.fate is not Fate.ANSWERED or not answer.is_json:
        return {"status": "failure", "remarks": answer.reason, "data": "", "answer": answer}
    code, kind, message = error_of(answer.document)
    # Dhan has answered errors with HTTP 200 (recorded: 806, "Data APIs not subscribed").
    if 200 <= answer.status <= 299 and not code:
        return {"status": "success", "remarks": "", "data": answer.document, "answer": answer}
    remarks: dict[str, Any] | str = {"error_code": code, "error_type": kind, "error_message": message}
    return {"status": "failure", "remarks": remarks if code else answer.reason, "data": "", "answer": answer}

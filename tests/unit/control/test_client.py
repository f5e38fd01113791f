"""The line to the engine: token read anew, refusals told, silence never read as done."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from apps.control import client
from apps.control.client import Engine, Refused, Reply, Unreachable
from apps.control.launch import APP, command


def engine(answer: httpx.Response | Exception, seen: list[httpx.Request] | None = None) -> Engine:
    def handle(request: httpx.Request) -> httpx.Response:
        if seen is not None:
            seen.append(request)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return Engine("http://127.0.0.1:1", transport=httpx.MockTransport(handle))


def test_the_token_of_the_data_folder_is_sent_with_writes_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path))
    (tmp_path / "journal").mkdir()
    (tmp_path / "journal" / "admin.token").write_text("first\n", encoding="utf-8")
    seen: list[httpx.Request] = []
    it = engine(httpx.Response(200, json={}), seen)
    it.status()
    it.order("halt")
    (tmp_path / "journal" / "admin.token").write_text("second\n", encoding="utf-8")
    it.order("halt")
    assert [request.headers.get(client.TOKEN_HEADER) for request in seen] == [None, "first", "second"]
    assert [request.url.path for request in seen] == ["/api/status", "/api/halt", "/api/halt"]


def test_a_token_in_the_environment_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_ADMIN_TOKEN", "given")
    assert client.admin_token() == "given"


def test_a_refusal_gives_reason_and_way_out() -> None:
    answer = engine(httpx.Response(401, json={"error": "token is wrong", "way_out": "see admin.token"})).order("halt")
    assert answer == Refused("token is wrong; see admin.token")


def test_a_write_without_an_answer_is_not_read_as_done() -> None:
    answer = engine(httpx.ReadTimeout("slow")).press("BUY_CE", "SCALP_ATM")
    assert isinstance(answer, Unreachable)
    assert "nobody knows whether it was done" in answer.reason
    assert engine(httpx.ConnectError("refused")).status() == Unreachable("nobody answers at http://127.0.0.1:1")


def test_another_program_on_the_port_is_named() -> None:
    answer = engine(httpx.Response(200, text="<html>")).status()
    assert isinstance(answer, Refused)
    assert "another program" in answer.reason
    assert engine(httpx.Response(200, json=[1])).orders() == Reply([1])


def test_the_engine_port_can_be_set() -> None:
    assert client.engine_url({"WORKBENCH_ENGINE_PORT": "9123"}) == "http://127.0.0.1:9123"
    assert client.engine_url({}) == "http://127.0.0.1:8700"


def test_the_app_listens_on_this_machine_only_and_reports_to_nobody() -> None:
    given = command(8501)
    options = dict(zip(given[5::2], given[6::2], strict=True))
    assert given[4] == str(APP)
    assert APP.is_file()
    assert options["--server.address"] == "127.0.0.1"
    assert options["--server.port"] == "8501"
    assert options["--server.fileWatcherType"] == "none"
    assert options["--client.showErrorDetails"] == "none"
    assert options["--browser.gatherUsageStats"] == "false"


def test_the_app_imports_nothing_of_the_workbench() -> None:
    for path in APP.parent.glob("*.py"):
        assert "import workbench" not in path.read_text(encoding="utf-8")
        assert "from workbench" not in path.read_text(encoding="utf-8")
        assert "unsafe_allow_html" not in path.read_text(encoding="utf-8")

"""``workbench notify test``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from workbench.cli import main
from workbench.testing.wire_stub import WireStub, http


def test_notify_test_sends_to_every_address_and_shows_none(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    with WireStub(default=lambda _: http(200, {})) as service:
        port = service.url.rsplit(":", 1)[1].split("/")[0]
        monkeypatch.setenv("WORKBENCH_NOTIFY_URLS", f"json://canary:pw@127.0.0.1:{port}/")
        assert main(["notify", "test", "--json"]) == 0
        assert len(service.requests) == 1
    shown = capsys.readouterr().out
    assert json.loads(shown) == {"ok": True, "taken": 1, "addresses": 1, "reason": ""}
    assert "canary" not in shown


def test_without_an_address_the_way_out_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["notify", "test"]) == 2
    assert "WORKBENCH_NOTIFY_URLS=tgram://" in capsys.readouterr().err

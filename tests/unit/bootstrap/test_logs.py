"""Logs: structured, by the day, and without a secret whoever writes them."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from workbench.bootstrap.logs import FILES_KEPT, DailyFile, Redactor, set_up
from workbench.config import Secrets
from workbench.core.session import IST

CANARY = "canary-7f3a91"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJleHAiOjE3MDAwMDAwMDB9.c2lnbmF0dXJl"


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    logger = logging.getLogger()
    handlers, level = list(logger.handlers), logger.level
    yield logger
    for handler in list(logger.handlers):
        if handler not in handlers:
            handler.close()
    logger.handlers[:] = handlers
    logger.setLevel(level)


def written(folder: Path) -> str:
    return "".join(file.read_text(encoding="utf-8") for file in sorted((folder / "logs").glob("*.jsonl")))


@pytest.mark.parametrize(
    "text",
    [
        f"wss://api-feed.dhan.co?version=2&token={CANARY}&clientId=1",
        f"headers {{'access-token': '{CANARY}'}}",
        f'{{"accessToken": "{CANARY}"}}',
        f"POST /app/generateAccessToken?dhanClientId=1&pin={CANARY}&totp=123456",
        f"Authorization: Bearer {CANARY}",
        f"renewed to {JWT}",
    ],
)
def test_w12_what_looks_like_a_secret_is_hidden_even_if_nobody_named_it(text: str) -> None:
    shown = Redactor([])(text)
    assert CANARY not in shown
    assert JWT not in shown
    assert "[hidden]" in shown


def test_w12_a_known_secret_is_in_no_byte_of_any_log(
    tmp_path: Path, root: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    set_up(tmp_path, "engine", Secrets(dhan_access_token=SecretStr(CANARY)), also=["admin-canary"])
    logging.getLogger("websockets.client").warning("GET /?token=%s HTTP/1.1", CANARY)
    logging.getLogger("urllib3").error("said %r", {"header": CANARY})
    try:
        raise OSError(f"cannot reach https://host/?pin={CANARY}")
    except OSError:
        logging.getLogger("anything").exception("failed for admin-canary")
    shown = capsys.readouterr().err
    kept = written(tmp_path)
    assert "cannot reach" in kept
    for secret in (CANARY, "admin-canary"):
        assert secret not in shown + kept


def test_w19_one_record_is_one_line_whatever_it_holds(
    tmp_path: Path, root: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    set_up(tmp_path, "engine", Secrets())
    logging.getLogger("alerts").warning("refused: %s", "x\r\n2026-11-20 INFO forged\x1b[31m")
    rows = [json.loads(line) for line in written(tmp_path).splitlines()]
    assert [(row["level"], row["name"], row["message"]) for row in rows] == [
        ("WARNING", "alerts", "refused: x\r\n2026-11-20 INFO forged\x1b[31m")
    ]
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_the_schedulers_own_warnings_are_not_a_traders_and_its_errors_are(
    tmp_path: Path, root: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    set_up(tmp_path, "engine", Secrets())
    log = logging.getLogger("apscheduler.scheduler")
    log.warning("Execution of job skipped: maximum number of running instances reached (1)")
    log.error("Job raised an exception")
    told = capsys.readouterr().err
    assert "skipped" not in told + written(tmp_path)
    assert "Job raised an exception" in told


def test_a_new_file_begins_at_midnight_in_india_and_fourteen_are_kept(tmp_path: Path) -> None:
    moment = [datetime(2026, 11, 1, 23, 59, 59, tzinfo=IST)]
    handler = DailyFile(tmp_path, "engine", now=lambda: moment[0])
    handler.setFormatter(logging.Formatter("%(message)s"))
    for number in range(20):
        handler.emit(logging.makeLogRecord({"msg": f"day {number}"}))
        moment[0] += timedelta(days=1)
    handler.close()
    names = sorted(file.name for file in tmp_path.iterdir())
    assert len(names) == FILES_KEPT
    assert (names[0], names[-1]) == ("engine-2026-11-07.jsonl", "engine-2026-11-20.jsonl")
    assert (tmp_path / names[-1]).read_text(encoding="utf-8") == "day 19\n"


def test_p15_a_day_that_floods_the_log_is_cut_and_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workbench.bootstrap.logs.MOST_BYTES", 100)
    handler = DailyFile(tmp_path, "engine")
    handler.setFormatter(logging.Formatter("%(message)s"))
    for _ in range(50):
        handler.emit(logging.makeLogRecord({"msg": "x" * 20}))
    handler.close()
    (file,) = tmp_path.iterdir()
    assert file.stat().st_size <= 100

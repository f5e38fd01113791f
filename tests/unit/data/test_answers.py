"""What an answer of the data endpoints comes to."""

from __future__ import annotations

from typing import Any

import pytest

from workbench.data.answers import Verdict, read, reading_of


def refusal(code: str, message: str = "") -> dict[str, Any]:
    return {
        "status": "failure",
        "remarks": {"error_code": code, "error_type": "", "error_message": message},
        "data": "",
    }


@pytest.mark.parametrize(
    ("code", "message", "verdict"),
    [
        ("DH-907", "System is unable to fetch data due to incorrect parameters or no data present", Verdict.NOTHING),
        ("DH-905", "No data available for the given range", Verdict.NOTHING),
        ("DH-905", "Missing required fields, bad values for parameters etc.", Verdict.REFUSED),
        ("DH-905", "Data for Intraday Charts can be fetched for 90 days at a time", Verdict.REFUSED),
        ("DH-905", "Invalid IP", Verdict.SHUT),
        ("DH-906", "Invalid Token", Verdict.SHUT),
        ("DH-901", "expired", Verdict.SHUT),
        ("806", "Data APIs not subscribed", Verdict.SHUT),
        ("813", "Invalid SecurityId", Verdict.REFUSED),
        ("DH-904", "too many", Verdict.SILENT),
        ("800", "internal", Verdict.SILENT),
    ],
)
def test_no_data_a_refusal_a_shut_door_and_a_passing_trouble_are_told_apart(
    code: str, message: str, verdict: Verdict
) -> None:
    assert reading_of(refusal(code, message)).verdict is verdict


def test_only_what_passes_is_asked_again_and_only_once() -> None:
    waits: list[float] = []
    silent = {"status": "failure", "remarks": "timed out", "data": ""}
    asked = iter([refusal("DH-904"), refusal("DH-905", "bad")])
    assert read(lambda: next(asked), pause=waits.append).verdict is Verdict.REFUSED
    assert len(waits) == 1
    assert read(lambda: silent, pause=waits.append).verdict is Verdict.SILENT
    assert len(waits) == 2


def test_errors_say_what_where_and_the_way_out() -> None:
    text = str(reading_of(refusal("DH-901", "expired")).error("minutes of NIFTY"))
    assert "minutes of NIFTY" in text
    assert "workbench doctor" in text
    assert "check the instrument" in str(reading_of(refusal("DH-905", "bad")).error("x"))
    assert "try again" in str(reading_of({"status": "failure", "remarks": "reset", "data": ""}).error("x"))

"""The recorded exchanges with Dhan that lie beside the repository: read, and told apart from what was written by hand.

A recording is real when its body is what a server sent: documentation samples (their ids stand in Dhan's own pages) and
bodies whose length contradicts the recorded header are not, and each is named here with its reason.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

DOCUMENTED_IDS = ('"dhanClientId": "1000000003"', '"orderId": "112111182198"', '"dhanClientId":"1100003626"')
BY_HAND = {
    "models/trade_find.yml#0": "three fields of a trade row, an id of 123456789 and no Vary header",
    "models/position_convert.yml#0": "Dhan answers 202 without a body; a client of the documentation sample's account",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One request and its answer; `name` is file and place in it."""

    name: str
    method: str
    path: str
    request: Any
    status: int
    body: str
    declared_length: int | None

    @property
    def document(self) -> Any:
        """The answer as JSON."""
        return json.loads(self.body)

    @property
    def template(self) -> str:
        """Why this is no recording of what a server said; empty for a real one."""
        if self.name in BY_HAND:
            return BY_HAND[self.name]
        if self.declared_length is not None and self.declared_length != len(self.body.encode()):
            return f"the body has {len(self.body.encode())} bytes and its header says {self.declared_length}"
        if any(text in self.body for text in DOCUMENTED_IDS):
            return "the sample of Dhan's documentation"
        return ""


def read_all(folder: Path) -> list[Exchange]:
    """Read every recorded exchange of a folder, in the order of their names."""
    found = []
    for file in sorted(folder.rglob("*.yml")):
        tape = yaml.safe_load(file.read_text(encoding="utf-8"))
        for place, each in enumerate(tape["http_interactions"]):
            request, response = each["request"], each["response"]
            sent = request["body"].get("string") or ""
            parts = urlsplit(request["uri"])
            lengths = response["headers"].get("Content-Length")
            found.append(
                Exchange(
                    name=f"{file.relative_to(folder).as_posix()}#{place}",
                    method=request["method"].upper(),
                    path=parts.path.removeprefix("/v2") + (f"?{parts.query}" if parts.query else ""),
                    request=json.loads(sent) if sent else None,
                    status=int(response["status"]["code"]),
                    body=response["body"].get("string") or "",
                    declared_length=int(lengths[0]) if lengths else None,
                )
            )
    return found

"""How a command answers on the terminal: lines for people, or one JSON document with `--json`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable
from typing import Any


def printed(args: argparse.Namespace, body: Any) -> int:
    """Print one answer, as JSON where `--json` was given, and give the exit code of a command that went well."""
    if args.json:
        sys.stdout.write(json.dumps(body, indent=2, default=str) + "\n")
    else:
        sys.stdout.write("\n".join(_lines(body)) + "\n")
    return 0


def _lines(body: Any, indent: str = "") -> Iterable[str]:
    if isinstance(body, dict):
        for key, value in body.items():
            if isinstance(value, dict | list) and value:
                yield f"{indent}{key}:"
                yield from _lines(value, indent + "  ")
            else:
                yield f"{indent}{key}: {'none' if value in ([], {}) else value}"
    elif isinstance(body, list):
        for item in body[:40]:
            if isinstance(item, dict) and all(not isinstance(value, dict | list) for value in item.values()):
                yield indent + "  ".join(f"{key}={value}" for key, value in item.items())
            else:
                yield from _lines(item, indent + "- ")
        if len(body) > 40:
            yield f"{indent}... {len(body) - 40} more (use --json)"
    else:
        yield f"{indent}{body}"

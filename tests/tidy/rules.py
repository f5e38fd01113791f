"""Rules on the tree that no linter knows.

Each takes text and gives findings, so that each is itself tested on a bad sample.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator

MODULE_LINES = 500
FUNCTION_LINES = 60
BANNED_NAMES = frozenset({"util", "utils", "helper", "helpers", "common", "manager", "managers", "misc"})
POSIX_MODULES = frozenset({"fcntl", "pwd", "grp", "resource", "termios", "posix", "pty", "syslog", "uvloop"})
POSIX_CALLS = {
    "os": {
        "fork",
        "forkpty",
        "setsid",
        "killpg",
        "getpgid",
        "setpgid",
        "setpgrp",
        "getuid",
        "geteuid",
        "mkfifo",
        "uname",
        "wait",
    },
    "signal": {
        "SIGKILL",
        "SIGHUP",
        "SIGUSR1",
        "SIGUSR2",
        "SIGALRM",
        "SIGCHLD",
        "SIGSTOP",
        "alarm",
        "setitimer",
        "pause",
    },
}
# A list of what core may import: a new name here is a decision, a forgotten ban would be an accident.
CORE_IMPORTS = frozenset(
    {"__future__", "abc", "base64", "bisect", "calendar", "collections", "copy", "dataclasses", "datetime", "decimal"}
    | {
        "difflib",
        "enum",
        "fractions",
        "functools",
        "hashlib",
        "heapq",
        "inspect",
        "itertools",
        "json",
        "keyword",
        "math",
    }
    | {"numbers", "operator", "re", "statistics", "string", "struct", "textwrap", "types", "typing", "unicodedata"}
    | {"zlib", "zoneinfo", "workbench"}
)
CLOCK_CALLS = frozenset({"now", "today", "utcnow"})
IMPURE_CALLS = frozenset({"open", "print", "input", "exec", "eval", "__import__"})
DECISION_HEADINGS = ("Context", "Options", "Decision", "What would prove it wrong")
# Written in two pieces, so that this file passes its own rule.
FORBIDDEN_TEXT = tuple(
    left + right
    for left, right in (
        ("/wo", "rk/"),
        ("/home/", "user"),
        ("/ro", "ot/"),
        ("/opt/", "pypi"),
        ("/opt/", "wheels"),
        ("py", "pi.org"),
        ("python", "hosted"),
        ("--index", "-url"),
        ("--extra-index", "-url"),
        ("--find", "-links"),
    )
)


def long_module(text: str) -> list[str]:
    """Find a module past the end of its room."""
    count = len(text.splitlines())
    return [f"{count} lines; past 400 it becomes a package, {MODULE_LINES} is the end"] if count > MODULE_LINES else []


def long_functions(text: str) -> list[str]:
    """Find functions that are too long, their docstrings not counted."""
    findings = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[1] if ast.get_docstring(node) is not None and len(node.body) > 1 else node.body[0]
            count = (node.end_lineno or 0) - first.lineno + 1
            if count > FUNCTION_LINES:
                findings.append(f"line {node.lineno}: {node.name} has {count} lines, {FUNCTION_LINES} are allowed")
    return findings


def banned_name(path: str) -> list[str]:
    """Find names of modules and packages that say nothing."""
    parts = path.removesuffix(".py").split("/")
    return [f"{part!r} names no thing; say what is in it" for part in parts if part.strip("_") in BANNED_NAMES]


def posix_only(text: str) -> list[str]:
    """Find calls and modules that Windows does not have."""
    findings = []
    for node in ast.walk(ast.parse(text)):
        for name in _imported(node):
            if name.split(".")[0] in POSIX_MODULES:
                findings.append(f"line {_line(node)}: {name} is not on Windows")
        if isinstance(node, ast.ImportFrom) and node.module in POSIX_CALLS:
            bad = sorted({alias.name for alias in node.names} & POSIX_CALLS[node.module])
            findings += [f"line {node.lineno}: {node.module}.{name} is not on Windows" for name in bad]
        if isinstance(node, ast.Attribute):
            owner = node.value.id if isinstance(node.value, ast.Name) else ""
            if node.attr in POSIX_CALLS.get(owner, ()) or node.attr == "add_signal_handler":
                findings.append(f"line {node.lineno}: {owner}.{node.attr} is not on Windows")
        if isinstance(node, ast.keyword) and node.arg in {"preexec_fn", "start_new_session"}:
            findings.append(f"line {_line(node.value)}: {node.arg} is not on Windows")
    return findings


def without_encoding(text: str) -> list[str]:
    """Find text that is read or written in the machine's own encoding."""
    findings = []
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
        keywords = {keyword.arg: keyword.value for keyword in node.keywords}
        if "encoding" in keywords or None in keywords:
            continue
        as_text = isinstance(flag := keywords.get("text"), ast.Constant) and flag.value is True
        if (
            (name == "read_text" and not node.args)
            or (name == "write_text" and len(node.args) < 2)
            or (name == "open" and _opens_text(node, keywords))
            or (name in {"run", "Popen", "check_output"} and as_text)
        ):
            findings.append(f'line {node.lineno}: {name} without encoding="utf-8"')
    return findings


def _opens_text(node: ast.Call, keywords: dict[str | None, ast.expr]) -> bool:
    built_in = isinstance(node.func, ast.Name)
    position = 1 if built_in else 0
    mode = keywords.get("mode") or (node.args[position] if len(node.args) > position else None)
    if built_in:
        return mode is None or (isinstance(mode, ast.Constant) and "b" not in str(mode.value))
    # Other things have an `open` too: only a mode in plain sight tells a path's from a store's.
    is_mode = (
        isinstance(mode, ast.Constant) and isinstance(mode.value, str) and re.fullmatch(r"[rwax+t]{1,3}", mode.value)
    )
    return is_mode is not None and is_mode is not False


def impure(text: str) -> list[str]:
    """Find in a core module what reaches outside: imports that run, the clock, files, the console."""
    tree = ast.parse(text)
    findings = []
    for node in _running(tree):
        for name in _imported(node):
            if name.split(".")[0] not in CORE_IMPORTS:
                findings.append(f"line {_line(node)}: core may not import {name}")
            elif (
                name.startswith("workbench")
                and name not in {"workbench", "workbench.core"}
                and not name.startswith("workbench.core.")
            ):
                findings.append(f"line {_line(node)}: core knows only core, not {name}")
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Attribute) and node.func.attr in CLOCK_CALLS and not node.args:
                findings.append(f"line {node.lineno}: {node.func.attr}() reads a clock; take `now` as an argument")
            if isinstance(node.func, ast.Name) and node.func.id in IMPURE_CALLS:
                findings.append(f"line {node.lineno}: {node.func.id}() reaches outside")
    return findings


def unstripped(text: str) -> list[str]:
    """Find what running a notebook leaves in it."""
    notebook = json.loads(text)
    findings = ["metadata of papermill"] if "papermill" in notebook.get("metadata", {}) else []
    for number, cell in enumerate(notebook["cells"], start=1):
        if cell.get("outputs") or cell.get("execution_count") is not None:
            findings.append(f"cell {number} holds outputs; run: make strip")
        if {"papermill", "execution"} & set(cell.get("metadata", {})):
            findings.append(f"cell {number} holds metadata of a run; run: make strip")
    return findings


def loose_lock(text: str) -> list[str]:
    """Find what makes a lock depend on the machine: options, addresses, versions that are not exact, missing hashes."""
    findings = []
    entries = [entry.strip() for entry in text.replace("\\\n", " ").splitlines()]
    for entry in entries:
        if not entry or entry.startswith("#"):
            continue
        name = entry.split()[0]
        if entry.startswith("-"):
            findings.append(f"{name}: no options in the lock")
        elif "://" in entry or " @ " in entry:
            findings.append(f"{name}: no addresses in the lock")
        elif not re.match(r"[A-Za-z0-9._-]+==\S+", entry):
            findings.append(f"{name}: not an exact version")
        elif not re.search(r"--hash=sha256:[0-9a-f]{64}\b", entry):
            findings.append(f"{name}: no hash")
    return findings if any(entries) else ["the lock is empty"]


def unlocked(requirements: str, lock: str) -> list[str]:
    """Find names that stand in requirements.in and not in the lock."""
    locked = {_normal(match) for match in re.findall(r"^([A-Za-z0-9._-]+)==", lock, flags=re.MULTILINE)}
    wanted = re.findall(r"^([A-Za-z0-9._-]+)", requirements, flags=re.MULTILINE)
    return [f"{name} is not in requirements.lock" for name in wanted if _normal(name) not in locked]


def missing_headings(text: str) -> list[str]:
    """Find the parts that a decision page leaves out."""
    headings = [line.lstrip("#").strip().lower() for line in text.splitlines() if line.startswith("## ")]
    return [f"no heading '## {wanted}'" for wanted in DECISION_HEADINGS if wanted.lower() not in headings]


def forbidden_text(text: str) -> list[str]:
    """Find paths of one machine and hosts of package indexes."""
    lines = text.splitlines()
    return [f"line {at}: {bad!r}" for at, line in enumerate(lines, start=1) for bad in FORBIDDEN_TEXT if bad in line]


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _line(node: ast.AST) -> int:
    return getattr(node, "lineno", 0)


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [("workbench.core." if node.level else "") + (node.module or "")]
    return []


def _running(node: ast.AST) -> Iterator[ast.AST]:
    """Walk what runs: not what stands under TYPE_CHECKING."""
    yield node
    skips = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
    children = node.orelse if isinstance(node, ast.If) and skips else ast.iter_child_nodes(node)
    for child in children:
        yield from _running(child)

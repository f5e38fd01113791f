"""Each rule finds its bad sample and lets a good one pass: a check that cannot fail is no check."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.tidy import rules

HASH = "--hash=sha256:" + "0" * 64
LONG = "def f():\n" + "    x = 1\n" * 61
SHORT_WITH_LONG_DOC = 'def f():\n    """Say.\n' + "    more\n" * 80 + '    """\n    return 1\n'
PAGE = "# 9. A thing\n\n## Context\n\n## Options\n\n## Decision\n\n## What would prove it wrong\n"


def notebook(**cell: object) -> str:
    return json.dumps({"metadata": {}, "cells": [{"cell_type": "code", "metadata": {}, "source": "1", **cell}]})


BAD: list[tuple[Callable[[str], list[str]], str]] = [
    (rules.long_module, "x = 1\n" * 501),
    (rules.long_functions, LONG),
    (rules.banned_name, "workbench/data/utils.py"),
    (rules.banned_name, "workbench/common/bars.py"),
    (rules.posix_only, "import fcntl"),
    (rules.posix_only, "from os import fork"),
    (rules.posix_only, "import os\nos.setsid()"),
    (rules.posix_only, "import os, signal\nos.kill(1, signal.SIGKILL)"),
    (rules.posix_only, "loop.add_signal_handler(2, stop)"),
    (rules.posix_only, "Popen(['x'], preexec_fn=f)"),
    (rules.without_encoding, "open('x')"),
    (rules.without_encoding, "open('x', 'w')"),
    (rules.without_encoding, "path.open('w')"),
    (rules.without_encoding, "path.read_text()"),
    (rules.without_encoding, "path.write_text('x')"),
    (rules.without_encoding, "subprocess.run(['x'], text=True)"),
    (rules.impure, "import time"),
    (rules.impure, "from random import random"),
    (rules.impure, "import threading"),
    (rules.impure, "def f():\n    import pandas"),
    (rules.impure, "from workbench.data import bar_store"),
    (rules.impure, "from datetime import datetime\ndatetime.now()"),
    (rules.impure, "from datetime import date\ndate.today()"),
    (rules.impure, "open('x', 'rb')"),
    (rules.impure, "if TYPE_CHECKING:\n    import pandas\nelse:\n    import os"),
    (rules.unstripped, notebook(outputs=[{"output_type": "stream"}], execution_count=None)),
    (rules.unstripped, notebook(outputs=[], execution_count=3)),
    (rules.unstripped, notebook(outputs=[], execution_count=None, metadata={"papermill": {}})),
    (rules.loose_lock, ""),
    (rules.loose_lock, "numpy==2.0"),
    (rules.loose_lock, f"numpy>=2.0 {HASH}"),
    (rules.loose_lock, f"--only-binary :all:\nnumpy==2.0 {HASH}"),
    (rules.loose_lock, f"numpy @ file:///tmp/numpy.whl {HASH}"),
    (rules.missing_headings, PAGE.replace("## Options\n", "")),
    (rules.forbidden_text, "see " + "/wo" + "rk/here"),
]
GOOD: list[tuple[Callable[[str], list[str]], str]] = [
    (rules.long_module, "x = 1\n" * 500),
    (rules.long_functions, SHORT_WITH_LONG_DOC),
    (rules.banned_name, "workbench/core/bars.py"),
    (rules.posix_only, "import os, signal\nos.kill(1, signal.SIGTERM)\nos.replace('a', 'b')"),
    (
        rules.without_encoding,
        "open('x', 'rb')\nopen('x', encoding='utf-8')\npath.read_text('utf-8')\nstore.open(day)\nd.open()",
    ),
    (rules.impure, "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import pandas as pd"),
    (rules.impure, "from datetime import datetime, time\nfrom workbench.core.money import snap\nbars.now"),
    (rules.unstripped, notebook(outputs=[], execution_count=None)),
    (rules.loose_lock, f"# made by hand\nnumpy==2.0 ; python_version < '3.12' \\\n    {HASH}\n"),
    (rules.missing_headings, PAGE),
    (rules.forbidden_text, "see ../shared/data"),
]


def name(value: object) -> str:
    return getattr(value, "__name__", None) or repr(value)[:40]


@pytest.mark.parametrize(("rule", "sample"), BAD, ids=name)
def test_a_bad_sample_is_found(rule: Callable[[str], list[str]], sample: str) -> None:
    assert rule(sample)


@pytest.mark.parametrize(("rule", "sample"), GOOD, ids=name)
def test_a_good_sample_passes(rule: Callable[[str], list[str]], sample: str) -> None:
    assert rule(sample) == []


def test_a_requirement_that_was_never_locked_is_found() -> None:
    assert rules.unlocked("# why\nnumpy>=2\nPyYAML\n", f"numpy==2.0 {HASH}") == ["PyYAML is not in requirements.lock"]
    assert rules.unlocked("pandas_market_calendars\n", f"pandas-market-calendars==5 {HASH}") == []

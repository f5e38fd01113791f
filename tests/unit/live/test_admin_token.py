"""The admin token's file, and what a power cut may leave of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench.live.admin_token import FILE, admin_token


@pytest.mark.parametrize("left", [b"", b"\xff\xfe", b"\0" * 43 + b"\n", b"two\nlines"])
def test_a_token_file_that_can_open_nothing_is_made_anew(tmp_path: Path, left: bytes) -> None:
    (tmp_path / FILE).write_bytes(left)
    made = admin_token(tmp_path)
    assert len(made) > 40 and made.isascii()
    assert admin_token(tmp_path) == made

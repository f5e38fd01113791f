"""What tests of the core share as fixtures."""

import pytest

from workbench.core import risk


@pytest.fixture
def bare_is_entered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a bought option without a stop in, as builds before the gate did: a journal may hold such a position."""
    monkeypatch.setattr(risk, "without_stop", lambda _: "")

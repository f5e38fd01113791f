"""Failures inside the published suites are shown like those of tests."""

import pytest

pytest.register_assert_rewrite("workbench.testing.broker_contract")

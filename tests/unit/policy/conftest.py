"""Fixtures for the tests of policies."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from selab.policy.toolchain import Toolchain
from tests.unit.policy.store import Resolver


@pytest.fixture
def flattener() -> Iterator[Toolchain]:
    """Tools that flatten a base policy, and that must leave no file behind.

    tests/unit/policy/test_distributions.py runs the real secil2tree.
    """
    machine = Resolver()
    yield Toolchain(machine, "/work")
    assert machine.files == {}

"""The recorded policy as a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.policy.query.recorded_policy import POLICY


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    """The kernel policy that recorded_policy.py describes in CIL."""
    path = tmp_path / "policy"
    path.write_bytes(POLICY)
    return path

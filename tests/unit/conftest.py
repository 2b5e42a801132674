"""Fixtures that many unit tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

from selab.project import Project, find_project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """An empty project with its directories."""
    (tmp_path / "selab.yaml").write_text("")
    for name in ("policies", "scenarios", "images"):
        (tmp_path / name).mkdir()
    return find_project(tmp_path)

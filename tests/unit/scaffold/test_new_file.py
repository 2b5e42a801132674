"""A new file never replaces an existing one, even if another process creates it first."""

from __future__ import annotations

import pytest

from selab.errors import InputError
from selab.project import Project
from selab.scaffold.new_file import create


def test_its_path_is_below_the_project(project: Project) -> None:
    assert create(project, project.policies / "web.te", "x") == "policies/web.te"


def test_the_directory_is_made(project: Project) -> None:
    project.policies.rmdir()
    create(project, project.policies / "web.te", "x")
    assert (project.policies / "web.te").read_text() == "x"


def test_what_is_there_stays(project: Project) -> None:
    (project.policies / "web.te").write_text("mine")
    with pytest.raises(InputError, match="already"):
        create(project, project.policies / "web.te", "x")
    assert (project.policies / "web.te").read_text() == "mine"

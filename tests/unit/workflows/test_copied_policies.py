"""The copy of the policies that `learn` and `minimise` work on: only regular files inside the project."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from selab.errors import InputError
from selab.project import Project, find_project
from selab.workflows.drafts import drafts


@pytest.fixture
def nested(tmp_path: Path) -> Project:
    """A project beside which there are other files."""
    root = tmp_path / "project"
    (root / "policies").mkdir(parents=True)
    (root / "selab.yaml").write_text("")
    return find_project(root)


def assert_refused(project: Project, name: str) -> None:
    with pytest.raises(InputError) as error:
        drafts(project, "web")
    assert name in str(error.value)
    assert len(str(error.value).splitlines()) == 3
    assert not list((project.root / ".selab").rglob(name))


@pytest.mark.parametrize("ending", ["te", "fc", "if"])
def test_a_link_to_a_file_outside_is_refused(nested: Project, ending: str) -> None:
    secret = nested.root.parent / "secret"
    secret.write_text("private\n")
    (nested.policies / f"evil.{ending}").symlink_to(secret)
    assert_refused(nested, f"evil.{ending}")


def test_a_policies_directory_outside_is_refused(nested: Project) -> None:
    nested.policies.rename(nested.root.parent / "other")
    (nested.root.parent / "other" / "web.te").write_text("private\n")
    nested.policies.symlink_to(nested.root.parent / "other")
    assert_refused(nested, "web.te")


def test_a_named_pipe_is_refused_and_not_waited_for(nested: Project) -> None:
    os.mkfifo(nested.policies / "evil.te")
    assert_refused(nested, "evil.te")


def test_a_directory_is_refused(nested: Project) -> None:
    (nested.policies / "evil.te").mkdir()
    assert_refused(nested, "evil.te")


def test_a_link_that_leads_nowhere_is_refused(nested: Project) -> None:
    (nested.policies / "evil.te").symlink_to("nothing")
    assert_refused(nested, "evil.te")


def test_regular_files_and_links_to_them_inside_are_copied(nested: Project) -> None:
    (nested.policies / "web.te").write_bytes(b"policy \xff\n")
    (nested.policies / "web.te").chmod(0o400)
    (nested.root / "shared.if").write_text("interface\n")
    (nested.policies / "shared.if").symlink_to("../shared.if")
    copies = drafts(nested, "web").policies
    assert (copies / "web.te").read_bytes() == b"policy \xff\n"
    assert (copies / "shared.if").read_text() == "interface\n"
    assert not (copies / "shared.if").is_symlink()

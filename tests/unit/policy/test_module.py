"""A candidate's files and its name."""

from __future__ import annotations

import pytest

from selab.errors import InputError
from selab.policy.module import load_module
from selab.project import Project


def test_a_module_is_read_with_its_contexts_and_interfaces(project: Project) -> None:
    (project.policies / "web.te").write_text("policy_module(web, 1.0)\n")
    (project.policies / "web.fc").write_text("/srv -- gen_context(x)\n")
    assert sorted(load_module(project, "web").texts) == ["fc", "te"]


def test_an_unknown_policy_is_answered_with_the_nearest_name(project: Project) -> None:
    (project.policies / "apache.te").write_text("policy_module(apache, 1.0)\n")
    with pytest.raises(InputError) as caught:
        load_module(project, "apach")
    assert caught.value.hint == "Did you mean 'apache'?"


@pytest.mark.parametrize("text", ["# x\npolicy_module(other, 1.0)\n", "\nmodule other 1.0;\n"])
def test_a_module_in_a_file_of_another_name_is_refused(project: Project, text: str) -> None:
    (project.policies / "web.te").write_text(text)
    with pytest.raises(InputError) as caught:
        load_module(project, "web")
    assert caught.value.detail.endswith("web.te:2")


def test_a_file_without_a_module_statement_is_refused(project: Project) -> None:
    (project.policies / "web.te").write_text("allow a b:file read;\n")
    with pytest.raises(InputError, match="does not say its name"):
        load_module(project, "web")


def test_the_digest_changes_with_every_source(project: Project) -> None:
    (project.policies / "web.te").write_text("policy_module(web, 1.0)\n")
    before = load_module(project, "web").digest
    (project.policies / "web.fc").write_text("")
    assert load_module(project, "web").digest != before


def test_a_path_is_no_policy_name(project: Project) -> None:
    (project.root / "x.te").write_text("policy_module(x, 1.0)\n")
    with pytest.raises(InputError, match="There is no policy"):
        load_module(project, "../x")

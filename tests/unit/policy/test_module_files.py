"""Which files a policy has, and what selab refuses to read."""

from __future__ import annotations

import os

import pytest

from selab.errors import InputError
from selab.policy.module import load_module
from selab.policy.module_files import policy_names
from selab.project import NEW_POLICY, Project


def test_a_module_is_read_with_its_contexts_and_interfaces(project: Project) -> None:
    (project.policies / "web.te").write_text("policy_module(web, 1.0)\n")
    (project.policies / "web.fc").write_text("/srv -- gen_context(x)\n")
    assert sorted(load_module(project, "web").texts) == ["fc", "te"]


@pytest.mark.parametrize("name", ["web.te", "web.cil"])
def test_a_pipe_is_refused_and_not_waited_for(project: Project, name: str) -> None:
    os.mkfifo(project.policies / name)
    with pytest.raises(InputError, match=f"{name} is not a regular file"):
        load_module(project, "web")


def test_an_unknown_policy_is_answered_with_the_nearest_name(project: Project) -> None:
    (project.policies / "apache.te").write_text("policy_module(apache, 1.0)\n")
    with pytest.raises(InputError) as caught:
        load_module(project, "apach")
    assert "'apache'" in caught.value.hint


@pytest.mark.parametrize("text", ["# x\npolicy_module(other, 1.0)\n", "\nmodule other 1.0;\n"])
def test_a_module_in_a_file_of_another_name_is_refused(project: Project, text: str) -> None:
    (project.policies / "web.te").write_text(text)
    with pytest.raises(InputError) as caught:
        load_module(project, "web")
    assert caught.value.detail.endswith("web.te:2")


def test_a_file_without_a_module_statement_is_refused(project: Project) -> None:
    (project.policies / "web.te").write_text("allow a b:file read;\n")
    with pytest.raises(InputError, match="declare its name"):
        load_module(project, "web")


def test_policies_in_both_languages_are_listed(project: Project) -> None:
    for file in ("web.cil", "app.te", "app.fc"):
        (project.policies / file).write_text("")
    assert policy_names(project) == ["app", "web"]


def test_two_policies_of_one_name_are_refused(project: Project) -> None:
    for ending in ("cil", "te"):
        (project.policies / f"web.{ending}").write_text("")
    with pytest.raises(InputError, match="There are two policies 'web'"):
        load_module(project, "web")


def test_files_of_the_other_language_do_not_belong_to_a_module(project: Project) -> None:
    for ending in ("cil", "fc", "if"):
        (project.policies / f"web.{ending}").write_text("")
    assert [*load_module(project, "web").texts] == ["cil"]


def test_a_file_that_is_too_large_is_refused(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    (project.policies / "web.te").write_text("policy_module(web, 1.0)\n")
    monkeypatch.setattr("selab.policy.module_files.MAX_SOURCE", 10)
    with pytest.raises(InputError, match="too large for a policy module"):
        load_module(project, "web")


@pytest.mark.parametrize("ending", ["te", "fc", "if"])
def test_a_byte_order_mark_is_skipped(project: Project, ending: str) -> None:
    (project.policies / "bom.te").write_text("policy_module(bom, 1.0)\n")
    file = project.policies / f"bom.{ending}"
    text = file.read_bytes() if ending == "te" else b"# text\n"
    file.write_bytes(b"\xef\xbb\xbf" + text)
    assert load_module(project, "bom").texts[ending] == text


def test_a_file_in_utf_16_is_named_as_such(project: Project) -> None:
    (project.policies / "web.te").write_text("policy_module(web, 1.0)\n", encoding="utf-16")
    with pytest.raises(InputError, match="not UTF-8") as caught:
        load_module(project, "web")
    assert caught.value.hint == "Save the file as UTF-8."


@pytest.mark.parametrize("name", ["3scale", "a.b", "a-b", "none"])
def test_an_unknown_policy_is_answered_with_a_name_that_can_be_created(project: Project, name: str) -> None:
    with pytest.raises(InputError) as caught:
        load_module(project, name)
    suggestion = caught.value.hint.rpartition("`selab new policy ")[2].removesuffix("`.")
    assert NEW_POLICY.fullmatch(suggestion) and suggestion != "none"


@pytest.mark.parametrize(
    ("text", "problem", "hint"),
    [
        ("\nkind: UdicaPolcy", "is of an unknown kind: 'UdicaPolcy'", "Did you mean 'UdicaPolicy'"),
        ("\nkind: selinuxprofile", "is of an unknown kind", "'SelinuxProfile'"),
        ("\nspec: {}", "names no kind", "Available: SelinuxProfile"),
    ],
)
def test_a_yaml_file_of_another_kind_is_refused_with_the_nearest_one(
    project: Project, text: str, problem: str, hint: str
) -> None:
    (project.policies / "web.yaml").write_text(text)
    with pytest.raises(InputError, match=problem) as caught:
        load_module(project, "web")
    assert hint in caught.value.hint and caught.value.detail.startswith(f"{project.policies / 'web.yaml'}:")


@pytest.mark.parametrize("text", ["[", "- a", "a"])
def test_a_yaml_file_that_is_no_object_is_refused(project: Project, text: str) -> None:
    (project.policies / "web.yaml").write_text(text)
    with pytest.raises(InputError, match="web.yaml is not valid"):
        load_module(project, "web")

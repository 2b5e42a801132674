"""Tests how a project is located, what selab.yaml may contain, and which paths are inside the project."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from selab.errors import InputError
from selab.project import (
    BoxSource,
    HostConfig,
    Project,
    ProjectConfig,
    VmConfig,
    find_project,
    inside,
    nearest,
    new_policy_name,
)


def test_a_project_is_found_from_a_directory_below_it(project: Project) -> None:
    below = project.images / "web" / "files"
    below.mkdir(parents=True)
    assert find_project(below).root == project.root


def test_the_nearest_project_counts(project: Project) -> None:
    nested = project.root / "nested"
    nested.mkdir()
    (nested / "selab.yaml").write_text("vm: {cpus: 7}\n")
    assert find_project(nested).config.vm.cpus == 7


def test_a_directory_without_a_project_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no selab.yaml") as caught:
        find_project(tmp_path)
    assert str(tmp_path) in caught.value.what
    assert "selab init" in caught.value.hint


@pytest.mark.parametrize(("given", "directory"), [(None, ""), ("vagrant", "vagrant")])
def test_the_vagrantfile_is_in_the_root_unless_another_directory_is_given(
    project: Project, monkeypatch: pytest.MonkeyPatch, given: str | None, directory: str
) -> None:
    monkeypatch.chdir(project.root)
    assert find_project(project.root, Path(given) if given else None).vagrant_dir == project.root / directory


def test_drafts_replace_the_policies(project: Project, tmp_path: Path) -> None:
    assert project.policies == project.root / "policies"
    assert replace(project, drafts=tmp_path / "drafts").policies == tmp_path / "drafts"


def test_the_state_directory_is_created(project: Project) -> None:
    assert project.state.is_dir() and project.store.parent == project.root / ".selab"


@pytest.mark.parametrize(
    "path", ["images/../../x", "link", "../images-of-others/x", "images/link/x"], ids=lambda path: path
)
def test_a_path_that_leads_outside_is_refused(project: Project, path: str) -> None:
    for link in (project.root / "link", project.images / "link"):
        link.symlink_to(project.root.parent)
    with pytest.raises(InputError, match="is outside of"):
        inside(project.root, project.root / path, "The image")


def test_a_directory_whose_name_only_begins_alike_is_outside(project: Project) -> None:
    with pytest.raises(InputError, match="is outside of"):
        inside(project.images, project.root / "images-of-others", "The image")


def test_a_link_inside_is_resolved(project: Project) -> None:
    (project.root / "link").symlink_to(project.images)
    assert inside(project.root, project.root / "link" / "web", "The image") == project.images / "web"


def test_a_link_to_itself_is_an_error_of_the_user(project: Project) -> None:
    (project.root / "link").symlink_to("link")
    with pytest.raises(InputError):
        inside(project.root, project.root / "link" / "x", "The image")


@pytest.mark.parametrize(
    ("name", "known", "text"),
    [
        ("httpd", ["nginx", "htpd", "httpd2"], "Did you mean 'httpd2' or 'htpd'?"),
        ("zzz", ["nginx", "redis"], "Available: nginx, redis."),
        ("zzz", [], ""),
    ],
)
def test_the_nearest_names_are_suggested_and_otherwise_all(name: str, known: list[str], text: str) -> None:
    assert nearest(name, known) == text


@pytest.mark.parametrize("address", ["server", "10.0.0.1", "fe80::1", "a.b-c_d"])
def test_an_address_may_be_a_name_or_a_number(address: str) -> None:
    assert HostConfig(address=address).address == address


@pytest.mark.parametrize("address", ["server:22", "-oProxyCommand=x", "root@server", "a b", "", "x-"])
def test_an_address_with_anything_else_is_refused(address: str) -> None:
    with pytest.raises(ValidationError):
        HostConfig(address=address)


@pytest.mark.parametrize("base", ["../x", "a b", "-x", "a/b", "a" * 65, 12, "a\n"])
def test_the_name_of_a_base_policy_is_a_word(base: object) -> None:
    assert VmConfig(base="centos9").base == "centos9"
    with pytest.raises(ValidationError):
        VmConfig.model_validate({"base": base})


@pytest.mark.parametrize("vm", [{"box": "host"}, {"box": "auto", "host": {"address": "a"}}])
def test_an_existing_host_and_its_box_belong_together(vm: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="box: host"):
        VmConfig.model_validate(vm)


@pytest.mark.parametrize(
    "source",
    [
        {"url": "ftp://x/y.box"},
        {"url": "https://x/\n"},
        {"sha256": "5" * 63},
        {"sha256": "A" * 64},
        {"file": "a\nb"},
    ],
)
def test_a_source_with_a_malformed_value_is_refused(source: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        BoxSource.model_validate(source)


@pytest.mark.parametrize("name", ["../x", "a b", "a;b", "$(x)", "-x", ""])
def test_the_name_of_a_policy_cannot_be_read_as_anything_else(name: str) -> None:
    with pytest.raises(ValidationError):
        ProjectConfig.model_validate({"policies": {name: {}}})
    with pytest.raises(ValidationError):
        ProjectConfig.model_validate({"policies": {"web": {"requires": [name]}}})


@pytest.mark.parametrize(
    ("name", "suggestion"),
    [
        ("web", "web"),
        ("web-app.v2", "web_app_v2"),
        ("w\u00e9b", "w_b"),
        ("9web", "my_9web"),
        ("none", "my_none"),
        ("a" * 64, "a" * 64),
        ("a" * 65, "a" * 40),
    ],
)
def test_a_name_is_changed_only_as_far_as_a_new_policy_needs_it(name: str, suggestion: str) -> None:
    assert new_policy_name(name) == suggestion

"""Tests how a project is located, what selab.yaml may contain, and which paths are inside the project."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from selab.errors import InputError, SelabError
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
    with pytest.raises(InputError) as caught:
        find_project(tmp_path)
    assert caught.value.what == f"There is no selab.yaml in {tmp_path} or above it."
    assert caught.value.hint == (
        "Change to a project, name one with --project, or create one with `selab init`."
    )


@pytest.mark.parametrize("foreign", ["", "selab.yaml"], ids=["directory", "file"])
def test_a_project_of_another_user_is_used_only_if_it_is_trusted(
    project: Project, monkeypatch: pytest.MonkeyPatch, foreign: str
) -> None:
    trusted: set[str] = set()
    monkeypatch.setattr("selab.project.owner_is_trusted", lambda path: path != project.root / foreign)
    monkeypatch.setattr("selab.project.directories", lambda: trusted)
    with pytest.raises(SelabError) as caught:
        find_project(project.root)
    assert (caught.value.what, caught.value.detail, caught.value.hint) == (
        "This project belongs to another user.",
        f"selab would use it with your rights: {project.root}",
        f"If you trust its owner and what is in it, run `selab trust {project.root}`.",
    )
    trusted.add(str(project.root))
    assert find_project(project.root).root == project.root


def test_the_directories_of_a_project_have_fixed_names(project: Project, tmp_path: Path) -> None:
    drafted = replace(project, drafts=tmp_path)
    names = ("policies/templates", "scenarios", "images", ".selab/store.json")
    paths = [drafted.templates, drafted.scenarios, drafted.images, drafted.store]
    assert paths == [project.root / name for name in names]


def test_an_own_directory_is_private_and_no_link(project: Project) -> None:
    own = project.own_directory("a", "b")
    assert own == project.state / "a" / "b"
    assert {path.stat().st_mode & 0o777 for path in (own, own.parent)} == {0o700}
    (project.state / "link").symlink_to(own)
    with pytest.raises(SelabError):
        project.own_directory("link", "c")
    assert not (own / "c").exists()


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
    with pytest.raises(InputError) as caught:
        inside(project.root, project.root / path, "The image")
    assert (caught.value.what, caught.value.detail, caught.value.hint) == (
        f"The image is outside of {project.root}.",
        f"{project.root / path} is {(project.root / path).resolve()}",
        "Copy it into the directory; links and '..' that lead outside are not followed.",
    )


def test_a_directory_whose_name_only_begins_alike_is_outside(project: Project) -> None:
    with pytest.raises(InputError, match="is outside of"):
        inside(project.images, project.root / "images-of-others", "The image")


def test_a_link_inside_is_resolved(project: Project) -> None:
    (project.root / "link").symlink_to(project.images)
    assert inside(project.root, project.root / "link" / "web", "The image") == project.images / "web"


def test_a_link_to_itself_is_an_error_of_the_user(project: Project) -> None:
    (project.root / "link").symlink_to("link")
    with pytest.raises(InputError) as caught:
        inside(project.root, project.root / "link" / "x", "The image")
    assert (caught.value.what, caught.value.hint) == (
        "The image cannot be found.",
        "Check the path and its links.",
    )
    assert caught.value.detail.startswith(f"{project.root / 'link' / 'x'}: ")


@pytest.mark.parametrize(
    ("name", "known", "text"),
    [
        ("httpd", ["nginx", "htpd", "httpd2"], "Did you mean 'httpd2' or 'htpd'?"),
        ("zzz", ["nginx", "redis"], "Available: nginx, redis."),
        ("abcd", ["abxx", "axxx"], "Did you mean 'abxx'?"),
        ("web", ["web1", "web2", "web3", "web4"], "Did you mean 'web4' or 'web3' or 'web2'?"),
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
    with pytest.raises(
        ValidationError, match="`box: host` requires `host: {address: ...}`, and no other box allows it"
    ):
        VmConfig.model_validate(vm)


def test_an_existing_host_with_its_address_is_accepted() -> None:
    vm = VmConfig.model_validate({"box": "host", "host": {"address": "a"}})
    assert vm.host == HostConfig(address="a")


def test_a_port_in_the_address_is_answered_with_the_right_key() -> None:
    with pytest.raises(ValidationError, match="give the port as `port:`, not in `address`"):
        HostConfig(address="server:22")


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

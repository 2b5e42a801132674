"""What selab remembers of a project's VM, and what it does not believe."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from selab.host.sealed import read_sealed, write_sealed
from selab.project import Project, find_project
from selab.vm.state import Remembered, State

KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nx\n-----END OPENSSH PRIVATE KEY-----\n"


@pytest.fixture
def state(project: Project) -> State:
    """The state of a VM that was reached before."""
    state = State(project)
    state.key.write_text(KEY)
    state.remember(Remembered("127.0.0.1", 2222, "root", str(state.key)))
    return state


def changed(state: State, **values: Any) -> Remembered | None:
    """What is remembered after `values` were changed in the file."""
    path = state.directory / "guest.json"
    write_sealed(path, read_sealed(path) | values)
    return state.remembered()


def test_what_was_remembered_is_known(state: State) -> None:
    assert state.remembered() == Remembered("127.0.0.1", 2222, "root", str(state.key))


def test_a_file_of_another_machine_is_not_believed(state: State) -> None:
    place = json.loads((state.directory / "guest.json").read_text())["written_for"]
    assert changed(state, written_for=f"{place.rpartition(' ')[0]} another-machine") is None


def test_a_file_of_another_directory_is_not_believed(state: State, tmp_path: Path) -> None:
    root = tmp_path / "copy"
    root.mkdir()
    (root / "selab.yaml").write_text("")
    copy = State(find_project(root))
    (copy.directory / "guest.json").write_text((state.directory / "guest.json").read_text())
    assert copy.remembered() is None


def test_a_file_that_came_with_the_repository_is_not_believed(state: State) -> None:
    """`git pull` can put it into a `.selab` that this user made."""
    path = state.directory / "guest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"port": 2223}))
    assert state.remembered() is None


@pytest.mark.parametrize("field", ["host", "port", "user", "key", "written_for"])
def test_a_file_without_a_field_is_not_believed(state: State, field: str) -> None:
    path = state.directory / "guest.json"
    stored = read_sealed(path)
    del stored[field]
    write_sealed(path, stored)
    assert state.remembered() is None


@pytest.mark.parametrize("values", [{"port": "2222"}, {"host": 1}, {"user": None}, {"domain": []}])
def test_a_field_of_another_kind_is_not_believed(state: State, values: dict[str, Any]) -> None:
    assert changed(state, **values) is None


@pytest.mark.parametrize("text", ["", KEY[:40], "no key"])
def test_a_key_that_is_cut_off_is_not_believed(state: State, text: str) -> None:
    state.key.write_text(text)
    assert state.remembered() is None


def test_secrets_are_readable_by_their_owner_alone(state: State, tmp_path: Path) -> None:
    (tmp_path / "vagrants_key").write_text(KEY)
    state.keep_key(tmp_path / "vagrants_key")
    state.keep_password("secret")
    modes = {path.name: path.stat().st_mode & 0o777 for path in state.directory.iterdir()}
    assert (modes["key"], modes["console"], state.password()) == (0o600, 0o600, "secret")


def test_the_applied_steps_are_kept_once_each(state: State) -> None:
    state.keep_applied(["Docker"])
    state.keep_applied(["Docker", "Podman"])
    assert state.applied() == ["Docker", "Podman"]


def test_nothing_of_a_vm_that_is_gone_stays(state: State) -> None:
    state.keep_password("secret")
    state.keep_applied(["Docker"])
    state.forget()
    assert (state.remembered(), state.password(), state.applied(), state.key.exists()) == (
        None,
        "",
        [],
        False,
    )


def test_each_project_has_a_vm_of_its_own(project: Project, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    assert State(project).name != State(replace(project, root=tmp_path / "other")).name


OTHER = "11111111-2222-3333-4444-555555555555"


def record_of_vagrant(project: Project, text: str) -> Path:
    path = project.vagrant_dir / ".vagrant" / "machines" / "default" / "libvirt" / "id"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    return path


def test_an_id_that_only_vagrant_recorded_is_not_believed(project: Project) -> None:
    record_of_vagrant(project, OTHER)
    assert State(project).domain == State(project).domain_name


def test_an_id_that_selab_recorded_is_believed(project: Project, state: State) -> None:
    state.remember(Remembered("127.0.0.1", 2222, "root", str(state.key), OTHER, "libvirt"))
    assert state.domain == OTHER


@pytest.mark.parametrize("text", ["--help", "other-project_default", f"{OTHER} --x", "\xff"])
def test_what_is_no_id_never_reaches_virsh(project: Project, text: str) -> None:
    record_of_vagrant(project, text)
    assert State(project).vagrants_domain == State(project).domain_name


def test_a_linked_record_of_vagrant_is_not_followed(project: Project, tmp_path: Path) -> None:
    path = record_of_vagrant(project, OTHER)
    (tmp_path / "id").write_text(OTHER)
    path.unlink()
    path.symlink_to(tmp_path / "id")
    assert State(project).vagrants_domain == State(project).domain_name


def test_a_restored_record_replaces_a_link(project: Project, state: State, tmp_path: Path) -> None:
    (tmp_path / "bashrc").write_text("alias\n")
    path = record_of_vagrant(project, OTHER)
    path.unlink()
    path.symlink_to(tmp_path / "bashrc")
    state.adopt(OTHER)
    assert ((tmp_path / "bashrc").read_text(), path.read_text()) == ("alias\n", OTHER)


def test_a_linked_host_key_is_not_believed(state: State, project: Project, tmp_path: Path) -> None:
    (tmp_path / "other").write_text("127.0.0.1 ssh-ed25519 AAAA\n")
    state.known_hosts.symlink_to(tmp_path / "other")
    assert not State(project).known_hosts.is_symlink()

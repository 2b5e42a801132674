"""The files in which selab records a VM: their names, their repair, and Vagrant's record beside them."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from selab.errors import SelabError
from selab.host.sealed import read_sealed, write_sealed
from selab.machine import VagrantParameters
from selab.project import Project
from selab.vm.host_keys import HOST_ALIAS
from selab.vm.ssh_login import Address
from selab.vm.state import MAX_ID, MAX_SECRET, Remembered, State

KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nx\n-----END OPENSSH PRIVATE KEY-----\n"
HOST_KEY = f"{HOST_ALIAS} ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBVlO4bIQmB8tbBVhBKhQKnZtKMkqRHbGtAjbCPrfGKv\n"
ID = "11111111-2222-3333-4444-55555555555a"
PARAMETERS = VagrantParameters(name="x", provider="libvirt")


@pytest.fixture
def state(project: Project) -> State:
    return State(project)


def record_of_vagrant(state: State, provider: str, text: str, name: str = "default") -> Path:
    """Write an id into a `.vagrant` that selab made."""
    state.claim_record()
    path = state._vagrant / "machines" / name / provider / "id"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    return path


# --- names ----------------------------------------------------------------------------------------


def test_the_files_keep_their_names(state: State) -> None:
    """Another name would lose the VM that an older selab made, and the Vagrantfile reads vm.json."""
    before = {path.name for path in state.directory.iterdir()}
    state.key.write_text(KEY)
    state.known_hosts.write_text(HOST_KEY)
    state.vagrant_log.touch()
    state.remember(Remembered("h", 22, "root", str(state.key)))
    state.keep_password("secret")
    state.keep_vagrant_parameters(PARAMETERS)
    state.keep_applied(["Docker"])
    assert {path.name for path in state.directory.iterdir()} - before == {
        "key",
        "known_hosts",
        "vagrant.log",
        "guest.json",
        "console",
        "vm.json",
        "vm.kept.json",
        "provisioned.json",
    }


def test_nothing_that_describes_the_vm_is_left_when_it_is_forgotten(state: State) -> None:
    before = {path.name for path in state.directory.iterdir()}
    test_the_files_keep_their_names(state)
    state.forget()
    assert {path.name for path in state.directory.iterdir()} - before == {"vagrant.log"}


@pytest.mark.parametrize(
    ("directory", "stem"),
    [
        ("lab-7", "lab-7"),
        ("_My lab (2)!", "My-lab-2"),
        ("\u00e9\u00e9", "project"),
        ("x" * 40, "x" * 32),
        ("X-lab-X", "X-lab-X"),
    ],
)
def test_a_vm_has_the_name_of_its_directory_in_plain_letters(
    project: Project, directory: str, stem: str
) -> None:
    root = project.root / directory
    root.mkdir()
    name = State(replace(project, root=root)).name
    assert re.fullmatch(rf"selab-{re.escape(stem)}-[0-9a-f]{{8}}", name)


def test_each_user_has_another_vm(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    name = State(project).name
    monkeypatch.setattr("selab.vm.state.os", SimpleNamespace(geteuid=lambda: 12345, path=os.path))
    assert State(project).name != name


def test_the_domain_has_the_name_that_vagrant_gives_it(state: State) -> None:
    assert state.domain_name == f"{state.name}_default"


# --- repair ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "stays"), [(HOST_KEY, True), ("garbage", False)])
def test_a_host_key_that_cannot_be_read_is_removed(project: Project, text: str, stays: bool) -> None:
    path = State(project).known_hosts
    path.write_text(text)
    assert State(project).known_hosts.exists() is stays


def test_secrets_become_private_again(project: Project) -> None:
    state = State(project)
    secrets = (state.key, state.directory / "console")
    for path in secrets:
        path.touch(mode=0o644)
        path.chmod(0o644)
    State(project)
    assert [path.stat().st_mode & 0o777 for path in secrets] == [0o600, 0o600]


@pytest.mark.parametrize("damage", ["", "{", '{"name": "other"}', None])
def test_damaged_parameters_are_restored_from_their_copy(state: State, damage: str | None) -> None:
    state.keep_vagrant_parameters(PARAMETERS)
    if damage is None:
        state.parameters.unlink()
    else:
        state.parameters.write_text(damage)
    assert state.vagrant_parameters() == PARAMETERS
    assert read_sealed(state.parameters) == PARAMETERS.to_json()


def test_damaged_parameters_without_a_copy_are_removed(state: State) -> None:
    state.parameters.write_text("{")
    assert (state.vagrant_parameters(), state.parameters.exists()) == (None, False)


def test_whole_parameters_are_not_replaced_by_an_older_copy(state: State) -> None:
    state.keep_vagrant_parameters(PARAMETERS)
    newer = replace(PARAMETERS, memory=4096)
    write_sealed(state.parameters, newer.to_json())
    assert state.vagrant_parameters() == newer


# --- the login ------------------------------------------------------------------------------------


def test_the_address_is_that_of_the_last_login(state: State) -> None:
    assert state.address() is None
    state.key.write_text(KEY)
    state.remember(Remembered("h", 2222, "root", str(state.key)))
    assert state.address() == Address("h", 2222, "root", state.key, state.known_hosts)


def test_a_login_of_a_selab_that_recorded_no_network_has_an_unknown_one(state: State) -> None:
    state.key.write_text(KEY)
    state.remember(Remembered("h", 22, "root", str(state.key), "d", "libvirt", "open"))
    path = state.directory / "guest.json"
    stored = read_sealed(path)
    del stored["network"]
    write_sealed(path, stored)
    known = state.remembered()
    assert known is not None and (known.network, known.domain) == ("unknown", "d")


@pytest.mark.parametrize("text", [KEY.replace("BEGIN", "START"), KEY.rstrip("-\n"), f"{KEY}\u00e9"])
def test_a_text_that_only_resembles_a_key_is_none(state: State, text: str) -> None:
    state.key.write_text(text)
    state.remember(Remembered("h", 22, "root", str(state.key)))
    assert state.remembered() is None


def test_a_key_beyond_the_limit_is_not_read_to_its_end(state: State) -> None:
    state.key.write_text(KEY.replace("x", "x" * (1 << 16)))
    state.remember(Remembered("h", 22, "root", str(state.key)))
    assert state.remembered() is None


def test_vagrants_key_is_copied(state: State, tmp_path: Path) -> None:
    (tmp_path / "vagrants").write_text(KEY)
    assert state.keep_key(tmp_path / "vagrants") == state.key
    assert state.key.read_text() == KEY


def test_a_key_that_is_the_copy_stays_as_it_is(state: State, tmp_path: Path) -> None:
    state.key.write_text(KEY)
    (tmp_path / "link").symlink_to(state.key)
    inode = state.key.stat().st_ino
    assert (state.keep_key(tmp_path / "link"), state.key.stat().st_ino) == (state.key, inode)


@pytest.mark.parametrize("provider", ["libvirt", "virtualbox"])
def test_a_new_key_replaces_selabs_and_vagrants(state: State, provider: str) -> None:
    vagrants = record_of_vagrant(state, provider, ID).with_name("private_key")
    state.replace_key(KEY, provider)
    assert [path.read_text() for path in (state.key, vagrants)] == [KEY, KEY]
    assert [path.stat().st_mode & 0o777 for path in (state.key, vagrants)] == [0o600, 0o600]


def test_a_new_key_creates_no_record_of_vagrant(state: State) -> None:
    state.replace_key(KEY, "libvirt")
    assert (state.key.read_text(), state._vagrant.exists()) == (KEY, False)


def test_a_password_is_read_without_the_space_around_it(state: State) -> None:
    assert state.password() == ""
    state.keep_password("secret")
    assert (state.directory / "console").read_text() == "secret\n"
    assert state.password() == "secret"


# --- Vagrant's record -----------------------------------------------------------------------------


def test_the_recorded_domain_counts_even_if_vagrants_record_is_of_another_provider(state: State) -> None:
    state.key.write_text(KEY)
    state.remember(Remembered("h", 22, "root", str(state.key), "recorded"))
    record_of_vagrant(state, "virtualbox", ID)
    assert state.domain == "recorded"


def test_a_vm_of_another_provider_has_no_domain(state: State) -> None:
    record_of_vagrant(state, "virtualbox", ID)
    assert (state.vagrants_domain, state.domain) == ("", "")


def test_vagrants_record_gives_the_domain_of_the_vm(state: State) -> None:
    assert state.vagrants_domain == state.domain_name  # there is no record
    record_of_vagrant(state, "libvirt", f" {ID}\n")
    assert state.vagrants_domain == ID


def test_an_id_that_cannot_be_read_hides_those_behind_it(state: State) -> None:
    record_of_vagrant(state, "libvirt", "\u00e9", "a")
    record_of_vagrant(state, "libvirt", ID, "b")
    assert state.vagrants_domain == state.domain_name


def test_no_file_is_read_beyond_its_limit(state: State) -> None:
    record_of_vagrant(state, "libvirt", f"{' ' * MAX_ID}{ID}")
    (state.directory / "console").write_text(f"{' ' * MAX_SECRET}secret")
    assert (state.vagrants_domain, state.recorded_vms(), state.password()) == (state.domain_name, [], "")
    state.key.write_text("x" * (MAX_SECRET + 1))
    state.adopt(ID)
    assert (state._vagrant / "machines/default/libvirt/private_key").stat().st_size == MAX_SECRET


def test_a_link_in_the_place_of_vagrants_record_gives_no_domain(state: State, tmp_path: Path) -> None:
    path = record_of_vagrant(state, "libvirt", ID)
    state._vagrant.rename(tmp_path / "moved")
    state._vagrant.symlink_to(tmp_path / "moved")
    assert path.exists() and state.vagrants_domain == state.domain_name


def test_the_recorded_vms_have_a_provider_and_an_id(state: State) -> None:
    record_of_vagrant(state, "libvirt", f"{ID.upper()}\n", "a")
    record_of_vagrant(state, "virtualbox", ID, "b")
    record_of_vagrant(state, "libvirt", "no id", "c")
    record_of_vagrant(state, "libvirt", "\u00e9", "d")
    assert state.recorded_vms() == [("libvirt", ID), ("virtualbox", ID)]


def test_a_record_that_selab_did_not_make_has_no_vms(state: State) -> None:
    path = state._vagrant / "machines" / "default" / "libvirt" / "id"
    path.parent.mkdir(parents=True)
    path.write_text(ID)
    assert state.recorded_vms() == []


def test_an_id_that_is_a_pipe_is_an_error(state: State) -> None:
    path = record_of_vagrant(state, "libvirt", ID)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(SelabError, match="not a regular file"):
        state.recorded_vms()


def test_a_record_that_the_user_allowed_is_not_claimed(state: State) -> None:
    (state._vagrant / "machines").mkdir(parents=True)
    state.claim_record()
    assert [path.name for path in state._vagrant.iterdir()] == ["machines"]


@pytest.mark.parametrize("has_key", [True, False])
def test_a_lost_record_of_vagrant_is_restored_with_the_key(state: State, has_key: bool) -> None:
    if has_key:
        state.key.write_text(KEY)
    state.adopt(ID)
    machine = state._vagrant / "machines" / "default" / "libvirt"
    contents = {path.name: path.read_text() for path in machine.iterdir()}
    assert contents == {"id": ID} | ({"private_key": KEY} if has_key else {})
    assert {path.stat().st_mode & 0o777 for path in (machine, *machine.parents[:3])} == {0o700}
    assert state.recorded_vms() == [("libvirt", ID)]

"""A VM's key is its own."""

from __future__ import annotations

from pathlib import Path

import paramiko
import pytest

from selab.progress import Progress
from selab.vm import keys

from .conftest import FakeVm

pytestmark = pytest.mark.program


def test_a_new_key_is_one_that_can_log_in(tmp_path: Path) -> None:
    private, public = keys.new_key()
    (tmp_path / "key").write_text(private)
    assert public.split()[1] == paramiko.PKey.from_path(tmp_path / "key").get_base64()


def test_a_key_that_vagrant_ships_is_everybodys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    private, _ = keys.new_key()
    (tmp_path / "insecure_private_keys").mkdir()
    (tmp_path / "insecure_private_keys" / "vagrant.key.ed25519").write_text(private)
    (tmp_path / "key").write_text(private + "\n")
    (tmp_path / "own").write_text(keys.new_key()[0])
    monkeypatch.setenv("VAGRANT_HOME", str(tmp_path))
    assert [keys.is_well_known(tmp_path / name) for name in ("key", "own")] == [True, False]


def test_a_vm_that_was_left_with_everybodys_key_gets_its_own(
    lab: FakeVm, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.up_before()
    monkeypatch.setattr(keys, "is_well_known", lambda key: "PRIVATE" not in key.read_text())
    monkeypatch.setattr("selab.vm.provision.ready_stamp", lambda: "ready other")
    lab.machine.ensure(Progress())
    assert "PRIVATE KEY" in lab.machine.files.key.read_text()
    assert lab.machine.files.key.stat().st_mode & 0o777 == 0o600


def test_the_consoles_password_is_set_once_and_kept_from_others(lab: FakeVm) -> None:
    lab.up_before()
    files = lab.machine.files
    password = files.password()
    lab.machine.ensure(Progress())
    assert len(password) >= 24 and files.password() == password
    assert (lab.project.state / "console").stat().st_mode & 0o777 == 0o600
    files.forget()
    assert files.password() == ""

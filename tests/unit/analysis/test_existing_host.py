"""The base policy of an existing host before its first run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from selab.analysis import existing_host, offline
from selab.analysis.offline import find_base
from selab.errors import SelabError
from selab.guest import script
from selab.policy.base import BASES, BasePolicy, directory_name
from selab.policy.survey import survey
from selab.project import HostConfig, Project, ProjectConfig, VmConfig
from tests.unit.conftest import seal
from tests.unit.fakes import FakeGuest, Notes

STORE = "type test\npolicyvers 33\nmls 1\nexpand 0\nstore\nsignature\na  modules/100/base/cil\n"


@pytest.fixture
def of_host(project: Project) -> Project:
    host = HostConfig(address="web.example")
    return replace(project, config=ProjectConfig(vm=VmConfig(box="host", host=host)))


@pytest.fixture
def guest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeGuest:
    """A machine whose base policy is in the cache."""
    guest = FakeGuest()
    guest.answer(script("policy/survey"), out=STORE)
    directory = tmp_path / "cache" / BASES / directory_name(survey().of(guest).fingerprint)
    (directory / "cil").mkdir(parents=True)
    (directory / "flat.cil").write_text("(type a_t)\n")
    seal(directory)
    monkeypatch.setenv("SELAB_CACHE", str(tmp_path / "cache"))
    machine = SimpleNamespace(connect=lambda: guest)
    monkeypatch.setattr(existing_host, "machine_of", lambda _: machine)
    return guest


def test_an_existing_host_is_asked_before_its_first_run(
    of_host: Project, guest: FakeGuest, base: BasePolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(offline, "newest_base", lambda _: base)
    notes = Notes()
    of_machine = find_base(of_host, notes)
    assert of_machine is not None and of_machine.facts == survey().of(guest)
    assert notes.notes == [] and guest.closed


def test_after_a_run_the_machine_is_not_asked(
    of_host: Project, base: BasePolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(offline, "base_of_last_run", lambda _: base)
    monkeypatch.setattr(existing_host, "machine_of", lambda _: SimpleNamespace())
    assert find_base(of_host, Notes()) is base


def test_a_vm_is_not_asked(project: Project, base: BasePolicy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(offline, "newest_base", lambda _: base)
    monkeypatch.setattr(existing_host, "machine_of", lambda _: SimpleNamespace())
    assert find_base(project, Notes()) is base


def test_a_host_that_does_not_answer_leaves_another_projects_base_policy_with_two_notes(
    of_host: Project, base: BasePolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    def connect() -> FakeGuest:
        raise SelabError("It is unreachable.", hint="Start it.")

    notes = Notes()
    monkeypatch.setattr(existing_host, "machine_of", lambda _: SimpleNamespace(connect=connect))
    monkeypatch.setattr(offline, "newest_base", lambda _: base)
    assert find_base(of_host, notes) is base
    assert ["web.example" in note for note in notes.notes] == [True, False]
    assert "unreachable" in notes.notes[0] and "another project" in notes.notes[1]

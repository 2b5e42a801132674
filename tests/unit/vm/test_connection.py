"""How selab logs in to the VM, and what it records about that."""

from __future__ import annotations

from typing import Any

import pytest

from selab.errors import Unreachable
from selab.progress import Progress
from selab.vm import connection, virtual_machine

from .conftest import FakeVm

pytestmark = pytest.mark.program


def silent(*_: Any, **__: Any) -> None:
    raise Unreachable("no answer")


def test_root_logs_in_once_the_guest_is_prepared(lab: FakeVm) -> None:
    lab.up_before()
    known = lab.machine.files.remembered()
    assert known is not None and known.user == "root"


@pytest.mark.parametrize("state", ["running", "inaccessible"])
def test_a_vm_that_runs_is_waited_for_and_then_explained(
    lab: FakeVm, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    lab.up_before()
    lab.set_state(state)
    monkeypatch.setattr(connection.SshGuest, "connect", silent)
    monkeypatch.setattr(connection, "ANSWER_LIMIT", 0.2)
    monkeypatch.setattr(connection, "RETRY", 0.05)
    monkeypatch.setattr(virtual_machine, "PATIENCE", 0.1)
    with pytest.raises(Unreachable, match="did not answer for 0.2 s"):
        lab.machine.ensure(Progress())
    assert lab.calls() == ["status", "ssh-config"]


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"host": "h"}', '{"host": "h", "port": "x", "user": "u", "key": "/etc/passwd"}']
)
def test_a_broken_state_file_counts_as_none(lab: FakeVm, text: str) -> None:
    lab.up_before()
    (lab.project.state / "guest.json").write_text(text)
    assert lab.machine.files.address() is None
    lab.machine.ensure(Progress())
    assert lab.calls() == ["status", "ssh-config"]

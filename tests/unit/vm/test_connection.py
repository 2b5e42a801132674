"""How selab logs in to the VM, and what it records about that."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from selab.errors import Unreachable
from selab.progress import Progress
from selab.vm import connection, virtual_machine
from selab.vm.connection import Connection
from selab.vm.ssh_login import Address
from selab.vm.state import Remembered

from .conftest import FakeVm


def silent(*_: Any, **__: Any) -> None:
    raise Unreachable("no answer")


def connection_of(provider: str = "libvirt", **files: Any) -> Connection:
    """A connection whose files are `files`. What a test does not give fails as an unknown attribute."""
    record = SimpleNamespace(provider=lambda: provider)
    return Connection(cast(Any, None), cast(Any, SimpleNamespace(**files)), cast(Any, record))


def test_a_vm_that_was_never_created_is_unreachable_with_the_command_that_creates_it() -> None:
    with pytest.raises(Unreachable) as caught:
        connection_of(address=lambda: None).connect()
    assert (caught.value.what, caught.value.hint) == (
        "There is no VM yet.",
        "Create one with `selab vm up`.",
    )


def test_a_vm_without_an_address_is_not_waited_for() -> None:
    with pytest.raises(Unreachable) as caught:
        connection_of(address=lambda: None, directory="/lab/.selab").wait(cast(Any, None))
    assert (caught.value.what, caught.value.detail) == (
        "The VM's address is unknown.",
        "/lab/.selab has no record of it.",
    )


@pytest.mark.parametrize(
    ("provider", "state", "runs"),
    [("libvirt", "running", True), ("libvirt", "paused", False), ("virtualbox", "paused", True)],
)
def test_a_vm_of_libvirt_that_does_not_run_cannot_answer_any_more(
    monkeypatch: pytest.MonkeyPatch, provider: str, state: str, runs: bool
) -> None:
    monkeypatch.setattr(connection.libvirt, "domain_state", {"a domain": state}.__getitem__)
    assert connection_of(provider, domain="a domain")._runs() is runs


ADDRESS = Address("127.0.0.1", 2200, "vagrant", Path("key"), Path("known"))


@pytest.mark.parametrize("user", ["root", None])
def test_a_login_that_needs_no_other_user_stays(user: str | None) -> None:
    known = Remembered("h", 22, user, "key", "", "", "") if user else None
    guest = cast(Any, SimpleNamespace(address=ADDRESS))
    assert connection_of(remembered=lambda: known).as_root(guest) is guest


def test_a_guest_that_refuses_root_keeps_its_login(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection.SshGuest, "connect", silent)
    known = Remembered("h", 22, "vagrant", "key", "", "", "")
    guest = cast(Any, SimpleNamespace(address=ADDRESS))
    assert connection_of(remembered=lambda: known).as_root(guest) is guest


class Shell:
    """A console on which `cat` of the host key ends with `code` and prints `output`."""

    def __init__(self, code: int, output: str) -> None:
        self.result, self.logins = (code, output), []  # type: ignore[var-annotated]

    def __enter__(self) -> Shell:
        return self

    def __exit__(self, *_: object) -> None: ...

    def login(self, password: str) -> None:
        self.logins.append(password)

    def run(self, command: str) -> tuple[int, str]:
        assert command == "cat /etc/ssh/ssh_host_ed25519_key.pub"
        return self.result


@pytest.mark.parametrize(
    ("code", "output", "key"),
    [(0, "ssh-ed25519 AAAA x\n", "ssh-ed25519 AAAA x"), (1, "ssh-ed25519 AAAA", ""), (0, "cat: no file", "")],
)
@pytest.mark.parametrize(("password", "used"), [("secret", "secret"), ("", connection.rescue.FIRST_PASSWORD)])
def test_the_host_key_on_the_console_is_used_only_if_it_is_one(
    monkeypatch: pytest.MonkeyPatch, code: int, output: str, key: str, password: str, used: str
) -> None:
    shell = Shell(code, output)
    monkeypatch.setattr(connection.console, "Console", {"a domain": shell}.__getitem__)
    assert connection_of(password=lambda: password)._key_on_console("a domain") == key
    assert shell.logins == [used]


def test_a_console_that_does_not_answer_gives_no_host_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection.console, "Console", silent)
    assert connection_of(password=lambda: "secret")._key_on_console("a domain") == ""


@pytest.mark.program
def test_root_logs_in_once_the_guest_is_prepared(lab: FakeVm) -> None:
    lab.up_before()
    known = lab.machine.files.remembered()
    assert known is not None and known.user == "root"


@pytest.mark.program
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


@pytest.mark.program
@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"host": "h"}', '{"host": "h", "port": "x", "user": "u", "key": "/etc/passwd"}']
)
def test_a_broken_state_file_counts_as_none(lab: FakeVm, text: str) -> None:
    lab.up_before()
    (lab.project.state / "guest.json").write_text(text)
    assert lab.machine.files.address() is None
    lab.machine.ensure(Progress())
    assert lab.calls() == ["status", "ssh-config"]

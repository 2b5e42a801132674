"""How selab logs in to the VM, and what it records about that."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from selab.errors import CommandFailed, Unreachable
from selab.guest import script, script_argv
from selab.progress import Progress
from selab.vm import connection, virtual_machine
from selab.vm.connection import Connection
from selab.vm.ssh_login import LOGIN_TIMEOUT, Address
from selab.vm.state import Remembered
from tests.unit.fakes import FakeGuest, Notes

from .clock import Clock
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


# --- a key and a password of the VM's own ---------------------------------------------------------


class Logins(list[tuple[Any, ...]]):
    """Records each login with its options. `answers` are the guests; the last one answers for ever."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *answers: Any) -> None:
        super().__init__()
        self._answers = list(answers)
        monkeypatch.setattr(connection.SshGuest, "connect", self._connect)

    def _connect(self, address: Address, **options: Any) -> Any:
        self.append((address, options))
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def own_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let selab make one key only, and let only the file `public` hold Vagrant's well-known key."""
    monkeypatch.setattr(connection.keys, "new_key", lambda: ("PRIVATE", "ssh-ed25519 NEW selab"))
    monkeypatch.setattr(connection.keys, "is_well_known", {Path("public"): True, Path("own"): False}.get)


def test_a_key_that_is_the_vms_own_stays(own_key: None) -> None:
    guest, notes = cast(Any, FakeGuest()), Notes()
    assert connection_of(key=Path("own")).with_own_key(guest, notes) is guest
    assert (guest.closed, notes.notes) == (False, [])


def test_vagrants_well_known_key_is_replaced_in_the_guest_and_the_records(
    own_key: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    guest, reached, notes, replaced = FakeGuest(), object(), Notes(), list[tuple[str, ...]]()
    guest.answer(script("vm/add-key"))
    logins = Logins(monkeypatch, reached)
    link = connection_of(
        key=Path("public"), address=lambda: ADDRESS, replace_key=lambda *words: replaced.append(words)
    )
    assert link.with_own_key(cast(Any, guest), notes) is reached
    assert guest.commands == [tuple(script_argv("vm/add-key"))]
    assert (guest.inputs, guest.closed) == ([b"ssh-ed25519 NEW selab\n"], True)
    assert replaced == [("PRIVATE", "libvirt")]
    assert logins == [(ADDRESS, {"limit": LOGIN_TIMEOUT})]
    assert "well-known key" in notes.notes[0]


def test_a_key_that_the_guest_does_not_take_is_an_error_and_not_recorded(own_key: None) -> None:
    guest = FakeGuest()
    guest.answer(script("vm/add-key"), code=1, err="read-only")
    with pytest.raises(CommandFailed) as caught:
        connection_of(key=Path("public")).with_own_key(cast(Any, guest), Progress())
    assert "own key could not be set" in caught.value.what and "read-only" in caught.value.detail


def test_root_gets_a_random_password_for_the_console() -> None:
    passwords = list[str]()
    for _ in range(2):
        guest = FakeGuest()
        guest.answer("chpasswd")
        connection_of(password=lambda: "", keep_password=passwords.append).ensure_console_password(
            cast(Any, guest)
        )
        assert guest.commands == [("chpasswd",)]
        assert guest.inputs == [f"root:{passwords[-1]}\n".encode()]
    assert len(passwords[0]) == 32 and passwords[0] != passwords[1]


def test_a_password_that_is_set_stays() -> None:
    connection_of(password=lambda: "secret").ensure_console_password(cast(Any, FakeGuest()))


def test_a_password_that_cannot_be_set_is_an_error_and_not_recorded() -> None:
    guest = FakeGuest()
    guest.answer("chpasswd", code=1, err="no such user")
    with pytest.raises(CommandFailed) as caught:
        connection_of(password=lambda: "").ensure_console_password(cast(Any, guest))
    assert "password of the serial console could not be set" in caught.value.what


# --- waiting --------------------------------------------------------------------------------------


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(connection, "time", clock)
    return clock


def booting(directory: Path) -> Connection:
    return connection_of(address=lambda: ADDRESS, directory=directory)


def test_a_guest_that_boots_is_tried_again_until_it_answers(
    monkeypatch: pytest.MonkeyPatch, clock: Clock, tmp_path: Path
) -> None:
    guest = object()
    logins = Logins(monkeypatch, Unreachable("no answer"), Unreachable("no answer"), guest)
    assert booting(tmp_path).wait(connection.console.Recorder()) is guest
    assert logins == [(ADDRESS, {"first_contact": True, "limit": LOGIN_TIMEOUT})] * 3
    assert clock.sleeps == [connection.RETRY] * 2


@pytest.mark.parametrize(("limit", "seconds"), [(2.0, 2.0), (0.0, connection.ANSWER_LIMIT)])
def test_a_guest_that_does_not_answer_in_time_is_an_error_with_the_last_line_of_its_console(
    monkeypatch: pytest.MonkeyPatch, clock: Clock, tmp_path: Path, limit: float, seconds: float
) -> None:
    recorder = connection.console.Recorder()
    recorder.feed("Kernel panic\n")
    monkeypatch.setattr(connection, "RETRY", seconds / 4)
    logins = Logins(monkeypatch, Unreachable("no answer", "port 2200"))
    with pytest.raises(Unreachable) as caught:
        booting(tmp_path).wait(recorder, limit)
    assert f"did not answer for {seconds:g} s" in caught.value.what
    assert "port 2200" in caught.value.detail and "Kernel panic" in caught.value.detail
    assert "`selab vm console`" in caught.value.hint and str(tmp_path / "console.log") in caught.value.hint
    assert logins[0][1]["limit"] == min(seconds, LOGIN_TIMEOUT)
    assert clock.sleeps == [seconds / 4] * 5  # at the end of its time it is tried once more


# --- the recorded login ---------------------------------------------------------------------------

KNOWN = Remembered("h", 22, "vagrant", "key", "a domain", "libvirt", "closed")


def test_a_login_as_root_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    root, records = object(), list[Remembered]()
    guest = FakeGuest()
    guest.address = ADDRESS  # type: ignore[attr-defined]
    logins = Logins(monkeypatch, root)
    link = connection_of(remembered=lambda: KNOWN, remember=records.append)
    assert link.as_root(cast(Any, guest)) is root
    assert logins == [(replace(ADDRESS, user="root"), {})]
    assert (records, guest.closed) == ([replace(KNOWN, user="root")], True)


def test_the_log_says_why_there_is_no_login_as_root(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    Logins(monkeypatch, Unreachable("refused"))
    with caplog.at_level(logging.INFO, "selab"):
        connection_of(remembered=lambda: KNOWN).as_root(cast(Any, SimpleNamespace(address=ADDRESS)))
    assert caplog.messages == ["no login as root: refused"]


@pytest.mark.parametrize("has_address", [True, False])
def test_a_vm_that_was_never_reached_is_not_contacted(tmp_path: Path, has_address: bool) -> None:
    link = connection_of(
        address=lambda: ADDRESS if has_address else None,
        known_hosts=tmp_path / "none" if has_address else tmp_path,
    )
    assert link.as_remembered() is None


def test_a_vm_is_reached_as_before_while_it_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    guest = object()
    logins = Logins(monkeypatch, guest)
    monkeypatch.setattr(connection.libvirt, "domain_state", {"a domain": "running"}.__getitem__)
    link = connection_of(address=lambda: ADDRESS, known_hosts=tmp_path, domain="a domain")
    assert link.as_remembered() is guest
    [(address, options)] = logins
    assert (address, options["alive"](), list(options)) == (ADDRESS, True, ["alive"])


def test_a_vm_that_no_longer_answers_is_none_and_logged(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    Logins(monkeypatch, Unreachable("silence"))
    with caplog.at_level(logging.INFO, "selab"):
        assert connection_of(address=lambda: ADDRESS, known_hosts=tmp_path).as_remembered() is None
    assert caplog.messages == ["the last address does not answer: silence"]


def test_a_console_that_does_not_answer_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(connection.console, "Console", silent)
    with caplog.at_level(logging.INFO, "selab"):
        connection_of(password=lambda: "secret")._key_on_console("a domain")
    assert caplog.messages == ["the host key is pinned at the first contact over the network: no answer"]

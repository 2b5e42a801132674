"""selab tries each way back into a guest in turn, and a new login proves that it worked."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from selab.errors import CommandFailed, Unreachable
from selab.guest import RUN_TIMEOUT, Completed, script, script_argv
from selab.progress import Progress
from selab.vm import console, provision, rescue
from tests.unit.fakes import FakeGuest, Notes

from .clock import Clock


@dataclass
class World:
    """A guest that is in order after `helps`: "SSH", "console", "guard" or "reset".

    `logins` is whether a login works before that.
    """

    helps: str
    logins: bool = False
    tried: list[str] = field(default_factory=list)
    looks: int = 0

    @property
    def fine(self) -> bool:
        return self.helps in self.tried or (self.helps == "guard" and self.looks > 1)

    def login(self) -> Any:
        self.looks += 1
        if not (self.fine or self.logins):
            raise Unreachable("Logging in to the guest failed.")
        return self

    def run(
        self, argv: Sequence[str], *, timeout: float = RUN_TIMEOUT, limit: int | None = None
    ) -> Completed:
        if argv[2] == script("vm/restore-base"):
            self.tried.append("SSH")
            return Completed(tuple(argv), 0, b"", b"")
        if argv[2] == script("vm/check-guest"):
            out = b"" if self.fine else b"Docker does not run\n"
            return Completed(tuple(argv), 0 if self.fine else 1, out, b"")
        raise AssertionError(f"this guest has no configured answer for {argv!r}")

    def console(self, domain: str, password: str) -> None:
        self.tried.append("console")
        if self.helps != "console":
            raise Unreachable("The guest's console does not answer.")

    def reset(self) -> Any:
        self.tried.append("reset")
        return self

    def close(self) -> None: ...
    def __enter__(self) -> World:
        return self

    def __exit__(self, *_: object) -> None: ...


def outcome(world: World, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(rescue, "by_console", world.console)
    monkeypatch.setattr(rescue, "PATIENCE", 0.0)
    monkeypatch.setattr(rescue, "BOOTED", 0.0)
    return rescue.rescue(rescue.Ways(world.login, world.reset, "domain", "secret"), Progress())


@pytest.mark.parametrize(
    ("helps", "logins", "tried", "way"),
    [
        ("SSH", True, ["SSH"], "by SSH"),
        ("console", False, ["console"], "through the serial console"),
        ("guard", False, ["console"], "by the guard"),
        ("reset", False, ["console", "reset"], "by a reset"),
    ],
)
def test_the_first_way_that_helps_is_the_last_that_is_tried(
    helps: str, logins: bool, tried: list[str], way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(helps, logins)
    assert way in outcome(world, monkeypatch)
    assert world.tried == tried


def test_a_guest_in_order_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World("guard", looks=1)
    assert (outcome(world, monkeypatch), world.tried) == ("", [])


def test_a_guest_that_nothing_helps_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Unreachable, match="could not be restored"):
        outcome(World("nothing"), monkeypatch)


# --- what is reported, and for how long selab waits -----------------------------------------------


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(rescue, "time", clock)
    return clock


def ways(login: Any, reset: Any = None) -> rescue.Ways:
    return rescue.Ways(login, reset or (lambda: FakeGuest()), "domain", "secret")


def broken(what: str = "The connection broke.", detail: str = "") -> Any:
    def raises(*_: Any) -> Any:
        raise Unreachable(what, detail)

    return raises


def test_each_way_gets_its_time_and_is_reported(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    waits: list[float] = []
    monkeypatch.setattr(rescue, "trouble", lambda login: ("Docker does not run.", True))
    monkeypatch.setattr(rescue, "_by_ssh", broken("SSH broke.", "by peer"))
    monkeypatch.setattr(rescue, "by_console", broken("The console broke."))
    monkeypatch.setattr(rescue, "_soon", lambda login, patience: waits.append(patience) or "still so")
    notes = Notes()
    with caplog.at_level(logging.INFO, "selab"), pytest.raises(Unreachable) as caught:
        rescue.rescue(ways(FakeGuest), notes)
    failures = [
        "by SSH: SSH broke. by peer",
        "through the serial console: The console broke.",
        "by the guard in the guest: still so",
        "by a reset of the VM: still so",
    ]
    assert notes.notes == [
        "Docker does not run: restoring the base policy",
        *(f"not restored {failure}" for failure in failures),
    ]
    assert [text for text in caplog.messages if text.startswith("not rescued ")] == [
        f"not rescued {failure}" for failure in failures
    ]
    assert waits == [rescue.PATIENCE, rescue.BOOTED]
    assert "base policy of the VM could not be restored" in caught.value.what
    assert caught.value.detail == "still so"
    assert "`selab vm console`" in caught.value.hint and "`selab vm destroy`" in caught.value.hint


def test_the_way_that_helped_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[object] = []
    monkeypatch.setattr(rescue, "trouble", lambda login: ("no answer", False))
    monkeypatch.setattr(rescue, "by_console", lambda *words: calls.append(words))
    monkeypatch.setattr(rescue, "_soon", lambda login, patience: calls.append((login, patience)) or "")
    notes = Notes()
    way = ways(FakeGuest)
    assert rescue.rescue(way, notes) == "The base policy was restored through the serial console."
    assert notes.notes[-1] == "the base policy was restored through the serial console"
    assert calls == [("domain", "secret"), (FakeGuest, rescue.PATIENCE)]


def test_the_connection_of_a_reset_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    guest, answers = FakeGuest(), iter(["still so", ""])
    monkeypatch.setattr(rescue, "trouble", lambda login: ("no answer", False))
    monkeypatch.setattr(rescue, "by_console", broken())
    monkeypatch.setattr(rescue, "_soon", lambda login, patience: next(answers))
    assert "by a reset" in rescue.rescue(ways(FakeGuest, lambda: guest), Progress())
    assert guest.closed


class Login(FakeGuest):
    """A guest that is used as a connection."""

    def __enter__(self) -> Login:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@pytest.mark.parametrize(
    ("code", "out", "err", "trouble"),
    [
        (0, "", "", ("", True)),
        (0, "noise\n", "noise", ("", True)),
        (1, " Docker does not run\n", "noise", ("Docker does not run", True)),
        (1, "", " sh: cannot fork\n", ("sh: cannot fork", False)),
        (1, "\n", "", ("the guest's shell does not work", False)),
    ],
)
def test_a_guest_is_judged_by_what_its_check_prints(
    code: int, out: str, err: str, trouble: tuple[str, bool]
) -> None:
    guest = Login()
    guest.answer(script("vm/check-guest"), code=code, out=out, err=err)
    assert rescue.trouble(lambda: guest) == trouble  # type: ignore[arg-type, return-value]
    assert guest.commands == [tuple(script_argv("vm/check-guest", *provision.runtime_services()))]
    assert (guest.timeouts, guest.closed) == ([rescue.CHECK_LIMIT], True)


def test_a_login_that_fails_is_the_trouble_of_a_guest_that_does_not_respond() -> None:
    assert rescue.trouble(broken("The guest does not answer.", "port 22")) == (
        "The guest does not answer.",
        False,
    )


def test_the_base_policy_is_restored_by_ssh_within_its_limit() -> None:
    guest = Login()
    guest.answer(script("vm/restore-base"))
    rescue._by_ssh(lambda: guest)  # type: ignore[arg-type, return-value]
    assert guest.commands == [tuple(script_argv("vm/restore-base"))]
    assert (guest.timeouts, guest.closed) == ([rescue.UNDO_LIMIT], True)


def test_a_policy_that_cannot_be_restored_by_ssh_is_an_error_with_its_last_line() -> None:
    guest = Login()
    guest.answer(script("vm/restore-base"), code=1, err="load_policy: denied\n")
    with pytest.raises(CommandFailed) as caught:
        rescue._by_ssh(lambda: guest)  # type: ignore[arg-type, return-value]
    assert "could not be loaded by SSH" in caught.value.what
    assert "load_policy: denied" in caught.value.detail


class Console:
    """A serial console on which a command ends with `result`. `calls` records what was done on it."""

    def __init__(self, *result: Any) -> None:
        self.result, self.calls = result, list[Any]()

    def __call__(self, domain: str) -> Console:
        self.calls.append(domain)
        return self

    def __enter__(self) -> Console:
        return self

    def __exit__(self, *_: object) -> None:
        self.calls.append("closed")

    def login(self, password: str) -> None:
        self.calls.append(password)

    def run(self, command: str, limit: float) -> Any:
        self.calls.append((command, limit))
        return self.result


@pytest.mark.parametrize(("password", "used"), [("secret", "secret"), ("", rescue.FIRST_PASSWORD)])
def test_the_base_policy_is_restored_on_the_console_as_root(
    monkeypatch: pytest.MonkeyPatch, password: str, used: str
) -> None:
    shell = Console(0, "")
    monkeypatch.setattr(console, "Console", shell)
    rescue.by_console("a domain", password)
    assert shell.calls == ["a domain", used, (script("vm/restore-base"), rescue.UNDO_LIMIT), "closed"]


def test_a_policy_that_cannot_be_restored_on_the_console_is_an_error_with_the_end_of_its_output(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(console, "Console", Console(1, f"first{'x' * 159}1\n"))
    with pytest.raises(Unreachable) as caught:
        rescue.by_console("a domain", "secret")
    assert "could not be loaded on the serial console" in caught.value.what
    assert caught.value.detail == f"{'x' * 159}1"


def test_a_vm_without_a_domain_has_no_console(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "Console", Console())
    with pytest.raises(Unreachable, match="Only a libvirt VM has a serial console"):
        rescue.by_console("", "secret")


def test_a_guest_is_examined_again_until_it_is_in_order(
    monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    answers = iter([("no answer", False), ("Docker does not run", True), ("", True)])
    monkeypatch.setattr(rescue, "trouble", lambda login: next(answers))
    assert rescue._soon(FakeGuest, 20.0) == ""  # type: ignore[arg-type]
    assert clock.sleeps == [rescue.RETRY] * 2


def test_a_guest_is_examined_until_its_time_is_over(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    monkeypatch.setattr(rescue, "trouble", lambda login: ("no answer", False))
    assert rescue._soon(FakeGuest, 3 * rescue.RETRY) == "no answer"  # type: ignore[arg-type]
    assert clock.sleeps == [rescue.RETRY] * 4

"""The guard in the guest, on files instead of a kernel."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from selab.vm.guest_agent import guard
from tests.unit.fakes import SandboxGuest

IMAGE = b"image"


class GuardedGuest(SandboxGuest):
    """A guest in permissive mode of its own, with a candidate that enforces."""

    PLACES = (*SandboxGuest.PLACES, "/usr/local/lib/selab")

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.write("/sys/fs/selinux/enforce", "1")
        self.write("/sys/fs/selinux/load", "")
        self.write("/sys/fs/selinux/policy", "base")
        self.write("/run/selab/mode", "0\n")
        self.write("/run/selab/loaded", "digest 7\n")
        self.program("load_policy")
        self.program("systemctl", "exit 1")

    def has(self, name: str) -> bool:
        return self.path(f"/run/selab/{name}").exists()

    @property
    def enforce(self) -> str:
        return self.path("/sys/fs/selinux/enforce").read_text()


@pytest.fixture
def guest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> GuardedGuest:
    guest = GuardedGuest(tmp_path)
    for name in ("RUN", "PIPE", "PID", "MODE", "LOADED", "SELINUX", "RUNTIME_SERVICES"):
        monkeypatch.setattr(guard, name, guest.path(str(getattr(guard, name))))
    for name in ("LABELS", "RESTORE_LABELS"):
        monkeypatch.setattr(guard, name, str(guest.path(getattr(guard, name))))
    monkeypatch.setenv("PATH", f"{guest.path('/bin')}:{os.environ['PATH']}")
    return guest


# --- restore --------------------------------------------------------------------------------------


def test_the_guest_is_permissive_under_its_base_policy_again(guest: GuardedGuest) -> None:
    assert guard.restore_base(IMAGE)
    assert (guest.enforce, guest.called[0].strip()) == ("0", "load_policy")
    assert (guest.has("loaded"), guest.has("mode")) == (False, False)


@pytest.mark.parametrize(("recorded", "now", "after"), [("1", "0", "1"), (None, "1", "1"), (None, "0", "0")])
def test_a_guest_gets_the_mode_from_before_the_run(
    guest: GuardedGuest, recorded: str | None, now: str, after: str
) -> None:
    guest.write("/sys/fs/selinux/enforce", now)
    if recorded is None:
        guest.path("/run/selab/mode").unlink()
    else:
        guest.write("/run/selab/mode", f"{recorded}\n")
    assert guard.restore_base(IMAGE)
    assert guest.enforce == after


def test_a_record_of_the_mode_that_cannot_be_read_counts_as_permissive(guest: GuardedGuest) -> None:
    guest.path("/run/selab/mode").unlink()
    guest.path("/run/selab/mode").mkdir()
    assert (guard.recorded_mode(), guard.restore_base(IMAGE), guest.enforce) == ("0", True, "0")


def test_a_policy_that_forbids_reading_the_mode_is_undone_and_was_enforced(
    guest: GuardedGuest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only an enforcing kernel forbids anything. No mode is recorded after a run, while a candidate rests."""
    guest.path("/run/selab/mode").unlink()
    guest.path("/sys/fs/selinux/enforce").unlink()
    writes: list[tuple[str, bytes]] = []
    monkeypatch.setattr(guard, "write_selinuxfs", lambda *words: writes.append(words) or True)
    assert guard.restore_base(IMAGE)
    assert writes == [("enforce", b"0"), ("enforce", b"1")]


@pytest.mark.parametrize(("recorded", "enabled"), [(True, True), (False, False)])
def test_labels_are_restored_if_any_were_changed(guest: GuardedGuest, recorded: bool, enabled: bool) -> None:
    if recorded:
        guest.write("/var/lib/selab/labels.json", "{}")
    program = f"import sys; open({str(guest.root / 'restored')!r}, 'w').write(' '.join(sys.argv[1:]))"
    guest.write("/usr/local/lib/selab/restore-labels", program)
    assert guard.restore_base(IMAGE)
    restored = guest.root / "restored"
    assert (restored.read_text() if restored.exists() else "") == (guard.LABELS if enabled else "")


def test_enabled_services_that_do_not_run_are_started(guest: GuardedGuest) -> None:
    guest.write("/usr/local/lib/selab/services", "docker\nengine\n")
    guest.program(
        "systemctl",
        'case "$2 $3" in "is-enabled sshd") exit 1 ;; is-enabled* | "is-active docker") exit 0 ;; esac\n'
        '[ "$2" != is-active ]',
    )
    guard.restore_base(IMAGE)
    changes = [call.split()[1:] for call in guest.called if "is-" not in call and "systemctl" in call]
    assert changes == [
        [verb, name] for name in ("ssh", "auditd", "engine") for verb in ("reset-failed", "start")
    ]


@pytest.mark.parametrize("services", [None, "docker\n"])
def test_the_services_of_runtimes_follow_the_guests_own(guest: GuardedGuest, services: str | None) -> None:
    if services:
        guest.write("/usr/local/lib/selab/services", services)
    assert guard.services() == ["ssh", "sshd", "auditd", *(["docker"] if services else [])]


Writes = Callable[[Iterable[bool]], list[tuple[str, bytes]]]


@pytest.fixture
def writes(guest: GuardedGuest, monkeypatch: pytest.MonkeyPatch) -> Writes:
    """A function that lets writes to selinuxfs succeed or fail in turn, and returns a record of them."""

    def write(outcomes: Iterable[bool]) -> list[tuple[str, bytes]]:
        written: list[tuple[str, bytes]] = []
        results = iter(outcomes)
        monkeypatch.setattr(guard, "write_selinuxfs", lambda *words: written.append(words) or next(results))
        return written

    return write


SET, LOAD = ("enforce", b"0"), ("load", IMAGE)


@pytest.mark.parametrize(
    ("outcomes", "program", "restored", "expected"),
    [
        ([True], True, True, [SET]),
        ([True, True], False, True, [SET, LOAD]),
        ([True, False], False, False, [SET, LOAD]),
        ([False, True, True], True, True, [SET, LOAD, SET]),
        ([False, True, False], True, False, [SET, LOAD, SET]),
        ([False, False], True, False, [SET, LOAD]),
    ],
)
def test_the_image_is_loaded_if_the_policy_forbids_another_way(
    guest: GuardedGuest,
    writes: Writes,
    outcomes: list[bool],
    program: bool,
    restored: bool,
    expected: list[tuple[str, bytes]],
) -> None:
    guest.program("load_policy", "" if program else "exit 1")
    written = writes(outcomes)
    assert guard.restore_base(IMAGE) is restored
    assert written == expected
    assert (guest.has("mode"), guest.has("loaded")) == (not restored, not restored)


@pytest.mark.parametrize("outcomes", [[False], [True]])
def test_without_an_image_nothing_else_can_be_loaded(
    guest: GuardedGuest, writes: Writes, outcomes: list[bool]
) -> None:
    guest.program("load_policy", "exit 1")
    written = writes(outcomes)
    assert not guard.restore_base(b"")
    assert written == [SET]


def test_selinuxfs_must_take_everything_in_one_write(
    guest: GuardedGuest, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert guard.write_selinuxfs("load", IMAGE)
    assert guest.path("/sys/fs/selinux/load").read_bytes() == IMAGE
    assert not guard.write_selinuxfs("nothing", b"0")
    monkeypatch.setattr(os, "write", lambda file, data: len(data) - 1)
    assert not guard.write_selinuxfs("load", IMAGE)


@pytest.mark.parametrize(("loaded", "image"), [(True, b""), (False, b"base")])
def test_the_image_of_a_candidate_is_not_taken_for_the_base_policy(
    guest: GuardedGuest, loaded: bool, image: bytes
) -> None:
    if not loaded:
        guest.path("/run/selab/loaded").unlink()
    assert guard.base_policy() == image


@pytest.mark.parametrize(
    ("body", "success"), [("exit 0", True), ("exit 1", False), ("cat; kill -9 $$", False)]
)
def test_a_program_succeeds_only_with_the_exit_code_0(guest: GuardedGuest, body: str, success: bool) -> None:
    guest.program("tool", body)
    assert guard.succeeds("tool") is success


def test_a_program_that_is_missing_or_hangs_does_not_succeed(
    guest: GuardedGuest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "COMMAND_LIMIT", 0.05)
    guest.program("tool", "exec sleep 60")
    assert (guard.succeeds("no-such-tool"), guard.succeeds("tool")) == (False, False)


@pytest.mark.parametrize(("loads", "code"), [(True, 0), (False, 1)])
def test_the_program_restores_a_guest_at_once(tmp_path: Path, loads: bool, code: int) -> None:
    guest = GuardedGuest(tmp_path)
    guest.program("load_policy", "" if loads else "exit 1")
    program = tmp_path / "guard"
    program.write_text(guest.inside(Path(guard.__file__).read_text()))
    done = subprocess.run([sys.executable, str(program), "rescue"], env=guest.environment, timeout=30)
    assert (done.returncode, guest.enforce, guest.has("loaded")) == (code, "0", not loads)


# --- orders ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("order", "command"),
    [
        (b"60\n", (60.0, False)),
        (b"60\noff\n", (None, False)),
        (b"off\n5\n", (5.0, False)),
        (b"60\nrest\n", (guard.REST, True)),
        (b"\n", (None, False)),
        (b"nonsense\n", (0.0, False)),
    ],
)
def test_the_last_order_counts(order: bytes, command: tuple[float | None, bool]) -> None:
    reading, writing = os.pipe()
    os.write(writing, order)
    assert guard.read_command(reading) == command
    os.close(writing)
    os.close(reading)


def test_a_pipe_that_may_not_be_read_is_a_reason_to_act() -> None:
    reading, writing = os.pipe()
    os.close(writing)
    os.close(reading)
    assert guard.read_command(reading) == (0.0, False)


class Interrupted(Exception):
    """The end of a service that would run for ever."""


class Service:
    """Runs the guard's service through `events`: an order that arrives in time, or None for its time-out.

    waits: seconds that each poll may take, or None without a limit.
    restored: the images that were restored; each attempt has the outcome of `outcomes`.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.waits, self.restored = 100.0, list[float | None](), list[bytes]()
        self.outcomes = iter([True])
        self.events = iter(list[bytes | None]())
        monkeypatch.setattr(guard.time, "monotonic", lambda: self.now)
        monkeypatch.setattr(guard.select, "poll", lambda: self)
        monkeypatch.setattr(guard, "restore_base", self._restore)

    def _restore(self, image: bytes) -> bool:
        self.restored.append(image)
        return next(self.outcomes)

    def register(self, pipe: int, events: int) -> None:
        assert events == guard.select.POLLIN
        self.pipe = pipe

    def poll(self, milliseconds: float | None) -> list[int]:
        self.waits.append(None if milliseconds is None else milliseconds / 1000)
        event = next(self.events, b"")
        if event == b"":
            os.close(self.pipe)
            raise Interrupted
        if event is None:
            assert milliseconds is not None, "nothing would end this wait"
            self.now += milliseconds / 1000
            return []
        os.write(self.pipe, event)
        return [self.pipe]

    def run(self, *events: bytes | None) -> list[float | None]:
        """Return the limits of the waits, the last of which is that after the last event."""
        self.events = iter(events)
        with pytest.raises(Interrupted):
            guard.serve()
        return self.waits


@pytest.fixture
def service(guest: GuardedGuest, monkeypatch: pytest.MonkeyPatch) -> Service:
    """The service in a guest under its base policy, in which no run has changed the mode."""
    guest.path("/run/selab/mode").unlink()
    guest.path("/run/selab/loaded").unlink()
    return Service(monkeypatch)


def arm(guest: GuardedGuest) -> None:
    """Let a run change the mode and load a candidate, after the guard has started."""
    guest.write("/run/selab/mode", "0\n")
    guest.write("/run/selab/loaded", "digest 7\n")


def test_a_guard_that_nothing_armed_waits_without_a_limit(service: Service) -> None:
    assert (service.run(), service.restored) == ([None], [])


def test_a_guard_that_was_restarted_while_it_was_armed_is_armed(
    guest: GuardedGuest, service: Service
) -> None:
    arm(guest)
    assert service.run(None) == [guard.LIMIT, None]
    assert service.restored == [b""]  # the policy in force is the candidate


def test_the_base_policy_is_restored_when_the_time_is_up(
    guest: GuardedGuest, service: Service, capfd: pytest.CaptureFixture[str]
) -> None:
    guest.write("/run/selab/mode", "0\n")
    assert service.run(b"40\n", None) == [guard.LIMIT, 40.0, None]
    assert service.restored == [b"base"]
    assert "no command disarmed the guard in time" in capfd.readouterr().err


def test_a_restoration_that_fails_is_tried_again_until_it_succeeds(
    guest: GuardedGuest, service: Service
) -> None:
    arm(guest)
    service.outcomes = iter([False, False, True])
    assert service.run(b"40\n", None, None, None) == [guard.LIMIT, 40.0, guard.AGAIN, guard.AGAIN, None]


@pytest.mark.parametrize("order", [b"off\n", b"30\noff\n"])
def test_a_guard_that_was_disarmed_restores_nothing(
    guest: GuardedGuest, service: Service, order: bytes
) -> None:
    arm(guest)
    assert (service.run(b"40\n", order), service.restored) == ([guard.LIMIT, 40.0, None], [])


def test_an_order_that_arrives_after_the_deadline_still_counts(guest: GuardedGuest, service: Service) -> None:
    arm(guest)
    service.run(b"0\n")
    assert service.restored == [b""]
    service.restored.clear()
    start = service.poll

    def late(milliseconds: float | None) -> list[int]:
        service.now += 1000
        return start(milliseconds)

    service.poll = late  # type: ignore[method-assign]
    service.run(b"off\n")
    assert service.restored == []


def test_a_mode_that_was_restored_meanwhile_needs_no_guard(guest: GuardedGuest, service: Service) -> None:
    guest.write("/run/selab/loaded", "digest 7\n")
    assert (service.run(b"40\n", None), service.restored) == ([None, 40.0, None], [])


@pytest.mark.parametrize("loaded", [True, False])
def test_a_candidate_that_rests_is_undone_at_last(
    guest: GuardedGuest, service: Service, loaded: bool
) -> None:
    if loaded:
        guest.write("/run/selab/loaded", "digest 7\n")
    assert service.run(b"rest\n", None) == [None, guard.REST, None]
    assert len(service.restored) == loaded


def test_the_service_leaves_its_pipe_and_its_process_id(guest: GuardedGuest, service: Service) -> None:
    pipe = guest.path("/run/selab/guard")
    service.run()
    service.run()
    assert pipe.is_fifo() and pipe.stat().st_mode & 0o777 == 0o600
    assert guest.path("/run/selab/guard.pid").read_text() == f"{os.getpid()}\n"

"""How the guard restores a guest, on files instead of a kernel."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from selab.vm.guest_agent import guard

from .conftest import GuardedGuest

IMAGE = b"image"


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


def test_a_program_gets_no_input_and_prints_nothing_but_errors(tmp_path: Path) -> None:
    """The guard's own input and output are the user's serial console."""
    guest = GuardedGuest(tmp_path)
    guest.program("load_policy", f"cat >{guest.root / 'input'}; echo noise; echo error >&2")
    program = tmp_path / "guard"
    program.write_text(guest.inside(Path(guard.__file__).read_text()))
    done = subprocess.run(
        [sys.executable, str(program), "rescue"],
        env=guest.environment,
        input=b"typed",
        capture_output=True,
        timeout=30,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"error\n")
    assert (guest.root / "input").read_bytes() == b""


def test_a_program_that_cannot_run_is_reported(
    guest: GuardedGuest, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(guard, "COMMAND_LIMIT", 0.05)
    guest.program("tool", "exec sleep 60")
    guard.succeeds("no-such-tool")
    guard.succeeds("tool")
    missing, hanging = capfd.readouterr().err.splitlines()
    assert missing.startswith("no-such-tool: ") and "No such file" in missing
    assert hanging.startswith("tool: ") and "timed out" in hanging


def test_a_file_of_selinuxfs_that_cannot_be_written_is_reported(
    guest: GuardedGuest, capfd: pytest.CaptureFixture[str]
) -> None:
    assert not guard.write_selinuxfs("nothing", b"0")
    report = capfd.readouterr().err
    assert report.startswith("nothing: ") and "No such file" in report


def test_services_are_asked_about_without_their_answers(guest: GuardedGuest) -> None:
    guest.program("systemctl", '[ "$2" = is-enabled ]')
    guard.restore_base(IMAGE)
    calls = [call for call in guest.called if call.startswith("systemctl ")]
    assert calls == [
        f"systemctl {words} {name}"
        for name in guard.SERVICES
        for words in ("--quiet is-enabled", "--quiet is-active", "reset-failed", "start")
    ]

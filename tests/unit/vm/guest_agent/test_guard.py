"""The guard in the guest, on files instead of a kernel."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from selab.vm.guest_agent import guard


@pytest.fixture
def guest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """/run/selab and /sys/fs/selinux, with a candidate that enforces in a guest that does not."""
    run, selinux, programs = tmp_path / "run", tmp_path / "selinux", tmp_path / "bin"
    for directory in (run, selinux, programs):
        directory.mkdir()
    for name, path in (
        ("RUN", run),
        ("PIPE", run / "guard"),
        ("MODE", run / "mode"),
        ("LOADED", run / "loaded"),
        ("SELINUX", selinux),
    ):
        monkeypatch.setattr(guard, name, path)
    monkeypatch.setattr(guard, "LABELS", str(tmp_path / "labels.json"))
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    (selinux / "enforce").write_text("1")
    (selinux / "load").write_text("")
    (run / "mode").write_text("0\n")
    (run / "loaded").write_text("digest 7\n")
    program(tmp_path, "load_policy", 'echo "$0" >"${0%/*}/loaded-base"')
    program(tmp_path, "systemctl", "exit 1")
    return tmp_path


def program(guest: Path, name: str, script: str) -> None:
    path = guest / "bin" / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_the_guest_is_permissive_under_its_base_policy_again(guest: Path) -> None:
    assert guard.restore_base(b"image")
    assert (guest / "selinux" / "enforce").read_text() == "0"
    assert (guest / "bin" / "loaded-base").exists()
    assert not (guest / "run" / "loaded").exists() and not (guest / "run" / "mode").exists()


def test_a_guest_that_enforces_by_itself_does_so_again(guest: Path) -> None:
    (guest / "run" / "mode").write_text("1\n")
    assert guard.restore_base(b"image")
    assert (guest / "selinux" / "enforce").read_text() == "1"


def test_the_services_of_runtimes_are_started_with_the_others(
    guest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (guest / "services").write_text("docker\nengine\n")
    monkeypatch.setattr(guard, "RUNTIME_SERVICES", guest / "services")
    calls = guest / "calls"
    program(guest, "systemctl", f'echo "$*" >>{calls}; [ "$2" = is-enabled ]')
    guard.restore_base(b"image")
    started = [line.split()[-1] for line in calls.read_text().splitlines() if line.startswith("start ")]
    assert started == ["ssh", "sshd", "auditd", "docker", "engine"]


def test_where_nothing_may_start_the_image_is_loaded(guest: Path) -> None:
    program(guest, "load_policy", "exit 1")
    assert guard.restore_base(b"image")
    assert (guest / "selinux" / "load").read_bytes() == b"image"


def test_where_it_may_do_nothing_it_says_so_and_stays_armed(guest: Path) -> None:
    (guest / "selinux" / "enforce").unlink()
    assert not guard.restore_base(b"")
    assert (guest / "run" / "mode").exists()


@pytest.mark.parametrize(
    ("order", "seconds"),
    [
        (b"60\n", 60.0),
        (b"60\noff\n", None),
        (b"off\n5\n", 5.0),
        (b"60\nrest\n", guard.REST),
        (b"nonsense\n", 0.0),
    ],
)
def test_the_last_order_counts(order: bytes, seconds: float | None) -> None:
    reading, writing = os.pipe()
    os.write(writing, order)
    assert guard.read_command(reading)[0] == seconds
    os.close(writing)
    os.close(reading)


def test_a_pipe_that_may_not_be_read_is_a_reason_to_act() -> None:
    reading, writing = os.pipe()
    os.close(writing)
    os.close(reading)
    assert guard.read_command(reading) == (0.0, False)

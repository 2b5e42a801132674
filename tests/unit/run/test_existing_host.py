"""A run on an existing host leaves its base policy in force, and arms a guard only if the host has one."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from selab.guest import script
from selab.progress import Progress
from selab.project import Project, find_project
from selab.run import experiment
from selab.run.request import Request
from tests.unit.fakes import ReadyMachine, ScriptedGuest, keep_base


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    (tmp_path / "selab.yaml").write_text("")
    (tmp_path / "scenarios").mkdir()
    (tmp_path / "scenarios" / "web.yaml").write_text(json.dumps({"image": "registry.test/x:1"}))
    monkeypatch.setenv("SELAB_CACHE", str(tmp_path / "cache"))
    keep_base(tmp_path / "cache")
    return find_project(tmp_path)


def calls(lab: Project, *, managed: bool, keep: bool = False) -> list[tuple[str, tuple[str, ...]]]:
    """The scripts of a run, each with its arguments."""
    guest = ScriptedGuest()
    machine = ReadyMachine(guest)
    machine.managed = managed
    experiment.run(lab, machine, Request("web", keep=keep), Progress())
    return guest.calls


@pytest.mark.parametrize(
    ("managed", "keep", "last"),
    [(False, False, "load-base"), (False, True, "restore-mode"), (True, False, "restore-mode")],
)
def test_a_run_ends_with_the_base_policy_on_an_existing_host_only(
    lab: Project, managed: bool, keep: bool, last: str
) -> None:
    assert calls(lab, managed=managed, keep=keep)[-1][0] == last


@pytest.mark.parametrize(("managed", "word"), [(True, ""), (False, "optional")])
def test_an_existing_host_need_not_have_a_guard(lab: Project, managed: bool, word: str) -> None:
    assert dict(calls(lab, managed=managed))["switch-mode"][-1] == word


def switched(tmp_path: Path, installed: bool, *words: str) -> tuple[int, str]:
    """Run the script over a file system below `tmp_path`, with a systemctl that starts nothing."""
    for path, text in {"sys/fs/selinux/enforce": "1", "run/selab/loaded": "d 1\n"}.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    if installed:
        (tmp_path / "usr/local/lib/selab").mkdir(parents=True)
        (tmp_path / "usr/local/lib/selab/guard").touch()
    (tmp_path / "bin").mkdir()
    for name in ("systemctl", "sleep"):
        (tmp_path / "bin" / name).write_text("#!/bin/sh\n")
        (tmp_path / "bin" / name).chmod(0o755)
    text = script("policy/guest/switch-mode")
    for place in ("/sys/fs/selinux", "/run/selab", "/usr/local/lib"):
        text = text.replace(place, f"{tmp_path}{place}")
    environment = {"PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin"}
    done = subprocess.run(
        ["sh", "-c", text, "sh", "1", "any", "60", *words],
        capture_output=True,
        text=True,
        timeout=20,
        env=environment,
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("installed", "word", "code"), [(False, "optional", 0), (True, "optional", 8), (False, "", 8)]
)
def test_a_guard_that_is_there_is_armed(tmp_path: Path, installed: bool, word: str, code: int) -> None:
    assert switched(tmp_path, installed, word)[0] == code

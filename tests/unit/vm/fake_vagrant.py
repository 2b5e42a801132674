"""A `vagrant` on PATH whose program a test gives, and a Vagrant that starts it."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from selab.progress import Progress, Silent
from selab.vm.vagrant import Vagrant

# Each fake program begins with this: `note` writes down an event. It imports little, to start fast.
PREAMBLE = """#!{python} -IS
import os, signal, sys, time
here = {here!r}
def note(event):
    with open(here + "/events", "a") as events:
        events.write(event + "\\n")
def stage(text):
    print("==> default: " + text, flush=True)
"""


@dataclass
class Notes(Silent):
    """A listener that keeps the notes, and calls `on_note` with each."""

    texts: list[str] = field(default_factory=list)
    on_note: Callable[[str], None] = lambda text: None

    def noted(self, text: str, depth: int) -> None:
        self.texts.append(text)
        self.on_note(text)


@dataclass
class Fake:
    """A `vagrant` on PATH whose program a test gives, and the Vagrant under test."""

    here: Path
    vagrant: Vagrant
    notes: Notes = field(default_factory=Notes)

    def program(self, text: str) -> None:
        path = self.here / "bin" / "vagrant"
        path.write_text(PREAMBLE.format(python=sys.executable, here=str(self.here)) + text)
        path.chmod(0o755)

    def answers(self, output: str, code: int = 0, *, to: str = "stdout") -> None:
        """Let the program print a line and end, as a script of a shell, which starts faster than Python."""
        answer = self.here / "answer"
        answer.write_text(f"{output}\n")
        path = self.here / "bin" / "vagrant"
        path.write_text(f"#!/bin/sh\ncat {shlex.quote(str(answer))} >&{(to == 'stderr') + 1}\nexit {code}\n")
        path.chmod(0o755)

    @property
    def progress(self) -> Progress:
        return Progress(self.notes)

    @property
    def events(self) -> list[str]:
        path = self.here / "events"
        return path.read_text().splitlines() if path.exists() else []

    @property
    def log(self) -> str:
        return self.vagrant.log.read_text()


def fake_vagrant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    """Put a `vagrant` without a program on PATH, and make an empty project with a Vagrantfile."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "project").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("SELAB_TEST_OF_ENVIRONMENT", "kept")
    project = tmp_path / "project"
    (project / "Vagrantfile").touch()
    return Fake(
        tmp_path,
        Vagrant(project, tmp_path / "vm.json", tmp_path / "vagrant.log", require_consent=lambda: None),
    )

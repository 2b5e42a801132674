"""From the draft of the example to a policy that passes, on the real VM; one lesson for all tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from selab.draft import write
from selab.learn import Lesson, learn
from selab.policy.load import Mode
from selab.progress import Progress
from selab.project import Project
from selab.vm.machine import Machine
from selab.vm.ssh import SshGuest


@pytest.fixture(scope="module")
def draft(project: Project) -> Iterator[bytes]:
    te = project.policies / "selab_apache.te"
    kept = te.read_bytes()
    yield kept
    te.write_bytes(kept)


@pytest.fixture(scope="module")
def learned(project: Project, machine: Machine, session_guest: SshGuest, draft: bytes) -> Lesson:
    return learn(project, machine, "apache", None, Progress())


def test_it_ends_in_a_run_in_enforcing_mode_without_a_denial(learned: Lesson) -> None:
    assert (learned.passed, learned.runs[0].mode) == (True, Mode.PERMISSIVE)


def test_it_takes_few_rounds(learned: Lesson) -> None:
    assert len(learned.runs) <= 3


def test_nothing_is_left_to_a_person(learned: Lesson) -> None:
    assert learned.left == ()


def test_the_users_file_is_as_it_was(learned: Lesson, project: Project, draft: bytes) -> None:
    assert (project.policies / "selab_apache.te").read_bytes() == draft


def test_it_is_written_when_it_is_asked_for_and_the_old_one_is_kept(learned: Lesson, project: Project, draft: bytes) -> None:
    backup = write(project, learned.policy, learned.before, learned.after)
    assert backup is not None
    assert (backup.read_bytes(), (project.policies / "selab_apache.te").read_text()) == (draft, learned.after)

"""Learn a policy that passes from the example's draft, and minimise it. All tests share one result."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from selab.policy.guest.load import Mode
from selab.policy.source_file import write_source
from selab.progress import Progress
from selab.project import Project
from selab.run.verdict import Verdict
from selab.vm.ssh import SshGuest
from selab.vm.virtual_machine import VirtualMachine
from selab.workflows.drafts import write
from selab.workflows.learn import LearnResult, learn
from selab.workflows.minimise import UNTRIED, Minimum, minimise


@pytest.fixture(scope="module")
def draft(project: Project) -> Iterator[bytes]:
    te = project.policies / "selab_apache.te"
    original = te.read_bytes()
    yield original
    te.write_bytes(original)


@pytest.fixture(scope="module")
def learned(project: Project, machine: VirtualMachine, session_guest: SshGuest, draft: bytes) -> LearnResult:
    return learn(project, machine, "apache", None, Progress())


def test_it_ends_in_a_run_in_enforcing_mode_without_a_denial(learned: LearnResult) -> None:
    assert (learned.passed, learned.runs[0].mode) == (True, Mode.PERMISSIVE)


def test_it_takes_few_rounds(learned: LearnResult) -> None:
    assert len(learned.runs) <= 3


def test_nothing_is_left_to_a_person(learned: LearnResult) -> None:
    assert learned.left == ()


def test_the_users_file_is_as_it_was(learned: LearnResult, project: Project, draft: bytes) -> None:
    assert (project.policies / "selab_apache.te").read_bytes() == draft


def test_it_is_written_on_request_with_a_backup_of_the_old_one(
    learned: LearnResult, project: Project, draft: bytes
) -> None:
    (change,) = learned.changes
    backup = write(project, change.policy, change.before, change.after)
    assert backup is not None
    assert (backup.read_bytes(), (project.policies / "selab_apache.te").read_text()) == (draft, change.after)


@pytest.fixture(scope="module")
def smallest(project: Project, machine: VirtualMachine, learned: LearnResult, draft: bytes) -> Minimum:
    write_source(
        project.policies / "selab_apache.te", learned.changes[0].after + "\ndev_read_sysfs(selab_apache_t)\n"
    )
    (smallest,) = minimise(project, machine, "apache", None, Progress())
    return smallest


def test_what_the_workload_does_not_need_is_removed(smallest: Minimum) -> None:
    assert "dev_read_sysfs(selab_apache_t)" in smallest.removed


def test_the_smallest_policy_has_passed_in_enforcing_mode(smallest: Minimum) -> None:
    last = next(run for run in reversed(smallest.runs) if run.verdict is Verdict.PASS)
    assert (last.mode, last.keys, smallest.complete) == (Mode.ENFORCING, frozenset(), True)


def test_each_part_that_is_left_has_a_reason(smallest: Minimum) -> None:
    assert all(reason != UNTRIED for _, reason in smallest.needed)

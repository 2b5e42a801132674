"""Run the same workloads with Podman, which the first such run installs in the VM.

Podman starts and stops containers in other ways than Docker does, so a policy needs other rules for it.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from selab.auditlog.denials import DenialKey
from selab.policy.guest.load import policy_state
from selab.progress import Progress
from selab.project import Project
from selab.run.conversion import document_of
from selab.run.experiment import Run
from selab.run.verdict import Verdict
from selab.vm.ssh import SshGuest
from selab.vm.virtual_machine import VirtualMachine
from selab.workflows.learn import learn

pytestmark = pytest.mark.slow
Runner = Callable[..., Run]
PIPE = '{target: unconfined_t, class: fifo_file, reason: "Podman\'s own pipe, on Debian"}'
BIND = DenialKey("selab_apache_t", "http_port_t", "tcp_socket", "name_bind")


@pytest.fixture(scope="module")
def apache(project: Project) -> str:
    """Return the name of the example's scenario with Podman as its runtime."""
    text = (project.scenarios / "apache.yaml").read_text()
    text = text.replace("denials: none", f"denials: [{PIPE}]")
    (project.scenarios / "apache-podman.yaml").write_text(f"{text}runtime: podman\n")
    return "apache-podman"


@pytest.fixture(scope="module")
def draft(apache: str, session_run: Runner) -> Run:
    return session_run(apache, mode="permissive")


def test_the_draft_shows_the_denials_of_the_workload(draft: Run) -> None:
    assert BIND in document_of(draft).keys


def test_the_draft_fails_only_because_of_its_denials(draft: Run) -> None:
    assert (draft.verdict, [step for step in draft.outcome.steps if not step.ok]) == (Verdict.FAIL, [])


def test_every_process_of_the_container_has_the_requested_label(draft: Run) -> None:
    assert draft.outcome.labels == {draft.label.context}


def test_the_draft_fails_in_enforcing_mode(apache: str, run: Runner) -> None:
    result = run(apache)
    assert (result.verdict, all(step.ok for step in result.outcome.steps)) == (Verdict.FAIL, False)


def test_a_policy_is_learned_that_passes_in_enforcing_mode(
    project: Project, machine: VirtualMachine, session_guest: SshGuest, apache: str
) -> None:
    result = learn(project, machine, apache, None, Progress())
    assert (result.passed, result.left) == (True, ())


def test_commands_logs_and_volumes_work(project: Project, run: Runner) -> None:
    text = (project.scenarios / "redis.yaml").read_text()
    (project.scenarios / "redis-podman.yaml").write_text(f"{text}runtime: podman\n")
    result = run("redis-podman", mode="permissive")
    assert [(step.name, step.detail) for step in result.outcome.steps if not step.ok] == []


def test_nothing_is_left_in_the_guest(draft: Run, guest: SshGuest) -> None:
    assert guest.run(["podman", "ps", "-aq"]).text == ""
    assert guest.run(["ls", "-A", "/var/lib/selab/runs"]).text == ""


def test_the_mode_is_restored(draft: Run, guest: SshGuest) -> None:
    assert not policy_state().of(guest).enforcing


def test_containers_of_a_pod_run_together(project: Project, run: Runner) -> None:
    text = (project.scenarios / "pages.yaml").read_text()
    (project.scenarios / "pages-podman.yaml").write_text(f"{text}runtime: podman\n")
    result = run("pages-podman", mode="permissive")
    assert [step.name for step in result.outcome.steps if not step.ok] == []
    assert all(each.labels == {each.label.context} for each in result.outcome.containers)


def test_containers_find_each_other_by_name(project: Project, run: Runner) -> None:
    text = (project.scenarios / "visits.yaml").read_text()
    (project.scenarios / "visits-podman.yaml").write_text(f"{text}runtime: podman\n")
    result = run("visits-podman", mode="permissive")
    assert [step.name for step in result.outcome.steps if not step.ok] == []
    assert all(each.labels == {each.label.context} for each in result.outcome.containers)

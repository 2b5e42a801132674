"""Run a candidate in CIL on a real VM: from a template and a bare block to a policy that passes."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator

import pytest

from selab.auditlog.denials import DenialKey
from selab.policy.guest.load import Mode
from selab.policy.language.cil_source import parse
from selab.policy.source_file import write_source
from selab.progress import Progress
from selab.project import Project
from selab.run.conversion import document_of
from selab.run.experiment import Run
from selab.run.verdict import Verdict
from selab.vm.ssh import SshGuest
from selab.vm.virtual_machine import VirtualMachine
from selab.workflows.learn import LearnResult, learn
from selab.workflows.minimise import minimise

TEMPLATE = """\
(block container
    (blockabstract container)
    (type process)
    (roletype system_r process)
    (typeattributeset domain (process))
    (typeattributeset container_domain (process))
    (typeattributeset mcs_constrained_type (process)))
"""
DRAFT = """\
; what udica would write for a web server
(block my_web
    (blockinherit container)
    (optional absent (allow process missing_t (file (read))))
)
"""
Runner = Callable[..., Run]


@pytest.fixture(scope="module")
def web(project: Project, session_guest: SshGuest) -> Iterator[str]:
    """Write the policy with a template, which would replace selab's own in the tests after these."""
    project.templates.mkdir()
    (project.templates / "base_container.cil").write_text(TEMPLATE)
    (project.policies / "my_web.cil").write_text(DRAFT)
    yield "my_web"
    shutil.rmtree(project.templates)
    (project.policies / "my_web.cil").unlink()


@pytest.fixture(scope="module")
def draft(web: str, session_run: Runner) -> Run:
    return session_run("apache", "permissive", web)


def test_the_container_runs_in_the_domain_of_the_block(draft: Run) -> None:
    assert draft.label.type == "my_web.process"
    assert draft.outcome.labels == {draft.label.context}


def test_it_links_with_the_flat_base(draft: Run) -> None:
    assert draft.loaded.slow_because == ""


def test_its_denials_are_those_of_the_block(draft: Run) -> None:
    assert DenialKey("my_web.process", "http_port_t", "tcp_socket", "name_bind") in document_of(draft).keys


@pytest.fixture(scope="module")
def learned(project: Project, machine: VirtualMachine, draft: Run, web: str) -> LearnResult:
    return learn(project, machine, "apache", web, Progress())


@pytest.mark.slow
def test_a_policy_is_learned_that_passes_in_enforcing_mode(learned: LearnResult) -> None:
    assert (learned.passed, learned.left) == (True, ())


@pytest.mark.slow
def test_the_rules_are_in_the_block_and_the_rest_of_the_file_stays(learned: LearnResult) -> None:
    (block,) = parse(learned.changes[0].after)
    assert {each.keyword for each in block.lists} == {"blockinherit", "optional", "allow"}
    assert learned.changes[0].after.startswith(DRAFT.removesuffix(")\n"))


@pytest.mark.slow
def test_what_the_workload_does_not_need_is_removed(
    project: Project, machine: VirtualMachine, learned: LearnResult, web: str
) -> None:
    needless = "    (allow process tmp_t (dir (search)))\n)\n"
    write_source(project.policies / "my_web.cil", learned.changes[0].after.removesuffix(")\n") + needless)
    (smallest,) = minimise(project, machine, "apache", web, Progress())
    last = next(run for run in reversed(smallest.runs) if run.verdict is Verdict.PASS)
    assert (last.mode, last.keys, smallest.complete) == (Mode.ENFORCING, frozenset(), True)
    assert "(allow process tmp_t (dir (search)))" in smallest.removed

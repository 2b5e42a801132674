"""Run scenarios on a real VM: real container, real kernel, real denials."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from selab.__main__ import run as selab
from selab.auditlog.denials import DenialKey
from selab.policy.guest.load import policy_state
from selab.project import Project
from selab.run.conversion import document_of
from selab.run.experiment import Run
from selab.run.verdict import Verdict
from selab.vm.ssh import SshGuest

Runner = Callable[..., Run]


@pytest.fixture(scope="module")
def draft(request: pytest.FixtureRequest) -> Run:
    """Run the draft policy in permissive mode, as a user does first."""
    result: Run = request.getfixturevalue("session_run")("apache", mode="permissive")
    return result


def keys(run: Run) -> frozenset[DenialKey]:
    return frozenset(document_of(run).keys)


def test_the_draft_shows_real_denials(draft: Run) -> None:
    assert DenialKey("selab_apache_t", "http_port_t", "tcp_socket", "name_bind") in keys(draft)


def test_the_draft_shows_denials_with_the_candidate_as_target(draft: Run) -> None:
    assert any(key.target == "selab_apache_t" != key.source for key in keys(draft))


def test_the_draft_fails_only_because_of_its_denials(draft: Run) -> None:
    assert draft.verdict is Verdict.FAIL
    assert all(step.ok for step in draft.outcome.steps)


def test_the_container_has_the_requested_label(draft: Run) -> None:
    assert draft.outcome.labels == {draft.label.context}


def test_a_second_permissive_run_shows_the_same_denials(draft: Run, run: Runner) -> None:
    assert keys(run("apache", mode="permissive")) == keys(draft)


def test_an_unchanged_candidate_is_not_loaded_again(draft: Run, run: Runner) -> None:
    assert not run("apache", mode="permissive").loaded.loaded


def test_the_draft_fails_in_enforcing_mode(run: Runner) -> None:
    result = run("apache")
    assert result.verdict is Verdict.FAIL
    assert not all(step.ok for step in result.outcome.steps)


def test_the_full_policy_passes_in_enforcing_mode_without_a_denial(run: Runner) -> None:
    result = run("apache", policy="selab_apache_full")
    assert (result.verdict, result.attribution.scenario) == (Verdict.PASS, ())


def test_only_the_candidates_domain_is_permissive_in_mode_domain(run: Runner) -> None:
    result = run("apache", mode="domain")
    assert result.window.enforcing
    assert {
        denial.permissive for denial in result.attribution.scenario if denial.source == "selab_apache_t"
    } == {True}


def test_the_base_policy_alone_uses_its_own_container_domain(run: Runner) -> None:
    assert run("apache", policy="none", mode="permissive").label.type == "container_t"


def test_another_kind_of_workload_runs(run: Runner) -> None:
    result = run("redis", mode="permissive")
    assert all(step.ok for step in result.outcome.steps)
    assert result.verdict is Verdict.FAIL


def test_the_mode_is_restored(run: Runner, guest: SshGuest) -> None:
    run("apache", policy="selab_apache_full")
    assert not policy_state().of(guest).enforcing


def test_nothing_is_left_in_the_guest(run: Runner, guest: SshGuest) -> None:
    run("apache", mode="permissive")
    assert guest.run(["docker", "ps", "-aq"]).text == ""
    assert "selab" not in guest.run(["sh", "-c", "ls /var/lib/selinux/*/active/modules/*/"]).text


def test_a_warm_run_starts_no_vagrant_and_prints_one_document(
    project: Project,
    run: Runner,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    run("apache", mode="permissive")
    for name in ("vagrant", "virsh", "docker", "apt-get", "mmdebstrap"):
        spy = tmp_path / name
        spy.write_text(f'#!/bin/sh\necho "{name} $*" >>{tmp_path}/called\nexit 1\n')
        spy.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    capfd.readouterr()
    assert selab(["-C", str(project.root), "run", "apache", "--setenforce", "no", "--json"]) == 1
    assert not (tmp_path / "called").exists()
    assert json.loads(capfd.readouterr().out)["verdict"] == "FAIL"


def test_a_candidate_that_does_not_compile_changes_nothing(
    project: Project, guest: SshGuest, capfd: pytest.CaptureFixture[str]
) -> None:
    before = policy_state().of(guest)
    (project.policies / "broken.te").write_text(
        "policy_module(broken, 1.0)\ncontainer_domain_templat(broken)\n"
    )
    assert selab(["-C", str(project.root), "run", "apache", "--policy", "broken"]) == 2
    assert "broken.te:2" in capfd.readouterr().err
    assert policy_state().of(guest) == before


def test_an_undeclared_type_is_refused(
    project: Project, session_guest: SshGuest, capfd: pytest.CaptureFixture[str]
) -> None:
    text = (project.scenarios / "apache.yaml").read_text()
    (project.scenarios / "undeclared.yaml").write_text(text + "label: {type: undeclared_t}\n")
    assert selab(["-C", str(project.root), "run", "undeclared"]) == 2
    assert "type 'undeclared_t' is not declared" in capfd.readouterr().err

"""Show on a real kernel that selab does not lie as denial tools can (docs/explanation/trust.md).

Each workload runs alone, and also beside another container of the scenario.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

import pytest

from selab.auditlog.denials import DenialKey
from selab.errors import CommandFailed
from selab.policy.guest.load import policy_state
from selab.project import Project
from selab.run.conversion import document_of
from selab.run.experiment import Run
from selab.run.verdict import Verdict
from selab.vm.ssh import SshGuest

Runner = Callable[..., Run]

IDLE = {"image": "httpd", "policy": "none", "command": ["sleep", "infinity"]}
"""A container that only waits, in the base policy's own domain for containers."""


class Workload(Protocol):
    def __call__(self, policy: str = "selab_apache", mode: str = "enforcing") -> Run: ...


class Job(Protocol):
    def __call__(
        self, command: str, *, policy: str, mode: str = "enforcing", code: int = 0, **more: Any
    ) -> Run: ...


@pytest.fixture(params=["alone", pytest.param("one of two", marks=pytest.mark.slow)])
def run_as(request: pytest.FixtureRequest, project: Project, run: Runner) -> Callable[..., Run]:
    """Return a function that runs a container with steps, alone or beside another one."""

    def run_as(container: Mapping[str, Any], steps: list[dict[str, Any]], mode: str) -> Run:
        if request.param == "alone":
            scenario = {**container, "steps": steps}
        else:
            main = {**container, "after": {"idle": "started"}}
            named = [{"container": "main", **step} for step in steps]
            scenario = {"containers": {"main": main, "idle": IDLE}, "steps": named}
        (project.scenarios / "trust.yaml").write_text(json.dumps(scenario))
        return run("trust", mode=mode)

    return run_as


@pytest.fixture
def apache(run_as: Callable[..., Run]) -> Workload:
    """Return a function that runs the example's Apache: apache(policy="x", mode="permissive")."""

    def apache(policy: str = "selab_apache", mode: str = "enforcing") -> Run:
        ports = [{"guest": 8080, "container": 80}]
        container = {"image": "httpd", "policy": policy, "ports": ports}
        return run_as(container, [{"http": {"port": 8080, "wait": True}}], mode)

    return apache


@pytest.fixture
def job(run_as: Callable[..., Run]) -> Job:
    """Return a function that runs a shell command in a container: job("true", policy="x").

    `guest` is a command of the guest after the end of the container, and `volumes` are the container's.
    """

    def job(
        command: str, *, policy: str, mode: str = "enforcing", code: int = 0, guest: str = "", **more: Any
    ) -> Run:
        steps: list[dict[str, Any]] = [{"exit": {"code": code}}]
        if guest:
            steps.append({"guest": {"argv": ["sh", "-c", guest]}})
        container = {"image": "httpd", "command": ["/bin/sh", "-c", command], "policy": policy, **more}
        return run_as(container, steps, mode)

    return job


def candidate(project: Project, name: str, rules: str = "") -> None:
    (project.policies / f"{name}.te").write_text(
        f"policy_module({name}, 1.0)\ncontainer_domain_template({name})\n{rules}\n"
    )


def sh(guest: SshGuest, script: str) -> str:
    return guest.run(["sh", "-c", script]).expect(f"`{script}` failed").text


UNSEEN = """
cd /etc/docker && cp -p daemon.json /root/daemon.json && echo '{}' >daemon.json &&
  touch -r /root/daemon.json daemon.json
systemctl restart docker
"""
"""After this, Docker sets no labels, but its settings do not look edited: selab would repair edited ones."""


def test_a_label_that_docker_ignores_is_an_error(apache: Workload, guest: SshGuest) -> None:
    sh(guest, UNSEEN)
    try:
        result = apache(mode="permissive")
    finally:
        sh(guest, "cp -p /root/daemon.json /etc/docker/daemon.json && systemctl restart docker")
    assert result.verdict is Verdict.ERROR
    assert any("not as selab_apache_t" in reason for reason in result.reasons)


def test_an_audit_daemon_that_stops_in_the_window_is_an_error(
    job: Job, project: Project, guest: SshGuest
) -> None:
    candidate(project, "stopped")
    try:
        result = job("true", guest="kill -9 $(pidof auditd); sleep 1", policy="stopped", mode="permissive")
    finally:
        sh(guest, "systemctl reset-failed auditd; systemctl restart auditd")
    assert result.verdict is Verdict.ERROR


def test_without_an_audit_daemon_the_journal_is_read(apache: Workload, guest: SshGuest) -> None:
    keys = document_of(apache(mode="permissive")).keys
    sh(guest, "pkill -x auditd; sleep 1")
    try:
        result = apache(mode="permissive")
    finally:
        sh(guest, "systemctl reset-failed auditd; systemctl restart auditd")
    assert (result.window.problems, document_of(result).keys) == ((), keys)
    assert sh(guest, "cat /proc/sys/kernel/printk_ratelimit").strip() != "0"


def test_lost_records_are_an_error(job: Job, project: Project, guest: SshGuest) -> None:
    candidate(project, "lost")
    sh(guest, "auditctl -r 2")
    try:
        result = job("ls -R /etc >/dev/null; id; ps", policy="lost", mode="permissive")
    finally:
        sh(guest, "auditctl -r 0")
    assert result.verdict is Verdict.ERROR


def test_a_log_that_is_rotated_in_the_window_is_complete(job: Job, project: Project) -> None:
    candidate(project, "rotated")
    result = job("true", guest="kill -USR1 $(pidof auditd); sleep 2", policy="rotated", mode="permissive")
    assert (result.window.problems, result.verdict) == ((), Verdict.FAIL)


def test_a_denial_that_dontaudit_hides_is_shown(project: Project, apache: Workload) -> None:
    candidate(project, "hidden", "gen_require(`\n\ttype dockerd_t;\n')\ndontaudit hidden_t dockerd_t:fd use;")
    result = apache(policy="hidden")
    assert result.attribution.scenario == ()
    # The container ends at once, and no visible denial proves its label: a label that selab could not read in
    # time is an ERROR.
    assert result.verdict is (Verdict.FAIL if result.outcome.labels else Verdict.ERROR)
    hidden = {key for row in result.hidden for key in row.denial.keys}
    assert DenialKey("hidden_t", "dockerd_t", "fd", "use") in hidden


def test_an_error_without_a_denial_is_shown(job: Job, project: Project) -> None:
    candidate(project, "invalid")
    # perl's syscall accepts only variables, because it may write to its arguments. 188 is setxattr.
    call = (
        "my $p=q(/data/x); my $n=q(security.selinux); my $c=q(a:b:none_t:s0); syscall(188, $p, $n, $c, 13, 0)"
    )
    command = f"touch /data/x; perl -e '{call}'"
    result = job(command, volumes=[{"target": "/data"}], policy="invalid", mode="permissive")
    assert [error.kind for error in result.attribution.errors] == ["setxattr"]


def test_a_policy_that_was_loaded_by_hand_is_replaced(apache: Workload, guest: SshGuest) -> None:
    apache(mode="permissive")
    sh(guest, "load_policy")
    assert policy_state().of(guest).digest == ""
    result = apache(mode="permissive")
    assert (result.loaded.loaded, result.verdict) == (True, Verdict.FAIL)


@pytest.fixture
def stranger(guest: SshGuest, run: Runner) -> Iterator[str]:
    """Start another container with the candidate's type and another level, and cause denials all the time."""
    run("apache", mode="permissive")
    image = sh(guest, "docker images --format '{{.Repository}}:{{.Tag}}' | grep httpd").strip()
    options = "--security-opt label=type:selab_apache_t --security-opt label=level:s0:c900,c901"
    loop = "while :; do cat /proc/1/environ /etc/shadow; sleep 0.2; done"
    sh(guest, f"docker run --detach --name stranger {options} {image} sh -c '{loop}'")
    yield "s0:c900,c901"
    sh(guest, "docker rm -f stranger")


def test_denials_of_another_container_of_the_same_type_are_not_the_runs(
    stranger: str, apache: Workload
) -> None:
    result = apache(mode="permissive")
    levels = {
        source.level
        for denial in result.attribution.scenario
        for source, _ in denial.evidence
        if source.type == "selab_apache_t"
    }
    assert stranger not in levels


def test_separation_by_categories_is_distinguished_from_a_missing_rule(job: Job, guest: SshGuest) -> None:
    sh(
        guest,
        "mkdir -p /srv/other && touch /srv/other/file && chcon -R -t container_file_t -l s0:c7,c8 /srv/other",
    )
    volumes = [{"guest_path": "/srv/other", "target": "/other"}]
    result = job("cat /other/file", volumes=volumes, policy="none")
    assert {row.denial.target: row.denial.separated for row in result.hidden} == {
        "container_file_t": True,
        "container_t": False,
    }


def test_a_label_that_the_policy_does_not_allow_is_refused(job: Job, project: Project) -> None:
    candidate(project, "roleless")
    (project.policies / "roleless.te").write_text("policy_module(roleless, 1.0)\ntype roleless_t;\n")
    with pytest.raises(CommandFailed, match="label is not valid"):
        job("true", policy="roleless")


def test_the_guest_is_left_as_it_was(guest: SshGuest, apache: Workload) -> None:
    apache(policy="selab_apache_full")
    assert not policy_state().of(guest).enforcing
    assert sh(guest, "auditctl -s | grep -E '^(enabled|rate_limit)'; docker ps -aq").split() == [
        "enabled",
        "1",
        "rate_limit",
        "0",
    ]


def test_the_mode_is_restored_after_an_interrupted_run(
    run: Runner, project: Project, guest: SshGuest
) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run("apache", policy="selab_apache_full", after_steps=interrupt)
    assert (policy_state().of(guest).enforcing, sh(guest, "docker ps -aq")) == (False, "")

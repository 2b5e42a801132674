"""What the doctor says about the VM's state, and about what a run needs in the guest."""

from __future__ import annotations

from typing import cast

import pytest

from selab.container.runtime import runtimes
from selab.doctor import examine as doctor
from selab.doctor.examine import Finding, State, guest_findings
from selab.errors import SelabError, Unreachable
from selab.guest import script
from selab.machine import MachineControl
from selab.progress import Progress
from selab.vm.select import UNREACHABLE
from tests.unit.fakes import FakeGuest

DOCKER = ("docker",)


def guest(
    installed: tuple[str, ...] = DOCKER, audit: str = "enabled 1\npid 400\nlost 0\n", docker: int = 0
) -> FakeGuest:
    """A guest with the runtimes `installed`, of which Docker sets labels and Podman ignores them.

    `docker` is the exit code of `docker info`.
    """
    fake = FakeGuest()
    fake.answer("auditctl -s", out=audit)
    fake.answer(script("policy/guest/policy-state"), out="0 7\n")
    fake.answer(
        script("policy/survey"),
        out="type default\npolicyvers 33\nmls 1\nexpand 0\nstore\nseen\nabc  modules/100/base/cil\n",
    )
    for name in runtimes():
        fake.answer(script("container/has-program"), f" {name}", code=0 if name in installed else 1)
    fake.answer("docker info", code=docker, out='["name=selinux"]\n')
    fake.answer("podman info", out="false\n")
    return fake


def finding_of(fake: FakeGuest, subject: str) -> Finding:
    (finding,) = [each for each in guest_findings(fake) if each.subject == subject]
    return finding


def test_every_runtime_of_the_guest_is_examined() -> None:
    findings = {each.subject: each.state for each in guest_findings(guest(("docker", "podman")))}
    assert (findings["Docker"], findings["Podman"]) == (State.OK, State.BAD)


def test_a_runtime_that_ignores_labels_is_bad_and_has_a_remedy() -> None:
    finding = finding_of(guest(("podman",)), "Podman")
    assert (finding.state, finding.remedy) == (State.BAD, runtimes()["podman"].unlabelled)


def test_a_runtime_that_does_not_answer_is_bad() -> None:
    assert finding_of(guest(docker=1), "Docker").state is State.BAD


def test_a_guest_without_a_container_runtime_is_bad() -> None:
    finding = finding_of(guest(()), "containers")
    assert (finding.state, "docker" in finding.detail) == (State.BAD, True)


@pytest.mark.parametrize(
    ("audit", "state", "words"),
    [
        ("enabled 1\npid 400\nlost 3\n", State.OK, "auditd is process 400, 3 records lost since boot"),
        ("enabled 1\npid 0\nlost 0\n", State.NOTE, "journal"),
        ("enabled 0\npid 400\nlost 0\n", State.BAD, "switched off"),
        ("enabled 0\npid 0\nlost 0\n", State.BAD, "switched off"),
    ],
    ids=["auditd", "no auditd", "off", "off without auditd"],
)
def test_the_doctor_says_whether_the_guest_audits_and_who_receives_the_records(
    audit: str, state: State, words: str
) -> None:
    finding = finding_of(guest(audit=audit), "audit")
    assert (finding.state, words in finding.detail) == (state, True)


class Vm:
    """A VM in a state, or one whose state or guest cannot be asked."""

    def __init__(self, state: str | SelabError, guest: FakeGuest | SelabError | None = None) -> None:
        self._state, self._guest = state, guest

    def status(self) -> str:
        if isinstance(self._state, SelabError):
            raise self._state
        return self._state

    def network(self) -> str:
        return "closed"

    def connect(self) -> FakeGuest:
        assert self._guest is not None
        if isinstance(self._guest, SelabError):
            raise self._guest
        return self._guest


def findings_of(vm: Vm) -> list[Finding]:
    return list(doctor._vm(cast(MachineControl, vm), Progress()))


@pytest.mark.parametrize(
    ("state", "expected", "remedy"),
    [
        ("not_created", State.NOTE, "creates"),
        ("shutoff", State.NOTE, "starts"),
        (UNREACHABLE, State.BAD, "ssh"),
        (SelabError("Vagrant failed.", hint="See its log."), State.BAD, "See its log."),
    ],
    ids=["no VM", "off", "silent host", "unknown"],
)
def test_a_vm_that_does_not_run_is_the_only_finding_about_it(
    state: str | SelabError, expected: State, remedy: str
) -> None:
    (finding,) = findings_of(Vm(state))
    assert (finding.subject, finding.state, remedy in finding.remedy) == ("VM", expected, True)


def test_a_guest_that_breaks_off_is_bad() -> None:
    last = findings_of(Vm("running", Unreachable("The guest does not answer.", hint="Try again.")))[-1]
    assert (last.subject, last.state, last.remedy) == ("guest", State.BAD, "Try again.")

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
    installed: tuple[str, ...] = DOCKER,
    audit: str = "enabled 1\npid 400\nlost 0\n",
    docker: int = 0,
    podman: int = 0,
) -> FakeGuest:
    """A guest with the runtimes `installed`, of which Docker sets labels and Podman ignores them.

    docker, podman: exit code of `docker info` and of `podman info`.
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
    fake.answer("podman info", code=podman, out="false\n")
    return fake


def finding_of(fake: FakeGuest, subject: str) -> Finding:
    (finding,) = [each for each in guest_findings(fake) if each.subject == subject]
    return finding


def test_every_runtime_of_the_guest_is_examined() -> None:
    findings = {each.subject: each.state for each in guest_findings(guest(("docker", "podman")))}
    assert (findings["Docker"], findings["Podman"]) == (State.OK, State.BAD)


def test_a_runtime_that_ignores_labels_is_bad_and_has_a_remedy() -> None:
    remedy = runtimes()["podman"].unlabelled
    assert finding_of(guest(("podman",)), "Podman") == Finding("Podman", State.BAD, "ignores labels", remedy)


@pytest.mark.parametrize(
    ("title", "where"),
    [("Docker", " -- systemctl status docker"), ("Podman", "")],
    ids=["daemon", "no daemon"],
)
def test_a_runtime_that_does_not_answer_is_bad_and_its_service_says_why(title: str, where: str) -> None:
    finding = finding_of(guest(("docker", "podman"), docker=1, podman=1), title)
    assert (finding.state, finding.remedy) == (State.BAD, f"`selab vm ssh{where}` shows why.")
    assert "ended with 1" in finding.detail


def test_a_guest_without_a_container_runtime_is_bad() -> None:
    assert finding_of(guest(()), "containers") == Finding(
        "containers",
        State.BAD,
        f"none of {', '.join(runtimes())} is installed",
        "Install one of them in the guest.",
    )


def test_an_audit_status_that_cannot_be_read_is_bad() -> None:
    fake = FakeGuest()
    fake.answer("auditctl -s", code=1, err="not permitted")
    assert doctor._audit(fake) == Finding(
        "audit",
        State.BAD,
        "The guest's audit status cannot be read. `auditctl -s` ended with 1: not permitted",
        "Run `selab doctor`.",
    )


OFF = (
    "auditing is switched off, 2 records lost since boot",
    "Switch it on: `selab vm ssh -- auditctl -e 1`. Until then, each run ends as ERROR.",
)


@pytest.mark.parametrize(
    ("audit", "state", "words"),
    [
        ("enabled 1\npid 400\nlost 3\n", State.OK, ("auditd is process 400, 3 records lost since boot", "")),
        (
            "enabled 1\npid 0\nlost 0\n",
            State.NOTE,
            (
                "auditd does not run, so a run reads the records from the journal; 0 records lost since boot",
                "To start it: `selab vm ssh -- systemctl start auditd`.",
            ),
        ),
        ("enabled 0\npid 400\nlost 2\n", State.BAD, OFF),
        ("enabled 0\npid 0\nlost 2\n", State.BAD, OFF),
    ],
    ids=["auditd", "no auditd", "off", "off without auditd"],
)
def test_the_doctor_says_whether_the_guest_audits_and_who_receives_the_records(
    audit: str, state: State, words: tuple[str, str]
) -> None:
    assert finding_of(guest(audit=audit), "audit") == Finding("audit", state, *words)


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
    ("state", "expected", "words"),
    [
        ("not_created", State.NOTE, ("not_created", "`selab run` creates one.")),
        ("shutoff", State.NOTE, ("shutoff", "`selab run` starts it.")),
        (
            UNREACHABLE,
            State.BAD,
            ("the machine of `box: host` does not answer", "`ssh` to it says why."),
        ),
        (
            SelabError("Vagrant failed.", "It hung.", hint="See its log."),
            State.BAD,
            ("Vagrant failed. It hung.", "See its log."),
        ),
    ],
    ids=["no VM", "off", "silent host", "unknown"],
)
def test_a_vm_that_does_not_run_is_the_only_finding_about_it(
    state: str | SelabError, expected: State, words: tuple[str, str]
) -> None:
    assert findings_of(Vm(state)) == [Finding("VM", expected, *words)]


def test_a_guest_that_breaks_off_is_bad() -> None:
    last = findings_of(Vm("running", Unreachable("The guest does not answer.", hint="Try again.")))[-1]
    assert last == Finding("guest", State.BAD, "The guest does not answer.", "Try again.")

"""doctor looks, and changes nothing."""

from __future__ import annotations

from typing import cast

import pytest

from selab.container.runtime import runtimes
from selab.doctor import examine as doctor
from selab.doctor.examine import State, guest_findings
from selab.guest import script
from selab.machine import MachineControl
from selab.progress import Progress
from tests.unit.fakes import FakeGuest


def guest(pid: int = 400) -> FakeGuest:
    fake = FakeGuest()
    fake.answer("auditctl -s", out=f"enabled 1\npid {pid}\nlost 0\n")
    fake.answer(script("policy/guest/policy-state"), out="0 7\n")
    fake.answer(
        script("policy/survey"),
        out="type default\npolicyvers 33\nmls 1\nexpand 0\nstore\nseen\nabc  modules/100/base/cil\n",
    )
    for name in runtimes():
        fake.answer(script("container/has-program"), f" {name}", code=0 if name == "docker" else 1)
    fake.answer("docker info", out='["name=selinux"]\n')
    return fake


def test_a_guest_that_has_everything_is_fine() -> None:
    assert {finding.state for finding in guest_findings(guest())} == {State.OK}


def test_no_mark_is_set_and_no_limit_changed() -> None:
    fake = guest(pid=0)
    list(guest_findings(fake))
    assert not any(
        "auditctl -m" in word or "printk_ratelimit" in word for argv in fake.commands for word in argv
    )


class Running:
    """A VM that answers, whose guest reaches `reach`."""

    def __init__(self, reach: str) -> None:
        self.reach = reach

    def status(self) -> str:
        return "running"

    def network(self) -> str:
        return self.reach

    def connect(self) -> FakeGuest:
        return guest()


@pytest.mark.parametrize(
    ("reach", "state", "remedy"),
    [
        ("closed", State.OK, ""),
        ("open", State.NOTE, "selab vm network closed"),
        ("unknown", State.NOTE, "selab run"),
        ("outside", State.NOTE, ""),
        ("foreign", State.NOTE, "docs/explanation/network.md"),
    ],
)
def test_a_network_that_is_not_closed_is_a_note(reach: str, state: State, remedy: str) -> None:
    findings = list(doctor._vm(cast(MachineControl, Running(reach)), Progress()))
    (finding,) = [finding for finding in findings if finding.subject == "network"]
    assert finding.state is state and finding.detail.startswith(f"{reach}: ")
    assert remedy in finding.remedy


def test_the_network_of_an_existing_host_is_no_finding() -> None:
    findings = list(doctor._vm(cast(MachineControl, Running("")), Progress()))
    assert "network" not in [finding.subject for finding in findings]

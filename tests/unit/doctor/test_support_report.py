"""What `selab doctor --report` gathers: unknown is not wrong, and nothing is started."""

from __future__ import annotations

from typing import Any

import pytest

from selab.doctor import support_report
from selab.doctor.examine import Finding, State
from selab.doctor.support_report import Checklist, checklist
from selab.errors import Unreachable
from selab.guest import script
from selab.history import History
from selab.machine import VagrantParameters
from selab.project import Project
from selab.vm import provision
from tests.unit.documents import document
from tests.unit.fakes import FakeGuest
from tests.unit.matrix.fakes import record


class Machine:
    """A machine that is up if it has a guest. What it cannot do here fails as an unknown attribute."""

    def __init__(self, guest: FakeGuest | None, parameters: VagrantParameters | None = None) -> None:
        self.guest, self.parameters = guest, parameters

    def vagrant_parameters(self) -> VagrantParameters | None:
        return self.parameters

    def connect(self) -> FakeGuest:
        if self.guest is None:
            raise Unreachable("The VM does not answer.", "10.0.0.7 port 22")
        return self.guest

    def applied(self) -> list[str]:
        return [provision.steps("apt")[0].name]


@pytest.fixture
def guest() -> FakeGuest:
    """A guest with a kernel, Docker, and each step of the provisioning but the last."""
    guest = FakeGuest()
    guest.answer(script("doctor/facts"), out="kernel\tLinux 6.12\n")
    guest.answer(script("container/has-program"), " docker")
    guest.answer(script("container/has-program"), code=1)
    guest.answer(script("vm/package-tools"), out="/usr/bin/apt-get\n")
    steps = provision.steps("apt")
    guest.answer(script("vm/probe"), out="present\n" * (len(steps) - 1) + "missing\n")
    guest.answer("docker", out="28\n")
    return guest


def examined(project: Project, monkeypatch: pytest.MonkeyPatch, machine: Machine) -> Checklist:
    finding = Finding("VM", State.NOTE, "it is off")
    monkeypatch.setenv("SELAB_CACHE", str(project.root / "cache"))
    monkeypatch.setattr(support_report, "machine_of", lambda _: machine)
    monkeypatch.setattr(support_report, "examine", lambda _: iter([finding]))
    monkeypatch.setattr(support_report, "_of_host", lambda: {"Python": "3.13"})
    return checklist(project)


def mark(filled: Checklist, what: str) -> bool | None:
    (check,) = [check for check in filled.checks if check.what == what]
    return check.ok


def empty(**fields: Any) -> Checklist:
    plain: dict[str, Any] = {"profile": "", "facts": {}, "findings": (), "steps": {}, "runs": ()}
    return Checklist(**(plain | fields))


def test_a_guest_that_does_not_answer_is_a_fact_and_its_steps_are_unknown(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled = examined(project, monkeypatch, Machine(None))
    assert filled.facts == {"Python": "3.13", "not seen": "the guest: The VM does not answer."}
    assert (filled.steps, filled.profile) == ({}, "")
    assert mark(filled, "Every step of the provisioning has its result.") is None


def test_the_guests_facts_and_steps_are_its_own_and_the_connection_is_closed(
    project: Project, monkeypatch: pytest.MonkeyPatch, guest: FakeGuest
) -> None:
    filled = examined(project, monkeypatch, Machine(guest))
    steps = provision.steps("apt")
    assert filled.facts["kernel"] == "Linux 6.12"
    assert (filled.steps[steps[0].name], filled.steps[steps[-1].name]) == ("applied", "missing")
    assert guest.closed


@pytest.mark.parametrize(("box", "shown"), [("debian/x", "debian/x"), ("selab-own-1234", "own")])
def test_the_name_of_the_users_own_box_is_not_passed_on(
    project: Project, monkeypatch: pytest.MonkeyPatch, box: str, shown: str
) -> None:
    parameters = VagrantParameters(profile="centos9", provider="libvirt", box=box, accel="qemu")
    filled = examined(project, monkeypatch, Machine(None, parameters))
    assert filled.profile == "centos9"
    facts = {name: filled.facts[name] for name in ("provider", "processor by", "box")}
    assert facts == {"provider": "libvirt", "processor by": "qemu", "box": shown}


def test_the_runs_are_all_of_the_project_the_newest_first(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An old run that passed is one of them, although many runs came after it."""
    for number in range(25):
        History.of(project).keep(record(number))
    runs = examined(project, monkeypatch, Machine(None)).runs
    assert [run.scenario for run in runs] == [f"web{number}" for number in range(24, -1, -1)]


def test_nothing_is_known_without_a_guest_and_a_run() -> None:
    assert {check.ok for check in empty().checks} == {None}


@pytest.mark.parametrize("state", [State.NOTE, State.BAD])
def test_a_line_is_checked_only_if_the_doctor_found_nothing(state: State) -> None:
    filled = empty(findings=(Finding("SELinux", state, "it is off"), Finding("audit", State.OK, "it runs")))
    assert mark(filled, "SELinux is on in the guest.") is False
    assert mark(filled, "The audit daemon runs.") is True


@pytest.mark.parametrize(
    ("fields", "passes", "shows"),
    [
        ({"mode": "permissive", "verdict": "PASS", "denials": []}, False, False),
        ({"mode": "permissive", "verdict": "PASS"}, False, True),
        ({"mode": "enforcing", "verdict": "PASS"}, True, False),
        ({"mode": "domain", "verdict": "PASS"}, False, False),
        ({"mode": "enforcing", "verdict": "ERROR"}, False, False),
    ],
)
def test_a_run_proves_only_what_its_mode_can(fields: dict[str, Any], passes: bool, shows: bool) -> None:
    filled = empty(runs=(document(**fields),))
    assert mark(filled, "An enforcing run passes.") is passes
    assert mark(filled, "A permissive run of a draft shows denials.") is shows


def test_an_error_among_the_runs_is_reported() -> None:
    runs = document(verdict="PASS"), document(verdict="ERROR")
    assert mark(empty(runs=runs), "No run ended as ERROR.") is False
    assert mark(empty(runs=runs[:1]), "No run ended as ERROR.") is True


def test_the_number_of_runs_that_ended_as_an_error_is_reported() -> None:
    runs = (document(verdict="PASS"), document(verdict="ERROR"), document(verdict="ERROR"))
    (check,) = (each for each in empty(runs=runs).checks if each.what == "No run ended as ERROR.")
    assert check.detail.startswith("2 of 3 runs")


def test_the_missing_steps_are_named() -> None:
    check = empty(steps={"a": "applied", "b": "missing", "c": "missing"}).checks[1]
    assert (check.ok, check.detail) == (False, "missing: b, c")

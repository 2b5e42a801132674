"""What `selab doctor --report` gathers: unknown is not wrong, and nothing is started."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

import pytest

from selab import __version__
from selab.doctor import support_report
from selab.doctor.examine import Finding, State
from selab.doctor.support_report import Check, Checklist, checklist
from selab.errors import SelabError, Unreachable
from selab.guest import script
from selab.history import History
from selab.machine import VagrantParameters
from selab.policy.base import BasePolicy
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
    guest.answer("docker", out="28\n  a\n")
    return guest


def examined(project: Project, monkeypatch: pytest.MonkeyPatch, machine: Machine) -> Checklist:
    finding = Finding("VM", State.NOTE, "it is off")
    monkeypatch.setenv("SELAB_CACHE", str(project.root / "cache"))
    monkeypatch.setattr(support_report, "machine_of", lambda of: {project.root: machine}[of.root])
    monkeypatch.setattr(support_report, "examine", lambda of: {project.root: iter([finding])}[of.root])
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
    assert filled.findings == (Finding("VM", State.NOTE, "it is off"),)
    assert filled.facts == {"Python": "3.13", "not seen": "the guest: The VM does not answer."}
    assert (filled.steps, filled.profile) == ({}, "")
    assert mark(filled, "Every step of the provisioning has its result.") is None


def test_the_guests_facts_and_steps_are_its_own_and_the_connection_is_closed(
    project: Project, monkeypatch: pytest.MonkeyPatch, guest: FakeGuest
) -> None:
    filled = examined(project, monkeypatch, Machine(guest))
    steps = provision.steps("apt")
    docker = dict.fromkeys(("Docker", "Docker's security", "Docker's storage and cgroups"), "28 a")
    assert filled.facts == {"Python": "3.13", "kernel": "Linux 6.12", **docker}
    states = ["applied", *["present"] * (len(steps) - 2), "missing"]
    assert filled.steps == {step.name: state for step, state in zip(steps, states, strict=True)}
    assert guest.closed


@pytest.mark.parametrize(
    ("answer", "code", "error"),
    [
        ("kernel\tLinux\nkernel\tBSD\n", 0, "'kernel\\tBSD' is not a fact, or the fact is there twice"),
        ("kernel\n", 0, "'kernel' is not a fact, or the fact is there twice"),
        ("colour\tred\n", 0, "colour"),
        ("", 1, "The guest's facts cannot be read."),
    ],
    ids=["twice", "no value", "unknown", "failed"],
)
def test_facts_of_another_form_are_an_error(answer: str, code: int, error: str) -> None:
    guest = FakeGuest()
    guest.answer(script("doctor/facts"), out=answer, code=code)
    with pytest.raises(SelabError) as raised:
        support_report._of_guest(guest)
    assert error in f"{raised.value.what} {raised.value.detail}"


def test_the_facts_of_this_machine_are_those_of_the_programs_that_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "vagrant"
    program.write_text('#!/bin/sh\n[ $1 = plugin ] && seq 20 || echo "Vagrant 2.4"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(
        support_report, "PROGRAMS", {**support_report.PROGRAMS, "libvirt": ("no-such-program", "--version")}
    )
    facts = support_report._of_host()
    assert [facts[name] for name in ("selab", "Python", "host", "Vagrant", "Vagrant's plugins")] == [
        __version__,
        platform.python_version(),
        f"{platform.system()} {platform.release()} {platform.machine()}",
        "Vagrant 2.4",
        "1 2 3 4 5 6 7 8",
    ]
    assert "libvirt" not in facts


def test_the_base_policy_of_the_last_run_is_a_fact(
    project: Project, monkeypatch: pytest.MonkeyPatch, base: BasePolicy
) -> None:
    History.of(project).keep(record(1))
    (run,) = History.of(project).documents()
    bases = {(run.base, project.root / "cache"): base}
    monkeypatch.setattr(support_report, "known_base", lambda *arguments: bases[arguments])
    facts = base.facts
    assert examined(project, monkeypatch, Machine(None)).facts["base policy"] == (
        f"{facts.selinux_type}, version {facts.policyvers}, {len(base.store)} modules, "
        f"deny rules: {base.denies}"
    )


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


def test_the_quickest_run_that_proves_it_is_named() -> None:
    runs = [document(verdict="PASS", timings={"audit": 0.5, "steps": seconds}) for seconds in (9, 2, 3)]
    runs.append(document(verdict="FAIL", timings={"steps": 0.1}))
    check = empty(runs=tuple(runs)).checks[7]
    assert check == Check("An enforcing run passes.", True, "the quickest in 2.5 s")
    assert empty(runs=tuple(runs[3:])).checks[7] == Check("An enforcing run passes.", False, "")


@pytest.mark.parametrize(
    ("verdicts", "ok", "detail"),
    [(["PASS"], True, ""), (["PASS", "ERROR", "ERROR"], False, "2 of 3 runs ended as ERROR")],
)
def test_the_number_of_runs_that_ended_as_an_error_is_reported(
    verdicts: list[str], ok: bool, detail: str
) -> None:
    filled = empty(runs=tuple(document(verdict=verdict) for verdict in verdicts))
    assert filled.checks[8] == Check("No run ended as ERROR.", ok, detail)


def test_the_missing_steps_are_named() -> None:
    what = "Every step of the provisioning has its result."
    steps = {"a": "applied", "b": "missing", "c": "missing"}
    assert empty(steps=steps).checks[1] == Check(what, False, "missing: b, c")
    assert empty(steps={"a": "applied", "b": "present"}).checks[1] == Check(what, True, "")


def test_each_line_about_the_guest_has_what_the_doctor_found() -> None:
    subjects = ("VM", "SELinux", "base policy", "Docker", "audit")
    others = (Finding("host", State.BAD, "x"), Finding("Podman", State.BAD, "y"))
    reported = tuple(Finding(subject, State.OK, f"of {subject}") for subject in subjects)
    checks = empty(findings=(others[0], *reported, others[1])).checks
    assert [checks[place] for place in (0, 2, 3, 4, 5)] == [
        Check("The VM is up and answers.", True, "of VM"),
        Check("SELinux is on in the guest.", True, "of SELinux"),
        Check("The guest says which policy it has.", True, "of base policy"),
        Check("The container runtime sets labels.", True, "of Docker"),
        Check("The audit daemon runs.", True, "of audit"),
    ]

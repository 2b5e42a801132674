"""What a machine of some kind turned out to be: facts, checks and timings, for whoever wants to know how a profile does elsewhere."""

from __future__ import annotations

import contextlib
import platform
import shutil
from collections.abc import Callable, Collection
from dataclasses import dataclass

from selab import __version__
from selab.container.runtime import runtimes
from selab.doctor.examine import Finding, State, examine
from selab.errors import SelabError
from selab.guest import Guest, script_argv
from selab.history import History
from selab.host.cache import cache_dir
from selab.host.local import LocalHost
from selab.machine import VagrantParameters
from selab.policy.base import known_base
from selab.policy.guest.load import Mode
from selab.project import Project
from selab.run.document import RunDocument
from selab.run.verdict import Verdict
from selab.vm import provision
from selab.vm.select import machine_of

MISSING = "missing"
TITLES = frozenset(runtime.title for runtime in runtimes().values())
RUNS = 20
"""Of the history: enough for a permissive run, an enforcing one, and the quickest."""
PROGRAMS = {
    "Vagrant": ("vagrant", "--version"),
    "Vagrant's plugins": ("vagrant", "plugin", "list"),
    "libvirt": ("virsh", "--version"),
    "QEMU": ("qemu-system-x86_64", "--version"),
    "VirtualBox": ("VBoxManage", "--version"),
}
PROGRAM_LIMIT = 60.0
"""Seconds for a version: Vagrant needs one or two, many more on a host under load."""


@dataclass(frozen=True)
class Check:
    """One line of the checklist: what should be so, and whether it is. `ok` is None where nobody could see."""

    what: str
    ok: bool | None
    detail: str = ""


@dataclass(frozen=True)
class Checklist:
    """`facts` by their names; `findings` are the doctor's; `steps` those of the provisioning: `applied` by selab, `present` before that, or
    MISSING; `runs` the newest first."""

    profile: str
    facts: dict[str, str]
    findings: tuple[Finding, ...]
    steps: dict[str, str]
    runs: tuple[RunDocument, ...]

    @property
    def checks(self) -> tuple[Check, ...]:
        """The checklist of docs/howto/centos.md, in its order."""
        return (
            self._found("VM", "The VM is up and answers."),
            Check(
                "Every step of the provisioning has its result.",
                _all_present(self.steps),
                _missing(self.steps),
            ),
            self._found("SELinux", "SELinux is on in the guest."),
            self._found("base policy", "The guest says which policy it has."),
            self._found(
                next((one.subject for one in self.findings if one.subject in TITLES), ""),
                "The container runtime sets labels.",
            ),
            self._found("audit", "The audit daemon runs."),
            self._ran(
                "A permissive run of a draft shows denials.",
                lambda run: run.mode is Mode.PERMISSIVE and bool(run.denials),
            ),
            self._ran(
                "An enforcing run passes.",
                lambda run: run.mode is Mode.ENFORCING and run.verdict is Verdict.PASS,
            ),
            Check(
                "No run ended as ERROR.",
                all(run.verdict is not Verdict.ERROR for run in self.runs) if self.runs else None,
            ),
        )

    def _found(self, subject: str, what: str) -> Check:
        found = next((one for one in self.findings if one.subject == subject), None)
        return Check(what, found.state is State.OK if found else None, found.detail if found else "")

    def _ran(self, what: str, is_one: Callable[[RunDocument], bool]) -> Check:
        found = [run for run in self.runs if is_one(run)]
        seconds = [sum(run.timings.values()) for run in found]
        return Check(
            what,
            bool(found) if self.runs else None,
            f"the quickest in {min(seconds):.1f} s" if seconds else "",
        )


def checklist(project: Project) -> Checklist:
    """Look at the host, the guest if it runs, and the history. Changes nothing, starts no VM."""
    machine = machine_of(project)
    parameters = machine.vagrant_parameters() or VagrantParameters()
    box = "own" if parameters.box and "-own-" in parameters.box else parameters.box
    of_vm = {"provider": parameters.provider, "processor by": parameters.accel, "box": box}
    facts = _of_host() | {name: value for name, value in of_vm.items() if value}
    steps: dict[str, str] = {}
    try:
        with contextlib.closing(machine.connect()) as guest:
            facts |= _of_guest(guest)
            steps = _steps(guest, machine.applied())
    except SelabError as error:
        facts["not seen"] = f"the guest: {error.what}"
    runs = tuple(run.document for run in History.of(project).latest(RUNS))
    if runs and (base := known_base(runs[0].base, cache_dir())):
        facts["base policy"] = (
            f"{base.facts.selinux_type}, version {base.facts.policyvers}, {len(base.store)} modules, deny rules: {base.denies}"
        )
    return Checklist(parameters.profile or "", facts, tuple(examine(project)), steps, runs)


def _of_host() -> dict[str, str]:
    facts = {
        "selab": __version__,
        "Python": platform.python_version(),
        "host": f"{platform.system()} {platform.release()} {platform.machine()}",
    }
    for name, command in PROGRAMS.items():
        if shutil.which(command[0]):
            done = LocalHost().run(command, timeout=PROGRAM_LIMIT)
            facts[name] = " ".join(done.text.splitlines()[:8])
    return facts


def _of_guest(guest: Guest) -> dict[str, str]:
    packages = [package for runtime in runtimes().values() for package in runtime.packages]
    lines = guest.run(script_argv("doctor/facts", *packages)).text.splitlines()
    facts = {name: value.strip() for name, tab, value in (line.partition("\t") for line in lines) if tab}
    for runtime in runtimes().values():
        if runtime.is_in(guest):
            for name, words in runtime.facts.items():
                done = guest.run(runtime.argv(*words))
                facts |= {name: " ".join(done.text.split())} if done.text.strip() else {}
    return facts


def _steps(guest: Guest, applied: Collection[str]) -> dict[str, str]:
    wanted = provision.steps(provision.family_of(guest))
    left = {step.name for step in provision.left_to_do(guest, wanted)}
    return {
        step.name: MISSING if step.name in left else "applied" if step.name in applied else "present"
        for step in wanted
    }


def _all_present(steps: dict[str, str]) -> bool | None:
    return MISSING not in steps.values() if steps else None


def _missing(steps: dict[str, str]) -> str:
    names = [name for name, state in steps.items() if state == MISSING]
    return f"missing: {', '.join(names)}" if names else ""

"""The contents of `selab doctor --report`: facts, checks and timings of a machine and its guest."""

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
from selab.guest import Completed, Guest, Malformed, Query, one_of, script
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
PROGRAMS = {
    "Vagrant": ("vagrant", "--version"),
    "Vagrant's plugins": ("vagrant", "plugin", "list"),
    "libvirt": ("virsh", "--version"),
    "QEMU": ("qemu-system-x86_64", "--version"),
    "VirtualBox": ("VBoxManage", "--version"),
}
GUEST_FACTS = (
    *("guest", "kernel", "processor", "packages", "SELinux configuration", "local policy modules"),
    "Python in the guest",
)
"""What scripts/facts.sh reports."""
PROGRAM_LIMIT = 60.0
"""Seconds for a program to print its version: Vagrant takes one or two, many more on a busy host."""


@dataclass(frozen=True)
class Check:
    """A line of the checklist.

    `what`: what should be the case.
    `ok`: whether it is; None if that is unknown.
    `detail`: what was found.
    """

    what: str
    ok: bool | None
    detail: str = ""


@dataclass(frozen=True)
class Checklist:
    """What is known about a machine and its guest.

    `profile`: the kind of guest, or "" if it is unknown.
    `facts`: each fact by its name.
    `findings`: what the doctor reports.
    `steps`: the state of each provisioning step: `applied` by selab, `present` before that, or MISSING.
    `runs`: all runs of the project's history, the newest first.
    """

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
                next((finding.subject for finding in self.findings if finding.subject in TITLES), ""),
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
            self._without_error(),
        )

    def _found(self, subject: str, what: str) -> Check:
        finding = next((finding for finding in self.findings if finding.subject == subject), None)
        return Check(what, finding.state is State.OK, finding.detail) if finding else Check(what, None)

    def _without_error(self) -> Check:
        count = sum(run.verdict is Verdict.ERROR for run in self.runs)
        detail = f"{count} of {len(self.runs)} runs ended as ERROR" if count else ""
        return Check("No run ended as ERROR.", not count if self.runs else None, detail)

    def _ran(self, what: str, is_such: Callable[[RunDocument], bool]) -> Check:
        seconds = [run.duration for run in self.runs if is_such(run)]
        detail = f"the quickest in {min(seconds):.1f} s" if seconds else ""
        return Check(what, bool(seconds) if self.runs else None, detail)


def checklist(project: Project) -> Checklist:
    """Examine the host, the guest if it runs, and the history. This changes nothing and starts no VM."""
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
    runs = tuple(History.of(project).documents())
    if runs and (base := known_base(runs[0].base, cache_dir())):
        store = f"{base.facts.selinux_type}, version {base.facts.policyvers}, {len(base.store)} modules"
        facts["base policy"] = f"{store}, deny rules: {base.denies}"
    return Checklist(parameters.profile or "", facts, tuple(examine(project)), steps, runs)


def _of_host() -> dict[str, str]:
    facts = {
        "selab": __version__,
        "Python": platform.python_version(),
        "host": f"{platform.system()} {platform.release()} {platform.machine()}",
    }
    for name, command in PROGRAMS.items():
        if shutil.which(command[0]):
            done = LocalHost(limits=None).run(command, timeout=PROGRAM_LIMIT)
            facts[name] = " ".join(done.text.splitlines()[:8])
    return facts


def _of_guest(guest: Guest) -> dict[str, str]:
    packages = [package for runtime in runtimes().values() for package in runtime.packages]
    facts = Query(script("doctor/facts"), _facts, tuple(packages)).of(guest)
    for runtime in runtimes().values():
        if runtime.is_in(guest):
            for name, words in runtime.facts.items():
                done = guest.run(runtime.argv(*words))
                facts |= {name: " ".join(done.text.split())} if done.text.strip() else {}
    return facts


def _facts(done: Completed) -> dict[str, str]:
    """Read the lines `NAME<tab>VALUE`, each with a name of GUEST_FACTS, and none of them twice."""
    facts: dict[str, str] = {}
    for line in done.expect("The guest's facts cannot be read.").text.splitlines():
        name, tab, value = line.partition("\t")
        if not tab or name in facts:
            raise Malformed(f"{line[:40]!r} is not a fact, or the fact is there twice")
        facts[one_of(name, *GUEST_FACTS)] = value.strip()
    return facts


def _steps(guest: Guest, applied: Collection[str]) -> dict[str, str]:
    steps = provision.steps(provision.family_of(guest))
    left = {step.name for step in provision.left_to_do(guest, steps)}
    return {
        step.name: MISSING if step.name in left else "applied" if step.name in applied else "present"
        for step in steps
    }


def _all_present(steps: dict[str, str]) -> bool | None:
    return MISSING not in steps.values() if steps else None


def _missing(steps: dict[str, str]) -> str:
    names = [name for name, state in steps.items() if state == MISSING]
    return f"missing: {', '.join(names)}" if names else ""

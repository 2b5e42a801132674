"""The checks of `selab doctor`: what is present, what is missing, and what to do about it."""

from __future__ import annotations

import contextlib
import os
import platform
import shlex
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from selab.analysis.offline import find_base
from selab.auditlog.windows import audit_status
from selab.container.runtime import Runtime, runtimes
from selab.errors import SelabError
from selab.guest import Guest
from selab.host import labels
from selab.host.cache import cache_dir
from selab.host.distribution import family, host_packages, how_to_install
from selab.machine import MachineControl
from selab.policy.guest.load import policy_state
from selab.policy.query.index import PolicyIndex
from selab.policy.query.risk import family_of, names_without_a_type
from selab.policy.survey import survey
from selab.policy.toolchain import TOOLS, missing_on_host
from selab.progress import Progress
from selab.project import Project
from selab.vm import kvm, libvirt
from selab.vm.box.store import BOXES, read_by_qemu
from selab.vm.network import DETAILS, REMEDIES, Reach
from selab.vm.provider import ARCHITECTURES, default_provider
from selab.vm.provider import TOOLS as TOOLS_OF_PROVIDERS
from selab.vm.select import UNREACHABLE, machine_of

HOST_SELINUX = "SELinux (host)"
DISK_NEEDED = 8
"""GiB: the box, Vagrant's copy of it, libvirt's copy, and what the guest writes."""


class State(StrEnum):
    """How a finding affects a run.

    `OK`: not at all.
    `NOTE`: selab works, but in another way.
    `BAD`: selab does not work.
    """

    OK = "ok"
    NOTE = "note"
    BAD = "bad"


@dataclass(frozen=True)
class Finding:
    """The result of a check.

    `subject`: what was checked.
    `state`: how it affects a run.
    `detail`: what was found.
    `remedy`: what selab does about it, or what you can do; "" if nothing is to be done.
    """

    subject: str
    state: State
    detail: str
    remedy: str = ""


def examine(project: Project, progress: Progress | None = None) -> Iterator[Finding]:
    """Check everything, the host first. This changes nothing and starts no VM.

    No step of `progress` is open while a finding is yielded.
    """
    progress = progress or Progress()
    machine = machine_of(project)
    yield Finding("host", State.OK, f"{platform.system()} {platform.release()} {platform.machine()}")
    yield _policy_tools()
    if machine.managed:
        yield from _virtualisation(project.config.vm.provider, progress)
        yield from _resources(project)
    if base := find_base(project, progress):
        yield risk_table(PolicyIndex.of(base))
    yield from _vm(machine, progress)


def risk_table(index: PolicyIndex) -> Finding:
    """Report the names of the table of risks that match no type of a base policy, which are never rated."""
    family = family_of(index)
    if names := names_without_a_type(index):
        remedy = "selab rates no access to them. Check risk.toml if the policy has other names for them."
        return Finding("risk table", State.NOTE, f"{family}: no type for {', '.join(names)}", remedy)
    return Finding("risk table", State.OK, f"{family}: the base policy has every type and attribute of it")


def _policy_tools() -> Finding:
    if missing := missing_on_host():
        remedy = "Policy is compiled in the guest, which takes longer."
        if programs := [program for program in missing if program in TOOLS]:
            remedy += f" To compile it here: {how_to_install(programs, TOOLS)}"
        return Finding("policy tools", State.NOTE, f"missing: {' '.join(missing)}", remedy)
    return Finding("policy tools", State.OK, f"{' '.join(TOOLS)}: policy is compiled on this machine")


def _virtualisation(configured: str, progress: Progress) -> Iterator[Finding]:
    provider = default_provider() if configured == "auto" else configured
    if platform.machine() not in ARCHITECTURES:
        remedy = "Use an existing machine: `box: host`, see docs/howto/hosts.md."
        yield Finding("processor", State.BAD, f"{platform.machine()}, and the boxes are for x86_64", remedy)
    tools = TOOLS_OF_PROVIDERS[provider]
    missing = [tool for tool in tools if not (kvm.find_qemu() if tool == kvm.QEMU else shutil.which(tool))]
    if missing:
        remedy = how_to_install(missing, tools)
        yield Finding("VM tools", State.BAD, f"missing: {' '.join(missing)}", remedy)
    else:
        yield Finding("VM tools", State.OK, " ".join(tools))
    if provider == "libvirt":
        yield from _libvirt_and_kvm(progress)
        yield from _labels()


def _libvirt_and_kvm(progress: Progress) -> Iterator[Finding]:
    with progress.step("Checking whether KVM works"):
        result, flags = kvm.best_known(), kvm.processor_flags()
    extensions = " ".join(sorted(flags & kvm.EXTENSIONS)) or "neither vmx nor svm"
    nested = ", and this machine is a virtual machine" if "hypervisor" in flags else ""
    detail = f"{result.reason}; the processor reports {extensions}{nested}" if flags else result.reason
    if result.works:
        yield Finding("KVM", State.OK, detail)
    else:
        remedy = "The VM's processor is emulated: about ten times slower."
        if flags and not flags & kvm.EXTENSIONS:
            where = "the host of this virtual machine" if nested else "this machine's firmware"
            remedy += f" Enable virtualisation in {where}, if you can."
        yield Finding("KVM", State.NOTE, detail, remedy)
    with progress.step("Asking libvirt"):
        finding = _libvirt()
    yield finding


def _libvirt() -> Finding:
    tools = TOOLS_OF_PROVIDERS["libvirt"]
    answer = libvirt.virsh("uri")
    if answer.returncode == 0:
        return Finding("libvirt", State.OK, answer.stdout.strip())
    if answer.returncode == 127:
        return Finding("libvirt", State.BAD, "virsh is not installed", how_to_install(["virsh"], tools))
    return Finding(
        "libvirt", State.NOTE, f"{libvirt.uri()} does not answer", "selab starts it if systemd does not."
    )


def _labels() -> Iterator[Finding]:
    """Check whether libvirt may boot the kernels in the cache, if SELinux is on here."""
    enforcing = labels.enforcing()
    if enforcing is None:
        return
    if not enforcing:
        yield Finding(HOST_SELINUX, State.OK, "permissive: it denies the VMs nothing")
    elif os.geteuid() != 0:
        detail = "enforcing: a plain user's libvirt labels the files of its VMs itself"
        yield Finding(HOST_SELINUX, State.OK, detail)
    else:
        yield _labels_of_boxes(cache_dir().resolve() / BOXES)


def _labels_of_boxes(boxes: Path) -> Finding:
    """Check what libvirt's system daemon needs: a rule for `boxes`, and its type on the files."""
    needed = host_packages(family() or "debian").label
    has_rule = labels.type_by_rules(boxes / "any") == needed
    types = {path: labels.type_of(path) for path in (boxes, *read_by_qemu(boxes)) if path.exists()}
    wrong = next((path for path, type_ in types.items() if type_ != needed), None)
    if not has_rule:
        detail = f"the policy has no rule that gives {boxes} the type {needed}"
    elif wrong:
        detail = f"{wrong} has the type {types[wrong] or 'unknown'}, not {needed}"
    else:
        return Finding(HOST_SELINUX, State.OK, f"enforcing: {boxes} has the type {needed}")
    commands = [] if has_rule else [labels.rule_for(boxes, needed)]
    commands += [shlex.join(["restorecon", "-R", "-F", str(boxes)])] if boxes.exists() else []
    remedy = "libvirt may refuse to boot a box from there. Run `script/setup` in a checkout, or as root: "
    remedy += " and ".join(f"`{command}`" for command in commands)
    return Finding(HOST_SELINUX, State.NOTE, f"enforcing: {detail}", remedy)


def _resources(project: Project) -> Iterator[Finding]:
    for what, path in (("cache", cache_dir()), ("project", project.root)):
        free = shutil.disk_usage(path).free >> 30
        state = State.OK if free >= DISK_NEEDED else State.BAD
        yield Finding(
            f"disk ({what})",
            state,
            f"{free} GiB free in {path}",
            "" if state is State.OK else f"{DISK_NEEDED} GiB are needed.",
        )
    yield from _memory(project.config.vm.memory)
    cpus = os.cpu_count() or 1
    yield Finding(
        "processors",
        State.OK if cpus >= project.config.vm.cpus else State.NOTE,
        f"{cpus}; the VM gets {project.config.vm.cpus}",
    )


def _memory(configured: int) -> Iterator[Finding]:
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20
    except (AttributeError, ValueError):  # a system without these names
        return
    enough = total > configured + 512
    remedy = "" if enough else "Set `vm: {memory: ...}` in selab.yaml."
    yield Finding(
        "memory", State.OK if enough else State.BAD, f"{total} MiB, of which the VM gets {configured}", remedy
    )


def _vm(machine: MachineControl, progress: Progress) -> Iterator[Finding]:
    try:
        with progress.step("Asking for the VM's state"):
            state = machine.status()
    except SelabError as error:
        yield _failed("VM", error)
        return
    if state == UNREACHABLE:
        yield Finding("VM", State.BAD, "the machine of `box: host` does not answer", "`ssh` to it says why.")
        return
    if state != "running":
        remedy = "`selab run` creates one." if state == "not_created" else "`selab run` starts it."
        yield Finding("VM", State.NOTE, state, remedy)
        return
    yield Finding("VM", State.OK, "running")
    if reach := machine.network():
        detail = f"{reach}: {DETAILS[Reach(reach)]}"
        state_of_network = State.OK if reach == Reach.CLOSED else State.NOTE
        yield Finding("network", state_of_network, detail, REMEDIES.get(Reach(reach), ""))
    try:
        with progress.step("Examining the guest"), contextlib.closing(machine.connect()) as guest:
            findings = list(guest_findings(guest))
        yield from findings
    except SelabError as error:
        yield _failed("guest", error)


def guest_findings(guest: Guest) -> Iterator[Finding]:
    """Check what a run needs in the guest."""
    yield _answer("SELinux", lambda: "enforcing" if policy_state().of(guest).enforcing else "permissive")
    yield _answer(
        "base policy",
        lambda: "{0.selinux_type}, {0.fingerprint:.16}, version {0.policyvers}".format(survey().of(guest)),
    )
    yield _audit(guest)
    installed = [runtime for runtime in runtimes().values() if runtime.is_in(guest)]
    yield from (_runtime(guest, runtime) for runtime in installed)
    if not installed:
        detail = f"none of {', '.join(runtimes())} is installed"
        yield Finding("containers", State.BAD, detail, "Install one of them in the guest.")


def _audit(guest: Guest) -> Finding:
    """Check who receives the audit records. Without an audit daemon, a run reads them from the journal."""
    try:
        status = audit_status(guest)
    except SelabError as error:
        return _failed("audit", error)
    lost = f"{status.lost} records lost since boot"
    if not status.enabled:
        remedy = "Switch it on: `selab vm ssh -- auditctl -e 1`. Until then, each run ends as ERROR."
        return Finding("audit", State.BAD, f"auditing is switched off, {lost}", remedy)
    if not status.pid:
        remedy = "To start it: `selab vm ssh -- systemctl start auditd`."
        detail = f"auditd does not run, so a run reads the records from the journal; {lost}"
        return Finding("audit", State.NOTE, detail, remedy)
    return Finding("audit", State.OK, f"auditd is process {status.pid}, {lost}")


def _runtime(guest: Guest, runtime: Runtime) -> Finding:
    try:
        labels = runtime.sets_labels(guest)
    except SelabError as error:
        status = f" -- systemctl status {runtime.service}" if runtime.service else ""
        remedy = f"`selab vm ssh{status}` shows why."
        return Finding(runtime.title, State.BAD, error.detail or error.what, remedy)
    if labels:
        return Finding(runtime.title, State.OK, "sets SELinux labels")
    return Finding(runtime.title, State.BAD, "ignores labels", runtime.unlabelled)


def _answer(subject: str, ask: Callable[[], str]) -> Finding:
    try:
        return Finding(subject, State.OK, ask())
    except SelabError as error:
        return _failed(subject, error)


def _failed(subject: str, error: SelabError) -> Finding:
    return Finding(subject, State.BAD, f"{error.what} {error.detail}".strip(), error.hint)

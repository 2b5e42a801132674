"""What a guest needs, probed in one round trip; only what is missing is applied. The steps are data: provision.toml."""

from __future__ import annotations

import functools
import hashlib
import importlib.resources
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from selab.errors import CommandFailed, SelabError
from selab.guest import Guest, script_argv, shell_argv
from selab.guest import script as guest_script
from selab.progress import Progress

STAMP = "/var/lib/selab/provisioned"
"""In the guest: `not ready` while steps are applied, then `ready DIGEST`. A half-made guest is recognised, not trusted."""
PROBE_LIMIT = 120.0
"""Seconds for all probes: a tenth of a second each in an emulated guest, more while it still boots."""
APPLY_LIMIT = 1800.0
"""Seconds for a step: packages over a slow line, and a policy rebuild in an emulated guest for each package that brings a module."""

NEEDED, OFFERED = "needed", "offered"
"""On a machine that somebody has already: what a run needs, and what is done there only on demand."""
INSTALL = {"dnf": "vm/install-dnf", "apt": "vm/install-apt"}
"""The script that installs packages, by package family."""
STANDARD = "docker"
"""The container runtime that every VM has."""


@dataclass(frozen=True)
class Step:
    """A step of the provisioning.

    `probe` is a shell script that succeeds if there is nothing to do; it may call `have PROGRAM...`. `apply` is
    the shell script that gives the guest the result, and `packages` are its arguments. `files` are selab's own
    files by their path in the guest, which must have them unchanged; they are put there before `apply` runs.
    `runtime` is the container runtime that the step is for, if any, and `host` one of "", NEEDED and OFFERED.
    """

    name: str
    probe: str
    apply: str
    files: Mapping[str, bytes] = field(default_factory=dict)
    packages: tuple[str, ...] = ()
    runtime: str = ""
    host: str = ""


@functools.cache
def _recipe() -> tuple[dict[str, tuple[Step, ...]], str]:
    data = importlib.resources.files("selab.vm").joinpath("provision.toml").read_bytes()
    groups = {
        name: tuple(_step(name, **step) for step in steps)
        for name, steps in tomllib.loads(data.decode()).items()
    }
    whole = hashlib.sha256(data)
    for step in (step for steps in groups.values() for step in steps):
        for text in (step.apply.encode(), *step.files.values()):
            whole.update(text)
    return groups, whole.hexdigest()[:16]


def _step(
    family: str,
    name: str,
    probe: str,
    apply: str = "",
    script: str = "",
    files: Mapping[str, str] | None = None,
    packages: Sequence[str] = (),
    runtime: str = "",
    host: str = "",
) -> Step:
    """Return a step of the recipe. `files` names each file's source in selab; a guest with another version of a
    file is not ready."""
    texts = {
        path: importlib.resources.files("selab").joinpath(source).read_bytes()
        for path, source in (files or {}).items()
    }
    sums = "".join(
        f"echo '{hashlib.sha256(text).hexdigest()}  {path}' | sha256sum --status -c - && "
        for path, text in texts.items()
    )
    script = INSTALL[family] if packages else script
    text = guest_script(script) if script else apply
    return Step(name, sums + probe, text, texts, tuple(packages), runtime, host)


def steps(family: str) -> tuple[Step, ...]:
    """The steps for a VM with a package family (`apt`, `dnf`), in their order."""
    return tuple(step for step in _every(family) if step.runtime in ("", STANDARD))


def runtime_steps(family: str, runtime: str) -> tuple[Step, ...]:
    """The steps that are for the container runtime `runtime` alone."""
    return tuple(step for step in _every(family) if step.runtime == runtime)


def host_steps(family: str, *hosts: str) -> tuple[Step, ...]:
    """The steps for a machine that somebody has already, which are NEEDED or OFFERED there, and for no runtime alone."""
    return tuple(step for step in _every(family) if step.host in hosts and not step.runtime)


def _every(family: str) -> tuple[Step, ...]:
    groups, _ = _recipe()
    return (*groups[family], *groups["every"])


def ready_stamp() -> str:
    """What STAMP holds in a guest that this version of the recipe has finished with."""
    return f"ready {_recipe()[1]}"


def is_ready(guest: Guest) -> bool:
    """Whether the guest says that it is provisioned: one cheap round trip."""
    return guest.run(("cat", STAMP)).text.strip() == ready_stamp()


def missing(answer: str, wanted: Sequence[Step]) -> list[Step]:
    """The steps whose probe said `missing`. Raises SelabError where the answer does not fit: then nothing is known."""
    lines = answer.split()
    if len(lines) != len(wanted) or set(lines) - {"present", "missing"}:
        raise SelabError("The guest's answer to the probes cannot be read.", repr(answer[-160:]))
    return [step for step, line in zip(wanted, lines, strict=True) if line == "missing"]


def provision(guest: Guest, progress: Progress) -> list[str]:
    """Apply what is missing in `guest` and stamp it; the names of the applied steps."""
    wanted = steps(family_of(guest))
    todo = left_to_do(guest, wanted)
    if todo:
        guest.put(b"not ready\n", STAMP)
    apply(guest, todo, progress)
    guest.put(ready_stamp().encode() + b"\n", STAMP)
    return [step.name for step in todo]


def apply(guest: Guest, todo: Sequence[Step], progress: Progress) -> None:
    """Do the steps `todo`, and see that each has its result."""
    for step in todo:
        with progress.step(step.name):
            for path, text in step.files.items():
                guest.put(text, path, mode=0o755)
            done = guest.run(shell_argv(step.apply, *step.packages), timeout=APPLY_LIMIT)
            done.expect(
                f"Preparing the guest failed at the step '{step.name}'.",
                hint="Run again to go on from there.",
            )
    left = left_to_do(guest, todo) if todo else []
    if left:
        raise SelabError(
            f"The step '{left[0].name}' ended without an error and without its result.",
            f"probe: {left[0].probe[:160]}",
        )


def family_of(guest: Guest) -> str:
    """The guest's package family. Raises SelabError for one that selab cannot prepare."""
    done = guest.run(script_argv("vm/package-tools"))
    for family, tool in (("dnf", "dnf"), ("apt", "apt-get")):
        if any(line.rsplit("/", 1)[-1] == tool for line in done.text.split()):
            return family
    raise SelabError(
        "The guest has neither dnf nor apt-get.",
        "selab prepares CentOS Stream, Fedora-like and Debian guests.",
    )


def left_to_do(guest: Guest, wanted: Sequence[Step]) -> list[Step]:
    """Those of the steps `wanted` whose result `guest` lacks."""
    done = guest.run(script_argv("vm/probe", *(step.probe for step in wanted)), timeout=PROBE_LIMIT)
    try:
        return missing(done.expect("The guest could not be probed.").text, wanted)
    except CommandFailed as error:
        raise SelabError(
            error.what, error.detail, "`selab vm ssh` shows what is wrong in the guest."
        ) from error

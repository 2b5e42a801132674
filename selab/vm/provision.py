"""What a guest needs, as steps: all are probed in one round trip, and only what is missing is applied.

The steps are data: provision.toml, and runtimes.toml for what a container runtime needs.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.resources
import json
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

from selab.errors import CommandFailed, SelabError
from selab.guest import Guest, Malformed, reading, script_argv, shell_argv
from selab.guest import script as guest_script
from selab.host.tables import PROVISION, RUNTIMES, table
from selab.progress import Progress
from selab.scenario.model import STANDARD_RUNTIME

STAMP = "/var/lib/selab/provisioned"
"""In the guest: `not ready` while selab applies steps, then `ready DIGEST`."""
PROBE_LIMIT = 120.0
"""Seconds for all probes: a tenth of a second each in an emulated guest, more while it still boots."""
APPLY_LIMIT = 1800.0
"""Seconds for a step: a download over a slow line, and several policy rebuilds in an emulated guest."""

NEEDED, OFFERED = "needed", "offered"
"""On an existing host: what a run needs, and what selab does there only on demand."""
EVERY = "every"
"""The name of the steps for guests of all families."""


_PROGRAM = re.compile(r"/[\w./+-]+", re.ASCII)


@dataclass(frozen=True)
class Step:
    """A step that prepares a guest; provision.toml describes its keys.

    name: text for the progress display.
    probe: shell script that succeeds if there is nothing to do. It may call `have PROGRAM...`.
    apply: shell script that does the step. Its arguments are the packages.
    files: selab's files that the guest must have unchanged, by their path there. They are put there before
        `apply` runs.
    packages: packages to install.
    runtime: container runtime that needs the step, or "".
    host: NEEDED or OFFERED on an existing host, or "" if the step is for VMs only.
    network: whether `apply` downloads something else than the packages.
    """

    name: str
    probe: str
    apply: str
    files: Mapping[str, bytes] = field(default_factory=dict)
    packages: tuple[str, ...] = ()
    runtime: str = ""
    host: str = ""
    network: bool = False

    @property
    def downloads(self) -> bool:
        """Whether `apply` needs the guest's network."""
        return self.network or bool(self.packages)


Online = Callable[[Guest, Progress], AbstractContextManager[None]]
"""Opens the network of the guest for a block: `Machine.online`."""


@functools.cache
def _recipe() -> tuple[dict[str, tuple[Step, ...]], str]:
    """Return the steps by package family, and a digest of everything that determines them."""
    own, runtimes = table(PROVISION), table(RUNTIMES)
    groups: dict[str, tuple[Step, ...]] = {}
    for family in (*own["family"], EVERY):
        entries = [
            {**entry, "runtime": name}
            for name, runtime in runtimes.items()
            for entry in runtime["steps"].get(family, ())
        ]
        entries += own.get(family, [])
        groups[family] = tuple(_step(family, **entry) for entry in entries)
    steps = [step for group in groups.values() for step in group]
    # A probe has the digests of the step's files.
    everything = json.dumps([[step.name, step.probe, step.apply, step.packages] for step in steps])
    return groups, hashlib.sha256(everything.encode()).hexdigest()[:16]


def _step(
    family: str,
    name: str,
    probe: str,
    apply: str = "",
    script: str = "",
    files: Mapping[str, str] | None = None,
    services: str = "",
    packages: Sequence[str] = (),
    runtime: str = "",
    host: str = "",
    network: bool = False,
) -> Step:
    """Return the step of a table. Its probe also fails if the guest has another version of a file."""
    contents = {path: _source(source) for path, source in (files or {}).items()}
    if services:
        contents[services] = "".join(f"{service}\n" for service in runtime_services()).encode()
    sums = "".join(
        f"echo '{hashlib.sha256(data).hexdigest()}  {path}' | sha256sum --status -c - && "
        for path, data in contents.items()
    )
    text = install_script(family) if packages else guest_script(script) if script else apply
    return Step(name, sums + probe, text, contents, tuple(packages), runtime, host, network)


def _source(path: str) -> bytes:
    return importlib.resources.files("selab").joinpath(path).read_bytes()


def _families() -> dict[str, dict[str, Any]]:
    families: dict[str, dict[str, Any]] = table(PROVISION)["family"]
    return families


def install_script(family: str) -> str:
    """Return the script that installs packages, which are its arguments, in a guest of a package family."""
    return guest_script(_families()[family]["install"])


def runtime_services() -> tuple[str, ...]:
    """Return the services of the container runtimes that have one."""
    return tuple(runtime["service"] for runtime in table(RUNTIMES).values() if runtime["service"])


def steps(family: str) -> tuple[Step, ...]:
    """Return the steps for a VM of a package family (`apt`, `dnf`), in their order."""
    return tuple(step for step in _every(family) if step.runtime in ("", STANDARD_RUNTIME))


def runtime_steps(family: str, runtime: str) -> tuple[Step, ...]:
    """Return the steps that only the container runtime `runtime` needs."""
    return tuple(step for step in _every(family) if step.runtime == runtime)


def host_steps(family: str, *hosts: str) -> tuple[Step, ...]:
    """Return the steps for an existing host whose `host` is one of `hosts`, without those of runtimes."""
    return tuple(step for step in _every(family) if step.host in hosts and not step.runtime)


def _every(family: str) -> tuple[Step, ...]:
    groups, _ = _recipe()
    return (*groups[family], *groups[EVERY])


def ready_stamp() -> str:
    """Return what STAMP holds in a guest that this version of the steps has prepared completely."""
    return f"ready {_recipe()[1]}"


def is_ready(guest: Guest) -> bool:
    """Return whether the guest's stamp says that it is prepared. This takes one cheap round trip."""
    return guest.run(("cat", STAMP)).text.strip() == ready_stamp()


def missing(answer: str, probed: Sequence[Step]) -> list[Step]:
    """Return the steps whose probe printed `missing`. Raises SelabError if the answer does not fit them."""
    lines = answer.split()
    if len(lines) != len(probed) or set(lines) - {"present", "missing"}:
        raise SelabError(
            "The guest's answer to the probes cannot be read.",
            f"It ends with {answer[-160:]!r}.",
            "Run the command again.",
        )
    return [step for step, line in zip(probed, lines, strict=True) if line == "missing"]


def provision(guest: Guest, progress: Progress, online: Online) -> list[str]:
    """Apply what is missing in `guest`, and stamp it. Return the names of the applied steps."""
    todo = left_to_do(guest, steps(family_of(guest)))
    if todo:
        guest.put(b"not ready\n", STAMP)
    apply(guest, todo, progress, online)
    guest.put(ready_stamp().encode() + b"\n", STAMP)
    return [step.name for step in todo]


def apply(guest: Guest, todo: Sequence[Step], progress: Progress, online: Online) -> None:
    """Do the steps `todo`, and check with their probes that each has its result.

    The steps that download something run in the context `online`, in which the guest's network is open.
    """
    for step in todo:
        way_out = online(guest, progress) if step.downloads else contextlib.nullcontext()
        with progress.step(step.name), way_out:
            for path, data in step.files.items():
                guest.put(data, path, mode=0o755)
            done = guest.run(shell_argv(step.apply, *step.packages), timeout=APPLY_LIMIT)
            done.expect(
                f"Preparing the guest failed at the step '{step.name}'.",
                hint="Run the command again: steps already done are skipped.",
            )
    left = left_to_do(guest, todo) if todo else []
    if left:
        raise SelabError(
            f"The step '{left[0].name}' ended without an error and without its result.",
            f"This probe fails in the guest: {left[0].probe[:160]}",
            "Run the probe in the guest: `selab vm ssh`.",
        )


def family_of(guest: Guest) -> str:
    """Return the guest's package family. Raises SelabError if selab cannot prepare such a guest."""
    tools = {family: entry["tool"] for family, entry in _families().items()}
    done = guest.run(script_argv("vm/package-tools", *tools.values()))
    with reading(done):
        present = {_program(line) for line in done.text.splitlines()}
    for family, tool in tools.items():
        if tool in present:
            return family
    raise SelabError(
        f"The guest has none of {', '.join(tools.values())}.",
        "selab prepares CentOS Stream, Fedora-like and Debian guests.",
    )


def _program(line: str) -> str:
    """Return the name of the program whose absolute path is `line`. Raises Malformed."""
    if not _PROGRAM.fullmatch(line):
        raise Malformed(f"{line[:40]!r} is not the path of a program")
    return line.rpartition("/")[2]


def left_to_do(guest: Guest, probed: Sequence[Step]) -> list[Step]:
    """Return the steps of `probed` whose result `guest` lacks."""
    done = guest.run(script_argv("vm/probe", *(step.probe for step in probed)), timeout=PROBE_LIMIT)
    try:
        return missing(done.expect("The guest could not be probed.").text, probed)
    except CommandFailed as error:
        raise SelabError(
            error.what, error.detail, "Look for the cause in the guest: `selab vm ssh`."
        ) from error

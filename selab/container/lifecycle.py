"""Run a container under its label, and read from the kernel which labels its processes really have."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from selab import guest_state
from selab.container.image import Image, Online, ensure_image
from selab.container.label import ContainerLabel
from selab.container.runtime import Runtime, runtimes
from selab.errors import CommandFailed, SelabError
from selab.guest import Completed, Guest, Malformed, number, one_of, reading, script_argv
from selab.policy.contexts import FileContexts
from selab.policy.guest.relabel import label_tree
from selab.progress import Progress
from selab.scenario.container import Volume
from selab.scenario.model import Scenario

START_TIMEOUT = 240.0
"""Seconds to start a container and to remove an earlier one: start.sh waits up to 100 seconds for each."""
REMOVE_TIMEOUT = 120.0
REFUSED = (125, 126, 127)
"""Exit codes of `docker run` and `podman run` for a container that does not start (docker-run(1))."""
RUNS = "/var/lib/selab/runs"
NO_CONTEXTS = FileContexts((), "")
Repair = tuple[Callable[[str], bool], Callable[[], object]]
"""A check whether an error names a cause, and what removes that cause."""


@dataclass
class Container:
    """A container that runs, or has run.

    name: its name in the runtime.
    pid: process id of its main process in the guest, or 0 if it has ended.
    runtime: the container runtime.
    labels: distinct contexts that its processes have had.
    """

    name: str
    pid: int
    runtime: Runtime
    labels: set[str] = field(default_factory=set)


def run_arguments(
    scenario: Scenario, image: Image, name: str, label: ContainerLabel, contexts: FileContexts = NO_CONTEXTS
) -> list[str]:
    """Return the words after the runtime's name that start the scenario's container."""
    runtime = runtimes()[scenario.runtime]
    words = [
        "run",
        "--detach",
        "--pull=never",
        "--name",
        name,
        "--hostname",
        "selab",
        "--cidfile",
        guest_state.CONTAINER_ID.path(name),
    ]
    words += ["--security-opt", f"label=type:{label.type}", "--security-opt", f"label=level:{label.level}"]
    words += [
        word for port in scenario.ports for word in ("--publish", f"127.0.0.1:{port.guest}:{port.container}")
    ]
    words += [
        word
        for number, volume in enumerate(scenario.volumes)
        for word in ("--volume", _volume_option(name, number, volume, contexts))
    ]
    words += [f"--cap-add={capability}" for capability in scenario.cap_add]
    words += [f"--cap-drop={capability}" for capability in scenario.cap_drop]
    words += [word for key, value in scenario.environment.items() for word in ("--env", f"{key}={value}")]
    words += ["--user", scenario.user] if scenario.user else []
    words += runtime.read_only if scenario.read_only else []
    return [
        *words,
        image.reference if image.source else runtime.reference(image.reference),
        *scenario.command,
    ]


def volume_label(volume: Volume, contexts: FileContexts) -> str:
    """Return how a volume is labelled: as the scenario configures it, or otherwise by what the volume is."""
    if volume.label:
        return volume.label
    if volume.guest_path:
        return "keep"
    return "contexts" if contexts.cover(volume.target) else "private"


def _volume_root(name: str, number: int) -> str:
    return f"{RUNS}/{name}/volume{number}"


def _volume_path(name: str, number: int, volume: Volume) -> str:
    """Return the volume's path in the guest.

    A copy of a project's directory has the path that it has in the container, below a directory of its own,
    because file contexts match that path.
    """
    return volume.guest_path or _volume_root(name, number) + volume.target


def _volume_option(name: str, number: int, volume: Volume, contexts: FileContexts) -> str:
    options = {"private": ["Z"], "shared": ["z"]}.get(volume_label(volume, contexts), []) + (
        ["ro"] if volume.read_only else []
    )
    return ":".join(
        [_volume_path(name, number, volume), volume.target, *([",".join(options)] if options else [])]
    )


@contextmanager
def running(
    guest: Guest,
    scenario: Scenario,
    image: Image,
    label: ContainerLabel,
    root: Path,
    cache: Path,
    progress: Progress,
    ensure_runtime: Callable[[], None],
    online: Online,
    *,
    contexts: FileContexts = NO_CONTEXTS,
    volume_type: str = "",
    keep: bool = False,
) -> Iterator[Container]:
    """Start the scenario's container under `label`, and remove it after the block unless `keep` is set.

    `contexts` label its volumes. Other volumes get the type `volume_type`, the runtime's own type for them,
    before the runtime sets their categories, because it may not relabel every type. `ensure_runtime` is
    called if the guest lacks the runtime, and `online` opens its network if it lacks the image.

    The container's labels are complete only after the block: they are read again just before it is removed.
    """
    name, runtime = f"selab-{scenario.name}", runtimes()[scenario.runtime]
    words = [label.context, name, runtime.name, runtime.pid_file, " ".join(runtime.cgroups)]
    argv = script_argv("container/start", *words, *run_arguments(scenario, image, name, label, contexts))
    repairs = (
        (runtime.lacks, ensure_runtime),
        (runtime.is_silent, lambda: _start_service(guest, runtime, progress)),
        # An interrupted run may start its container after this run has removed earlier ones.
        (
            _contains(runtime.in_the_way),
            lambda: guest.run(runtime.argv("rm", "-f", "-v", name), timeout=REMOVE_TIMEOUT),
        ),
        (_contains(runtime.no_image), lambda: ensure_image(guest, runtime, image, cache, progress, online)),
    )
    container = Container(name, 0, runtime)
    try:
        _prepare_volumes(guest, scenario, name, root, contexts, volume_type)
        container = _started(_start(guest, argv, repairs), name, runtime)
        yield container
    finally:
        end = "container/keep" if keep else "container/remove"
        argv = script_argv(end, name, str(container.pid), runtime.name)
        container.labels |= _labels(guest.run(argv, timeout=REMOVE_TIMEOUT))


def _start(guest: Guest, argv: Sequence[str], repairs: Iterable[Repair]) -> Completed:
    """Start the container. If that fails, try again after each repair whose cause the error names."""
    done = guest.run(argv, timeout=START_TIMEOUT)
    for is_cause, repair in repairs:
        if not done.ok and is_cause(done.error_text):
            repair()
            done = guest.run(argv, timeout=START_TIMEOUT)
    return done


def _contains(signs: Sequence[str]) -> Callable[[str], bool]:
    """Return a function that checks whether a text contains one of `signs`."""
    return lambda text: any(words in text for words in signs)


def _start_service(guest: Guest, runtime: Runtime, progress: Progress) -> None:
    with progress.step(f"Starting {runtime.title}, which does not answer"):
        guest.run(["systemctl", "restart", runtime.service], timeout=START_TIMEOUT)


def _labels(done: Completed) -> set[str]:
    """Return the labels of the lines `label CONTEXT`. Other lines are `pid NUMBER`, and `end` at the end."""
    with reading(done):
        complete = done.text.split("\n")
        if complete[-2:] != ["end", ""]:
            raise Malformed("it does not end with the line 'end'")
        lines = [line.partition(" ") for line in complete[:-2]]
        for key, _, value in lines:
            if one_of(key, "label", "pid") == "label" and not (value.isprintable() and value[:1] != "-"):
                raise Malformed(f"{value[:40]!r} is not a context")
        return {value for key, _, value in lines if key == "label" and value.count(":") >= 2}


def _started(done: Completed, name: str, runtime: Runtime) -> Container:
    if runtime.is_silent(done.error_text) or runtime.lacks(done.error_text):
        raise SelabError(
            f"{runtime.title} does not answer in the guest.",
            runtime.without_usage(done.error_text),
            "Run `selab doctor`.",
        )
    if done.expect(f"{runtime.title} failed in an unknown way.", 0, *REFUSED).returncode:
        raise ContainerRefused(done, runtime)
    pids = [line.removeprefix("pid ") for line in done.text.splitlines() if line.startswith("pid ")]
    if len(pids) != 1:
        raise SelabError(
            f"{runtime.title} did not report which process it started.",
            f"It reported: {done.text[:100]!r}",
            "Run `selab doctor`.",
        )
    with reading(done):
        return Container(name, number(pids[0]), runtime, _labels(done))


class ContainerRefused(CommandFailed):
    """The container did not start. This is an outcome of the run, because the candidate may be the cause."""

    def __init__(self, done: Completed, runtime: Runtime) -> None:
        super().__init__(
            "The container did not start.",
            runtime.argv("run"),
            done.returncode,
            runtime.without_usage(done.error_text),
        )


def _prepare_volumes(
    guest: Guest, scenario: Scenario, name: str, root: Path, contexts: FileContexts, volume_type: str
) -> None:
    """Copy the project's directories into the guest, and label them."""
    for place, volume in enumerate(scenario.volumes):
        if volume.guest_path:
            continue
        path = _volume_path(name, place, volume)
        archive = _archive((root / volume.source).resolve() if volume.source else None)
        label = volume_label(volume, contexts)
        own_type = {"private": volume_type, "shared": volume_type, "contexts": "", "keep": ""}.get(
            label, label
        )
        done = guest.run(script_argv("container/make-volume", path, own_type), input=archive)
        done.expect(f"The volume for {volume.target} cannot be created.")
        if label == "contexts":
            label_tree(guest, contexts, _volume_root(name, place), volume.target)


def _archive(directory: Path | None) -> bytes:
    """Pack the directory as a tar archive, without links: their targets may be outside the project."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for path in sorted(directory.rglob("*")) if directory else []:
            if path.is_symlink() or not (path.is_file() or path.is_dir()):
                continue
            tar.add(path, arcname=str(path.relative_to(directory or path)), recursive=False, filter=_as_root)
    return out.getvalue()


def _as_root(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    return member

"""Start a container, and read from the kernel which labels its processes really have."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from selab import guest_state
from selab.container.image import Image, Online, ensure_image
from selab.container.namespaces import namespace_words
from selab.container.runtime import Runtime
from selab.container.volumes import mounts_of
from selab.container.workload import LabelledContainer, Workload
from selab.errors import CommandFailed, SelabError
from selab.guest import (
    Completed,
    Guest,
    Malformed,
    contexts_in,
    number,
    one_of,
    reading,
    script_argv,
    whole_seconds,
)
from selab.progress import Progress
from selab.service.lifecycle import RunningService

START_TIMEOUT = 240.0
"""Seconds to start a container and to remove an earlier one: start.sh waits up to 100 seconds for each."""
REMOVE_TIMEOUT = 120.0
REFUSED = (125, 126, 127)
"""Exit codes of `docker run` and `podman run` for a container that does not start (docker-run(1))."""
TAIL = 8
"""Lines of a container's log that a failed run shows."""
Repair = tuple[Callable[[str], bool], Callable[[], object]]
"""A check whether an error names a cause, and what removes that cause."""


@dataclass
class Container:
    """A container that runs, or has run.

    name: its name in the runtime.
    pid: process id of its main process in the guest, or 0 if it has ended.
    runtime: the container runtime.
    labels: distinct contexts that its processes have had.
    title: its name in the scenario; empty if it is the only one.
    ended: its exit code, if it had ended by itself when the steps were over.
    outlived: whether processes were left when the runtime had removed it; selab has killed them.
    """

    name: str
    pid: int
    runtime: Runtime
    labels: set[str] = field(default_factory=set)
    title: str = ""
    ended: int | None = None
    outlived: bool = False

    @property
    def noun(self) -> str:
        """Return what a sentence about a step calls it."""
        return "the container"

    @property
    def log_argv(self) -> list[str]:
        """Return the command that prints the container's whole output."""
        return self.runtime.argv("logs", self.name)

    @property
    def tail_argv(self) -> list[str]:
        """Return the command that prints the last lines of that."""
        return self.runtime.argv("logs", "--tail", str(TAIL), self.name)

    def end_argv(self, seconds: float) -> list[str]:
        """Return the command that waits for the container's end and prints its exit code."""
        words = (str(self.pid), self.name, whole_seconds(seconds), self.runtime.name)
        return script_argv("container/wait-for-end", *words)


Running = Container | RunningService
"""What a step can be about."""


@dataclass(frozen=True)
class Setup:
    """What starts containers in a guest.

    guest: the connection to the guest.
    root: the project's directory.
    cache: the cache's directory.
    progress: what selab reports its work to.
    ensure_runtime: called if the guest lacks the container runtime.
    online: opens the guest's network if it lacks an image.
    """

    guest: Guest
    root: Path
    cache: Path
    progress: Progress
    ensure_runtime: Callable[[], None]
    online: Online


def run_arguments(container: LabelledContainer, workload: Workload) -> list[str]:
    """Return the words after the runtime's name that start a container of `workload`."""
    runtime, spec, label = workload.runtime, container.spec, container.label
    words = ["run", "--detach", "--pull=never", "--name", container.name]
    words += ["--cidfile", guest_state.CONTAINER_ID.path(container.name)]
    words += ["--security-opt", f"label=type:{label.type}", "--security-opt", f"label=level:{label.level}"]
    words += namespace_words(container, workload)
    words += [word for mount in mounts_of(container, workload) for word in ("--volume", mount.option)]
    words += [f"--cap-add={capability}" for capability in spec.cap_add]
    words += [f"--cap-drop={capability}" for capability in spec.cap_drop]
    words += [word for key, value in spec.environment.items() for word in ("--env", f"{key}={value}")]
    words += ["--user", spec.user] if spec.user else []
    words += runtime.read_only if spec.read_only else []
    image = _image(container)
    return [*words, image.reference if image.source else runtime.reference(image.reference), *spec.command]


def _image(container: LabelledContainer) -> Image:
    assert container.image, "a service has no image"
    return container.image


def start(setup: Setup, container: LabelledContainer, workload: Workload, others: Iterable[str]) -> Container:
    """Start a container under its label. `others` are the names of those that have been started already.

    Raises ContainerRefused if the runtime does not start it.
    """
    runtime, guest, name, image = workload.runtime, setup.guest, container.name, _image(container)
    words = [container.label.context, name, runtime.name, runtime.pid_file, " ".join(runtime.cgroups)]
    words += [" ".join(others), *run_arguments(container, workload)]
    repairs = (
        (runtime.lacks, setup.ensure_runtime),
        (runtime.is_silent, lambda: _start_service(guest, runtime, setup.progress)),
        # An interrupted run may start its container after this run has removed earlier ones.
        (
            _contains(runtime.in_the_way),
            lambda: guest.run(runtime.argv("rm", "-f", "-v", name), timeout=REMOVE_TIMEOUT),
        ),
        (
            _contains(runtime.no_image),
            lambda: ensure_image(guest, runtime, image, setup.cache, setup.progress, setup.online),
        ),
    )
    done = run_with_repairs(guest, script_argv("container/start", *words), repairs)
    return _started(done, container, runtime)


def run_with_repairs(guest: Guest, argv: Sequence[str], repairs: Iterable[Repair]) -> Completed:
    """Run a script. If it fails, run it again after each repair whose cause the error names."""
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


def labels_in(text: str) -> set[str]:
    """Return the labels of the lines `label CONTEXT`. Other lines are `pid NUMBER`, and `end` at the end.

    Raises Malformed.
    """
    complete = text.split("\n")
    if complete[-2:] != ["end", ""]:
        raise Malformed("it does not end with the line 'end'")
    lines = [line.partition(" ") for line in complete[:-2]]
    return contexts_in(value for key, _, value in lines if one_of(key, "label", "pid") == "label")


def _started(done: Completed, container: LabelledContainer, runtime: Runtime) -> Container:
    if runtime.is_silent(done.error_text) or runtime.lacks(done.error_text):
        raise SelabError(
            f"{runtime.title} does not answer in the guest.",
            runtime.without_usage(done.error_text),
            "Run `selab doctor`.",
        )
    if done.expect(f"{runtime.title} failed in an unknown way.", 0, *REFUSED).returncode:
        raise ContainerRefused(done, runtime, container.title)
    pids = [line.removeprefix("pid ") for line in done.text.splitlines() if line.startswith("pid ")]
    if len(pids) != 1:
        raise SelabError(
            f"{runtime.title} did not report which process it started.",
            f"It reported: {done.text[:100]!r}",
            "Run `selab doctor`.",
        )
    with reading(done):
        pid = number(pids[0])
        return Container(container.name, pid, runtime, labels_in(done.text), container.title)


class ContainerRefused(CommandFailed):
    """The container did not start. This is an outcome of the run, because the candidate may be the cause."""

    def __init__(self, done: Completed, runtime: Runtime, title: str = "") -> None:
        self.title = title
        super().__init__(
            "The container did not start.",
            runtime.argv("run"),
            done.returncode,
            runtime.without_usage(done.error_text),
        )

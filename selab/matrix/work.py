"""Execute one run of a matrix on the worker that received it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from selab import __version__
from selab.errors import SelabError
from selab.history import Record
from selab.host.cache import cache_dir
from selab.host.files import read_json, write_json
from selab.matrix.bundle import Bundle, place
from selab.matrix.plan import Cell, Failure
from selab.matrix.slots import claimed, destroy, has_vm
from selab.policy.base import BasePolicy, known_base
from selab.progress import Progress, Silent
from selab.project import CONFIG, Project, ProjectConfig, find_project
from selab.run import experiment
from selab.run.request import RunOptions
from selab.vm.select import machine_of

LAST = "last.json"

Log = Callable[[Path], AbstractContextManager[None]]


@dataclass(frozen=True)
class Task:
    """The task that a worker receives.

    number: position of the cell in the matrix.
    cell: combination to run.
    bundle: user's files.
    config: guest's selab.yaml.
    home: directory of the slots if the worker is a child process, otherwise a name below the worker's own
        cache.
    topic: topic of the progress events.
    log: opens the log in a file.
    selab: version that sent the task.
    """

    number: int
    cell: Cell
    bundle: Bundle
    config: ProjectConfig
    home: str
    topic: str
    log: Log
    selab: str = __version__


@dataclass(frozen=True)
class Answer:
    """The answer of a worker, as plain data.

    result: run, or why there is none.
    slot: VM that was used, or empty.
    worker: worker's address.
    """

    result: Record | Failure
    slot: str = ""
    worker: str = ""


def run_task(task: Task) -> Answer:
    """Run the cell in a free VM of this machine. A SelabError becomes an answer too."""
    from distributed import get_worker

    worker = get_worker()

    def report(**words: str) -> None:
        worker.log_event(task.topic, {"number": task.number, **words})

    return dataclasses.replace(run_here(task, report), worker=worker.address)


def run_here(task: Task, report: Callable[..., None]) -> Answer:
    """Run the cell without a cluster."""
    slot = ""
    try:
        _refuse_other_version(task.selab)
        with claimed(slots_home(task.home), task.cell.guest) as directory:
            slot = directory.name
            report(slot=slot)
            with task.log(directory / ".selab" / "selab.log"):
                return Answer(_run(task, directory, Progress(_Reporter(report))), slot)
    except SelabError as error:
        return Answer(Failure(error.what, error.detail, error.hint), slot)


def destroy_there(home: str, slot: str) -> str:
    """Remove a VM of the worker's machine; return why it still exists, or an empty string."""
    try:
        destroy(slots_home(home), slot, Progress())
    except SelabError as error:
        return " ".join(str(error).splitlines())
    return ""


def slots_home(home: str) -> Path:
    """Return the directory that `home` means on this machine."""
    return cache_dir() / "matrix" / home


def _refuse_other_version(theirs: str) -> None:
    if theirs != __version__:
        raise SelabError(
            "The worker has a different version of selab.",
            f"The worker has {__version__}, and the task was sent by {theirs}.",
            "Install the same version on both machines.",
        )


def _run(task: Task, directory: Path, progress: Progress) -> Record:
    project = _project(task, directory, progress)
    options = RunOptions(expected_base=_last_base(project))
    run = experiment.run(project, machine_of(project), task.cell.request, progress, options)
    write_json(project.state / LAST, {"base": run.base_fingerprint})
    record = Record.of(run)
    note = f"Run by `selab matrix` in the guest {task.cell.guest}, VM {directory.name}."
    document = record.document.model_copy(update={"notes": (*record.document.notes, note)})
    return dataclasses.replace(record, document=document)


def _project(task: Task, directory: Path, progress: Progress) -> Project:
    """Put the user's files into the slot; if the guest's settings changed, its VM is removed first."""
    before = find_project(directory).config.vm if (directory / CONFIG).is_file() else None
    if before is None:
        place(task.bundle, task.config, directory)
    if before != task.config.vm and has_vm(there := find_project(directory)):
        with progress.step("Removing the VM, because the guest's settings have changed"):
            machine_of(there).destroy(progress)
    place(task.bundle, task.config, directory)
    return find_project(directory)


def _last_base(project: Project) -> BasePolicy | None:
    """Return the base policy of the slot's last run, so that compiling need not wait for the VM."""
    fingerprint = read_json(project.state / LAST).get("base")
    return known_base(fingerprint, cache_dir(), project.store) if isinstance(fingerprint, str) else None


class _Reporter(Silent):
    """Reports the outermost steps and notes to the coordinator."""

    def __init__(self, report: Callable[..., None]) -> None:
        self._report = report

    def started(self, step: str, depth: int) -> None:
        self._report(step=step)

    def noted(self, text: str, depth: int) -> None:
        self._report(step=text)

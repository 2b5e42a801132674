"""One run of a matrix, on the worker that was given it."""

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
    """What a worker is sent. `number` is the cell's place in the matrix, `config` the guest's selab.yaml, `topic` what the progress goes
    under. `home` is where the slots lie: a path where the worker is a child of ours, else a name below its own cache. `log` opens the log
    in a file."""

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
    """What comes back, as plain data. `slot` is the VM that was used, if any; `worker` the worker's address."""

    result: Record | Failure
    slot: str = ""
    worker: str = ""


def run_task(task: Task) -> Answer:
    """Run the cell in a VM of this machine that nobody else uses. Whatever a SelabError says is an answer as well."""
    from distributed import get_worker

    worker = get_worker()

    def tell(**words: str) -> None:
        worker.log_event(task.topic, {"number": task.number, **words})

    return dataclasses.replace(run_here(task, tell), worker=worker.address)


def run_here(task: Task, tell: Callable[..., None]) -> Answer:
    """The same without a cluster."""
    slot = ""
    try:
        _refuse_other_version(task.selab)
        with claimed(slots_home(task.home), task.cell.guest) as directory:
            slot = directory.name
            tell(slot=slot)
            with task.log(directory / ".selab" / "selab.log"):
                return Answer(_run(task, directory, Progress(_Teller(tell))), slot)
    except SelabError as error:
        return Answer(Failure(error.what, error.detail, error.hint), slot)


def destroy_there(home: str, slot: str) -> str:
    """Remove a VM of the worker's machine; why it is still there, or nothing."""
    try:
        destroy(slots_home(home), slot, Progress())
    except SelabError as error:
        return " ".join(str(error).splitlines())
    return ""


def slots_home(home: str) -> Path:
    """The directory that `home` means on this machine."""
    return cache_dir() / "matrix" / home


def _refuse_other_version(theirs: str) -> None:
    if theirs != __version__:
        raise SelabError(
            "The worker has another selab.",
            f"It has {__version__}, and was asked by {theirs}.",
            "Install the same on both.",
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
    """The slot with the user's files of this matrix. Where the guest has other settings now, its VM is made anew."""
    before = find_project(directory).config.vm if (directory / CONFIG).is_file() else None
    if before is None:
        place(task.bundle, task.config, directory)
    if before != task.config.vm and has_vm(there := find_project(directory)):
        with progress.step("Removing the VM, since the guest has other settings now"):
            machine_of(there).destroy(progress)
    place(task.bundle, task.config, directory)
    return find_project(directory)


def _last_base(project: Project) -> BasePolicy | None:
    """The base policy of the slot's last run: with that the candidate is compiled while the VM is being reached."""
    fingerprint = read_json(project.state / LAST).get("base")
    return known_base(fingerprint, cache_dir(), project.store) if isinstance(fingerprint, str) else None


class _Teller(Silent):
    """Tells the coordinator of the outermost steps and of notes."""

    def __init__(self, tell: Callable[..., None]) -> None:
        self._tell = tell

    def started(self, step: str, depth: int) -> None:
        self._tell(step=step)

    def noted(self, text: str, depth: int) -> None:
        self._tell(step=text)

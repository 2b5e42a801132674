"""`selab matrix` from its file to what became of each run."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import socket
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from selab.history import History, Record
from selab.matrix import slots
from selab.matrix.bundle import pack
from selab.matrix.cluster import existing, local
from selab.matrix.execution import Execution, Watcher, destroyed
from selab.matrix.model import Matrix
from selab.matrix.plan import Cell, Ended, cells
from selab.matrix.work import Answer, Log, Task, run_task
from selab.project import Project
from selab.run.request import make_plan

WORKERS = 2
"""VMs at a time unless the user says otherwise: two fit into any machine that one fits into twice."""


@dataclass(frozen=True)
class Options:
    """How the user wants it done. `workers` is the number of a local cluster's, 0 for selab's own choice; `scheduler` the address of a
    cluster that is there; `destroy`: the VMs that were used are removed."""

    workers: int = 0
    scheduler: str = ""
    destroy: bool = False


@dataclass(frozen=True)
class Outcome:
    """What became of the runs, in the file's order. `removed` says why a VM is still there that was to be removed, or nothing, by name."""

    ended: tuple[Ended, ...]
    removed: dict[str, str]

    @property
    def used(self) -> tuple[str, ...]:
        """The VMs that had a run, each with its worker's machine."""
        return tuple(
            sorted({f"{one.slot} at {one.host}" for one in self.ended if isinstance(one.result, Record)})
        )


def run_matrix(
    project: Project,
    matrix: Matrix,
    wish: Options,
    watcher: Watcher,
    log: Log,
    function: Callable[[Task], Answer] = run_task,
) -> Outcome:
    """Run everything that `matrix` asks for. Raises InputError before anything is changed, SelabError where there are no workers."""
    tasks = tasks_of(project, matrix, wish, log)
    with _cluster(wish, len(tasks)) as client:
        ended = Execution(client, tasks, _Keeper(History.of(project), watcher)).run(function)
        removed = destroyed(client, ended, tasks[0].home) if wish.destroy else {}
    return Outcome(tuple(ended), removed)


def tasks_of(project: Project, matrix: Matrix, wish: Options, log: Log) -> list[Task]:
    """The runs, each with all that a worker needs for it."""
    wanted = cells(project, matrix)
    bundle = pack(project, (make_plan(project, cell.request) for cell in wanted))
    settings, topic = matrix.settings(project.config.vm), f"selab-matrix-{secrets.token_hex(8)}"
    home = _name(project) if wish.scheduler else str(slots.home(project))

    def task(number: int, cell: Cell) -> Task:
        config = project.config.model_copy(update={"vm": settings[cell.guest]})
        return Task(number, cell, bundle, config, home, topic, log)

    return [task(*numbered) for numbered in enumerate(wanted)]


def _cluster(wish: Options, runs: int) -> AbstractContextManager[Any]:
    if wish.scheduler:
        return existing(wish.scheduler)
    return local(wish.workers or max(1, min(WORKERS, runs, os.cpu_count() or 1)))


def _name(project: Project) -> str:
    """The project's name in the caches of other machines."""
    stem = re.sub(r"[^A-Za-z0-9-]+", "-", project.root.name).strip("-") or "project"
    return f"{stem[:32]}-{hashlib.sha256(f'{socket.gethostname()} {project.root}'.encode()).hexdigest()[:8]}"


class _Keeper:
    """Keeps each run in the history as it ends, so that an interrupt loses none."""

    def __init__(self, history: History, watcher: Watcher) -> None:
        self._history = history
        self.planned, self.began, self.doing, self._ended = (
            watcher.planned,
            watcher.began,
            watcher.doing,
            watcher.ended,
        )

    def ended(self, ended: Ended) -> None:
        if isinstance(ended.result, Record):
            self._history.keep(ended.result)
        self._ended(ended)

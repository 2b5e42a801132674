"""Coordinate `selab matrix`, from its file to the outcome of each run."""

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
"""VMs at a time unless the user says otherwise."""


@dataclass(frozen=True)
class Options:
    """How to execute a matrix.

    workers: number of workers of a local cluster, or 0 for the default.
    scheduler: address of an existing cluster, or empty.
    destroy: whether to remove the VMs that were used.
    """

    workers: int = 0
    scheduler: str = ""
    destroy: bool = False


@dataclass(frozen=True)
class Outcome:
    """The outcome of a matrix.

    ended: the runs, in the file's order.
    removed: why each VM that was to be removed still exists, by name; empty if it was removed.
    """

    ended: tuple[Ended, ...]
    removed: dict[str, str]

    @property
    def used(self) -> tuple[str, ...]:
        """Return the VMs that executed a run, each with its worker's machine."""
        return tuple(
            sorted(
                {f"{ended.slot} at {ended.host}" for ended in self.ended if isinstance(ended.result, Record)}
            )
        )


def run_matrix(
    project: Project,
    matrix: Matrix,
    options: Options,
    watcher: Watcher,
    log: Log,
    function: Callable[[Task], Answer] = run_task,
) -> Outcome:
    """Execute all runs of `matrix`.

    Raises InputError before anything changes, and SelabError if there are no workers.
    """
    tasks = tasks_of(project, matrix, options, log)
    with _cluster(options, len(tasks)) as client:
        ended = Execution(client, tasks, _Keeper(History.of(project), watcher)).run(function)
        removed = destroyed(client, ended, tasks[0].home) if options.destroy else {}
    return Outcome(tuple(ended), removed)


def tasks_of(project: Project, matrix: Matrix, options: Options, log: Log) -> list[Task]:
    """Return the runs, each with everything that a worker needs for it."""
    planned = cells(project, matrix)
    bundle = pack(project, (make_plan(project, cell.request) for cell in planned))
    settings, topic = matrix.settings(project.config.vm), f"selab-matrix-{secrets.token_hex(8)}"
    home = _name(project) if options.scheduler else str(slots.home(project))

    def task(number: int, cell: Cell) -> Task:
        config = project.config.model_copy(update={"vm": settings[cell.guest]})
        return Task(number, cell, bundle, config, home, topic, log)

    return [task(*numbered) for numbered in enumerate(planned)]


def _cluster(options: Options, runs: int) -> AbstractContextManager[Any]:
    if options.scheduler:
        return existing(options.scheduler)
    return local(options.workers or max(1, min(WORKERS, runs, os.cpu_count() or 1)))


def _name(project: Project) -> str:
    """Return the project's name for the caches of other machines."""
    stem = re.sub(r"[^A-Za-z0-9-]+", "-", project.root.name).strip("-") or "project"
    return f"{stem[:32]}-{hashlib.sha256(f'{socket.gethostname()} {project.root}'.encode()).hexdigest()[:8]}"


class _Keeper:
    """Stores each run in the history when it ends, so that an interrupt loses none."""

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

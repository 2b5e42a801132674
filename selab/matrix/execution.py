"""The tasks of a matrix, handed out to the workers, until each has ended in one way or another."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, Protocol
from urllib.parse import urlsplit

from selab.matrix.cluster import TICK, VM, vm_workers
from selab.matrix.plan import Cell, Ended, Failure
from selab.matrix.work import Answer, Task, destroy_there

log = logging.getLogger("selab")

NOBODY_LIMIT = 60.0
"""Seconds without any worker: one that is started anew needs a few."""
STALLED_LIMIT = 3 * 3600.0
"""Seconds without any run's end: building a box, its first VM and the longest steps together are shorter."""
FETCH_LIMIT = 60.0
"""Seconds for a run's records to arrive."""
DESTROY_LIMIT = 600.0
"""Seconds for a worker to remove a VM: Vagrant itself has half of that."""
ASK_EVERY = 2.0


class Watcher(Protocol):
    """Whoever shows how it goes, or keeps what has ended. `where` is the VM's slot and the worker."""

    def planned(self, runs: int, workers: int) -> None: ...
    def began(self, cell: Cell, where: str, *, again: bool) -> None: ...
    def doing(self, cell: Cell, step: str) -> None: ...
    def ended(self, ended: Ended) -> None: ...


@dataclass(frozen=True)
class Limits:
    nobody: float = NOBODY_LIMIT
    stalled: float = STALLED_LIMIT


class Execution:
    """The runs of a matrix on the workers of `client`."""

    def __init__(
        self, client: Any, tasks: Sequence[Task], watcher: Watcher, limits: Limits | None = None
    ) -> None:
        self._client, self._tasks, self._watcher, self._limits = client, tasks, watcher, limits or Limits()
        self._told: SimpleQueue[dict[str, Any]] = SimpleQueue()
        self._begun: set[int] = set()
        self._blamed: list[int] = []
        self._alone = -1
        self._ended: dict[int, Ended] = {}
        self._someone = self._moved = self._asked = time.monotonic()

    def run(self, function: Callable[[Task], Answer]) -> list[Ended]:
        """Every task by `function` on some worker, in the order of the tasks. Ends also when nobody is left to do it."""
        topic = self._tasks[0].topic
        self._watcher.planned(len(self._tasks), len(vm_workers(self._client)))
        self._client.subscribe_topic(topic, lambda event: self._told.put(event[1]))
        futures = {task.number: self._submitted(function, task) for task in self._tasks}
        try:
            while futures or self._blamed:
                if not futures:
                    self._alone = self._blamed.pop()
                    futures[self._alone] = self._submitted(function, self._tasks[self._alone])
                self._collect(futures)
                self._tell()
                if problem := self._problem():
                    self._give_up(futures, problem)
                time.sleep(TICK)
        finally:
            self._withdraw(futures)
        return [self._ended[task.number] for task in self._tasks]

    def _submitted(self, function: Callable[[Task], Answer], task: Task) -> Any:
        return self._client.submit(function, task, resources={VM: 1}, pure=False, priority=-task.number)

    def _collect(self, futures: dict[int, Any]) -> None:
        for number, future in list(futures.items()):
            if not future.done():
                continue
            if ended := self._outcome(number, future):
                self._end(number, ended)
            if ended or number in self._blamed:
                del futures[number]

    def _end(self, number: int, ended: Ended) -> None:
        self._ended[number] = ended
        self._moved = time.monotonic()
        self._watcher.ended(ended)

    def _outcome(self, number: int, future: Any) -> Ended | None:
        """What became of it; nothing where it is done again: its worker was lost before the result was here, or several were lost that had
        this run among others. That it ends its workers is believed when it does so alone."""
        from distributed import KilledWorker

        cell = self._tasks[number].cell
        try:
            answer = future.result(timeout=FETCH_LIMIT)
        except TimeoutError:
            return None
        except KilledWorker as error:
            if number != self._alone:
                self._blamed.append(number)
                return None
            return Ended(
                cell,
                Failure(
                    "Its worker was lost again and again.",
                    str(error)[:200],
                    "See the worker's log and memory.",
                ),
            )
        except CancelledError as error:
            return Ended(cell, Failure("The cluster was lost.", str(error), "Run again."))
        except Exception as error:
            log.error("a worker failed", exc_info=error)
            return Ended(
                cell,
                Failure(
                    "The worker could not do it.",
                    f"{type(error).__name__}: {error}",
                    "Is selab installed there?",
                ),
            )
        return Ended(cell, answer.result, answer.slot, _host(answer.worker))

    def _tell(self) -> None:
        with contextlib.suppress(Empty):
            while True:
                event = self._told.get_nowait()
                number = int(event["number"])
                if number in self._ended:
                    continue
                cell = self._tasks[number].cell
                if "slot" in event:
                    self._watcher.began(
                        cell, f"{event['slot']} at {_host(event['worker'])}", again=number in self._begun
                    )
                    self._begun.add(number)
                else:
                    self._watcher.doing(cell, str(event["step"]))

    def _problem(self) -> Failure | None:
        """Why there is nothing more to wait for, if so."""
        now, pause = time.monotonic(), min(ASK_EVERY, self._limits.nobody)
        if now - self._asked > pause:
            self._asked = now
            if vm_workers(self._client):
                self._someone = time.monotonic()
        if time.monotonic() - self._someone > self._limits.nobody + pause:
            return Failure(
                "No worker is left.",
                f"There was none for {self._limits.nobody:g} s.",
                "Start the workers, then run again.",
            )
        if now - self._moved > self._limits.stalled:
            return Failure(
                "The workers do not come to an end.",
                f"No run ended within {self._limits.stalled:g} s.",
                "See their logs.",
            )
        return None

    def _give_up(self, futures: dict[int, Any], problem: Failure) -> None:
        for number in (*futures, *self._blamed):
            self._end(number, Ended(self._tasks[number].cell, problem))
        self._withdraw(futures)
        futures.clear()
        self._blamed.clear()

    def _withdraw(self, futures: dict[int, Any]) -> None:
        """Tell the scheduler, if it is there, that these are not wanted any more."""
        if futures and self._client.status == "running":
            with contextlib.suppress(OSError, TimeoutError):
                self._client.cancel(list(futures.values()), force=True)


def destroyed(client: Any, ended: Sequence[Ended], home: str) -> dict[str, str]:
    """Remove the VMs that were used; why one is still there, or nothing, by its name."""
    used = sorted({(one.host, one.slot) for one in ended if one.slot})
    futures = {
        f"{slot} at {host}": client.submit(
            destroy_there, home, slot, workers=[host], resources={VM: 1}, pure=False
        )
        for host, slot in used
    }
    return {name: _said(future) for name, future in futures.items()}


def _said(future: Any) -> str:
    try:
        return str(future.result(timeout=DESTROY_LIMIT))
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def _host(worker: str) -> str:
    """The machine in a worker's address."""
    return urlsplit(worker).hostname or ""

"""Submit the tasks of a matrix to the workers, until each has ended."""

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

NO_WORKER_LIMIT = 60.0
"""Seconds without any worker: a restarted worker needs a few."""
STALLED_LIMIT = 3 * 3600.0
"""Seconds without the end of any run: a box, its first VM and the longest steps together take less."""
FETCH_LIMIT = 60.0
"""Seconds to transfer a run's records."""
DESTROY_LIMIT = 600.0
"""Seconds for a worker to remove a VM, of which Vagrant may take half."""
ASK_EVERY = 2.0


class Watcher(Protocol):
    """Shows progress, or stores what has ended. `where` is the VM's slot and its worker."""

    def planned(self, runs: int, workers: int) -> None: ...
    def began(self, cell: Cell, where: str, *, again: bool) -> None: ...
    def doing(self, cell: Cell, step: str) -> None: ...
    def ended(self, ended: Ended) -> None: ...


@dataclass(frozen=True)
class Limits:
    no_worker: float = NO_WORKER_LIMIT
    stalled: float = STALLED_LIMIT


class Execution:
    """Executes the runs of a matrix on the workers of `client`."""

    def __init__(
        self, client: Any, tasks: Sequence[Task], watcher: Watcher, limits: Limits | None = None
    ) -> None:
        self._client, self._tasks, self._watcher, self._limits = client, tasks, watcher, limits or Limits()
        self._events: SimpleQueue[dict[str, Any]] = SimpleQueue()
        self._started: set[int] = set()
        self._suspects: list[int] = []
        self._running_alone = -1
        self._ended: dict[int, Ended] = {}
        self._worker_seen = self._moved = self._checked = time.monotonic()

    def run(self, function: Callable[[Task], Answer]) -> list[Ended]:
        """Execute every task with `function` on some worker; return the results in the order of the tasks.

        The method also ends if there are no workers left.
        """
        topic = self._tasks[0].topic
        self._watcher.planned(len(self._tasks), len(vm_workers(self._client)))
        self._client.subscribe_topic(topic, lambda event: self._events.put(event[1]))
        futures = {task.number: self._submit(function, task) for task in self._tasks}
        try:
            while futures or self._suspects:
                if not futures:
                    self._running_alone = self._suspects.pop()
                    futures[self._running_alone] = self._submit(function, self._tasks[self._running_alone])
                self._collect(futures)
                self._tell()
                if problem := self._problem():
                    self._give_up(futures, problem)
                time.sleep(TICK)
        finally:
            self._withdraw(futures)
        return [self._ended[task.number] for task in self._tasks]

    def _submit(self, function: Callable[[Task], Answer], task: Task) -> Any:
        return self._client.submit(function, task, resources={VM: 1}, pure=False, priority=-task.number)

    def _collect(self, futures: dict[int, Any]) -> None:
        for number, future in list(futures.items()):
            if not future.done():
                continue
            if ended := self._outcome(number, future):
                self._end(number, ended)
            if ended or number in self._suspects:
                del futures[number]

    def _end(self, number: int, ended: Ended) -> None:
        self._ended[number] = ended
        self._moved = time.monotonic()
        self._watcher.ended(ended)

    def _outcome(self, number: int, future: Any) -> Ended | None:
        """Return the result of a run, or None if it is executed again.

        A run is executed again if its worker was lost before the result arrived. If several workers were lost
        that had this run among others, it is executed again alone: only then is it known to be the cause.
        """
        from distributed import KilledWorker

        cell = self._tasks[number].cell
        try:
            answer = future.result(timeout=FETCH_LIMIT)
        except TimeoutError:
            return None
        except KilledWorker as error:
            if number != self._running_alone:
                self._suspects.append(number)
                return None
            return Ended(
                cell,
                Failure(
                    "The run lost its worker repeatedly.",
                    str(error)[:200],
                    "Check the worker's log and memory.",
                ),
            )
        except CancelledError as error:
            return Ended(cell, Failure("The cluster was lost.", str(error), "Run the command again."))
        except Exception as error:
            log.error("a worker failed", exc_info=error)
            return Ended(
                cell,
                Failure(
                    "The worker could not execute the run.",
                    f"{type(error).__name__}: {error}",
                    "Check that selab is installed on the worker's machine.",
                ),
            )
        return Ended(cell, answer.result, answer.slot, _host(answer.worker))

    def _tell(self) -> None:
        with contextlib.suppress(Empty):
            while True:
                event = self._events.get_nowait()
                number = int(event["number"])
                if number in self._ended:
                    continue
                cell = self._tasks[number].cell
                if "slot" in event:
                    self._watcher.began(
                        cell, f"{event['slot']} at {_host(event['worker'])}", again=number in self._started
                    )
                    self._started.add(number)
                else:
                    self._watcher.doing(cell, str(event["step"]))

    def _problem(self) -> Failure | None:
        """Return why waiting is pointless, or None."""
        now, pause = time.monotonic(), min(ASK_EVERY, self._limits.no_worker)
        if now - self._checked > pause:
            self._checked = now
            if vm_workers(self._client):
                self._worker_seen = time.monotonic()
        if time.monotonic() - self._worker_seen > self._limits.no_worker + pause:
            return Failure(
                "No worker is left.",
                f"There was none for {self._limits.no_worker:g} seconds.",
                "Start the workers, then run the command again.",
            )
        if now - self._moved > self._limits.stalled:
            return Failure(
                "The workers have made no progress.",
                f"No run ended within {self._limits.stalled:g} seconds.",
                "Check the workers' logs.",
            )
        return None

    def _give_up(self, futures: dict[int, Any], problem: Failure) -> None:
        for number in (*futures, *self._suspects):
            self._end(number, Ended(self._tasks[number].cell, problem))
        self._withdraw(futures)
        futures.clear()
        self._suspects.clear()

    def _withdraw(self, futures: dict[int, Any]) -> None:
        """Cancel these tasks if the scheduler is reachable."""
        if futures and self._client.status == "running":
            with contextlib.suppress(OSError, TimeoutError):
                self._client.cancel(list(futures.values()), force=True)


def destroyed(client: Any, ended: Sequence[Ended], home: str) -> dict[str, str]:
    """Remove the VMs that were used; return by name why a VM still exists, or an empty string."""
    used = sorted({(run.host, run.slot) for run in ended if run.slot})
    futures = {
        f"{slot} at {host}": client.submit(
            destroy_there, home, slot, workers=[host], resources={VM: 1}, pure=False
        )
        for host, slot in used
    }
    return {name: _result_of(future) for name, future in futures.items()}


def _result_of(future: Any) -> str:
    try:
        return str(future.result(timeout=DESTROY_LIMIT))
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def _host(worker: str) -> str:
    """Return the machine in a worker's address."""
    return urlsplit(worker).hostname or ""

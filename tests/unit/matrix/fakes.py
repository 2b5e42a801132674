"""What workers of the tests do instead of a run; `home` is a directory in which they leave traces."""

from __future__ import annotations

import os
import time
import zlib
from contextlib import nullcontext
from pathlib import Path

from selab.history import Record
from selab.matrix.bundle import Bundle
from selab.matrix.plan import Cell, Ended, Failure
from selab.matrix.work import Answer, Task
from selab.policy.guest.load import Mode
from selab.project import ProjectConfig
from tests.unit.documents import document


def no_log(path: Path) -> nullcontext[None]:
    return nullcontext()


def tasks(home: Path, count: int) -> list[Task]:
    topic = f"test-{home.name}"
    return [
        Task(
            number,
            Cell(f"web{number}", "full", Mode.ENFORCING, "auto"),
            Bundle(b"", ""),
            ProjectConfig(),
            str(home),
            topic,
            no_log,
        )
        for number in range(count)
    ]


def record(number: int = 0, **more: object) -> Record:
    run = document(run=f"20261123-220000-{number:04x}", scenario=f"web{number}", **more)
    return Record(run, {"te": "policy_module(full, 1.0)"}, {"image": "httpd"}, zlib.compress(b"a line"))


def worked(task: Task) -> Answer:
    """Leaves when it began and ended, by its process."""
    Path(task.home).mkdir(exist_ok=True)
    with (Path(task.home) / f"by-{os.getpid()}").open("a") as file:
        file.write("begin\n")
        file.flush()
        time.sleep(0.1)
        file.write("end\n")
    return Answer(record(task.number, verdict="PASS"), f"auto-{os.getpid()}", "tls://127.0.0.1:1")


def dies_once(task: Task) -> Answer:
    """The worker of the second task is lost in the middle, the first time."""
    trace = Path(task.home) / "died"
    if task.number == 1 and not trace.exists():
        trace.touch()
        os._exit(1)
    return worked(task)


def dies_always(task: Task) -> Answer:
    if task.number == 1:
        with (Path(task.home) / "died").open("a") as file:
            file.write("x")
        os._exit(1)
    return worked(task)


def breaks(task: Task) -> Answer:
    raise KeyError("a bug")


def is_stuck(task: Task) -> Answer:
    time.sleep(2)
    return worked(task)


def tells(task: Task) -> Answer:
    from distributed import get_worker

    get_worker().log_event(task.topic, {"number": task.number, "slot": "auto-1"})
    get_worker().log_event(task.topic, {"number": task.number, "step": "Starting the VM"})
    time.sleep(0.5)
    return worked(task)


class Watched:
    """A watcher that writes down what it is told."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def planned(self, runs: int, workers: int) -> None:
        self.said.append(f"{runs} on {workers}")

    def began(self, cell: Cell, where: str, *, again: bool) -> None:
        self.said.append(f"{cell.scenario} {'again ' * again}at {where}")

    def doing(self, cell: Cell, step: str) -> None:
        self.said.append(f"{cell.scenario}: {step}")

    def ended(self, ended: Ended) -> None:
        self.said.append(f"{ended.cell.scenario}: {ended.verdict.value}")


def ended(
    scenario: str = "web",
    policy: str = "full",
    mode: str = "enforcing",
    expected: str = "PASS",
    **more: object,
) -> Ended:
    """Return a run with a document of `more`, or a failure if `more` is empty."""
    from selab.run.verdict import Verdict

    cell = Cell(scenario, policy, Mode(mode), "auto", Verdict(expected))
    return Ended(
        cell, record(**more) if more else Failure("The VM did not come.", "a detail"), "auto-1", "127.0.0.1"
    )

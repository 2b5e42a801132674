"""The removal of containers goes on while the verdict is made, and nothing of it is ever left."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Never

import pytest

from selab.policy.guest.load import Mode, policy_state
from selab.progress import Progress
from selab.project import Project
from selab.run import experiment
from selab.run.experiment import Run
from selab.run.request import Request, RunOptions
from selab.vm.ssh import SshGuest
from selab.vm.virtual_machine import VirtualMachine

Runner = Callable[..., Run]
MAIN_PROCESS = "cat /run/containerd/io.containerd.runtime.v2.task/moby/*/init.pid"


@pytest.fixture
def run_apache(project: Project, machine: VirtualMachine) -> Runner:
    """`selab run apache`: run_apache(judged, after_steps)."""

    def run(judged: Callable[[Run], None], after_steps: Callable[[], None] | None = None) -> Run:
        request, options = Request("apache", mode=Mode.PERMISSIVE), RunOptions(after_steps=after_steps)
        return experiment.run(project, machine, request, Progress(), options, judged)

    return run


def left(guest: SshGuest) -> str:
    """What a run has left in the guest."""
    places = "/run/selab/containers /var/lib/selab/runs"
    argv = ["sh", "-c", f"docker ps -aq; find {places} -mindepth 1; cat /run/selab/removal"]
    return guest.run(argv).text


def test_no_process_of_the_container_is_left_at_the_verdict(run_apache: Runner, guest: SshGuest) -> None:
    main: list[str] = []
    alive: list[bool] = []

    def judged(run: Run) -> None:
        alive.extend(guest.run(["test", "-e", f"/proc/{pid}"]).ok for pid in main)

    run_apache(judged, lambda: main.extend(guest.run(["sh", "-c", MAIN_PROCESS]).text.split()))
    assert (len(main), alive) == (1, [False])


def test_the_container_is_removed_when_the_run_is_over(run_apache: Runner, guest: SshGuest) -> None:
    run_apache(lambda run: None)
    assert left(guest) == ""
    assert not policy_state().of(guest).enforcing


def test_an_interrupt_at_the_verdict_leaves_nothing(run_apache: Runner, guest: SshGuest) -> None:
    def interrupt(run: Run) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_apache(interrupt)
    assert left(guest) == ""
    assert not policy_state().of(guest).enforcing


class ConnectionLost(BaseException):
    """What ends the first run of two, as if its selab was killed."""


def test_a_run_waits_for_the_removal_that_another_one_has_left(
    run_apache: Runner, guest: SshGuest, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(*words: object, **options: object) -> Never:
        raise ConnectionLost

    def kill(run: Run) -> None:
        monkeypatch.setattr(SshGuest, "run", lost)
        raise ConnectionLost

    with pytest.raises(ConnectionLost):
        run_apache(kill)
    monkeypatch.undo()
    second = run_apache(lambda run: None)
    assert (second.outcome.failures, second.outcome.doubts) == ([], [])
    assert left(guest) == ""


@pytest.fixture
def without_search(project: Project) -> Iterator[None]:
    """Take from the example `visits` the rule by which the runtime recognises that Apache still runs."""
    path = project.policies / "visits_web.te"
    text = path.read_text()
    rule = "allow dockerd_t visits_web_t:dir search;\n"
    assert rule in text
    path.write_text(text.replace(rule, ""))
    yield
    path.write_text(text)


def test_a_container_that_the_runtime_cannot_end_is_a_failure(
    without_search: None, project: Project, machine: VirtualMachine, guest: SshGuest
) -> None:
    result = experiment.run(project, machine, Request("visits"), Progress())
    assert result.reasons[0].startswith("the container runtime could not end the container 'web'")
    hidden = {(row.denial.tclass, row.denial.permissions) for row in result.hidden}
    assert ("dir", ("search",)) in hidden
    assert "visits_web_t" not in guest.run(["ps", "-eo", "label"]).text

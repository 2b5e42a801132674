"""The stages of an attempt undo what they did in the guest, also after a fault; a workload has an outcome."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from selab.auditlog.classification import Classification, Ruling
from selab.auditlog.denials import DenialKey
from selab.container.lifecycle import Container, ContainerRefused
from selab.container.runtime import runtimes
from selab.container.steps import StepResult
from selab.errors import SelabError
from selab.guest import Completed
from selab.policy.base import BasePolicy
from selab.policy.candidate import LoadedPolicy
from selab.policy.compile import CompiledModule
from selab.policy.guest.load import Mode
from selab.policy.toolchain import Toolchain
from selab.progress import Progress
from selab.project import Project
from selab.run import stages
from selab.run.context import RunContext
from selab.run.replay import Recorded, Replay
from selab.run.request import Plan, Request, RunOptions
from tests.unit.fakes import LABEL as CONTEXT
from tests.unit.fakes import ReadyMachine, ScriptedGuest
from tests.unit.workloads import NO_CONTEXTS, planned, scenario, workload

BEYOND = CompiledModule("web", "(typetransition sshd_t shell_exec_t process web_t)", frozenset({"web_t"}))
Make = Callable[..., RunContext]


class Fault(Exception):
    """What a block of these tests raises."""


@pytest.fixture
def guest() -> ScriptedGuest:
    return ScriptedGuest()


@pytest.fixture
def make(project: Project, base: BasePolicy, tools: Toolchain, guest: ScriptedGuest) -> Make:
    """Return a function that makes the context of a run."""

    def run(
        *candidates: CompiledModule, mode: Mode = Mode.ENFORCING, keep: bool = False, managed: bool = True
    ) -> RunContext:
        machine = ReadyMachine(guest)
        machine.managed = managed
        written = scenario()
        plan = Plan(Request("web", mode=mode, keep=keep), written, planned(written))
        containers = workload(written).containers
        return RunContext(
            guest, machine, project, plan, Progress(), base, tools, [*candidates], containers, NO_CONTEXTS
        )

    return run


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize(
    ("candidates", "managed", "keep", "restored"),
    [
        ((), True, False, False),
        ((), False, False, True),
        ((), False, True, False),
        ((BEYOND,), True, False, True),
        ((BEYOND,), False, True, True),
    ],
)
def test_a_candidate_stays_in_force_only_if_it_may(
    make: Make,
    guest: ScriptedGuest,
    fails: bool,
    candidates: tuple[CompiledModule, ...],
    managed: bool,
    keep: bool,
    restored: bool,
) -> None:
    context = make(*candidates, managed=managed, keep=keep)
    with contextlib.suppress(Fault), stages.base_policy_restored(context):
        assert guest.scripts == []
        if fails:
            raise Fault
    assert guest.scripts == ["load-base"] * restored


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("restored", [False, True])
def test_the_mode_is_restored_after_the_block_unless_the_block_has_done_that(
    make: Make, guest: ScriptedGuest, fails: bool, restored: bool
) -> None:
    with contextlib.suppress(Fault), stages.mode_restored(make()) as mode:
        mode.restored = restored
        if fails:
            raise Fault
    assert guest.scripts == ["restore-mode"] * (not restored)


def test_the_mode_is_restored_when_the_containers_are_removed(make: Make, guest: ScriptedGuest) -> None:
    mode = stages.GuestMode()
    with stages.containers_removed(make(), mode):
        assert guest.scripts == []
    assert (mode.restored, guest.scripts) == (True, ["await-removal", "restore-mode"])


def test_containers_that_are_kept_are_not_waited_for(make: Make, guest: ScriptedGuest) -> None:
    mode = stages.GuestMode()
    with stages.containers_removed(make(keep=True), mode):
        pass
    assert (mode.restored, guest.scripts) == (False, [])


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ("restore-mode", "mode could not be set"),
        ("await-removal", "containers of the run could not be removed"),
    ],
)
def test_a_mode_does_not_count_as_restored_after_a_failure(
    make: Make, guest: ScriptedGuest, answer: str, problem: str
) -> None:
    guest.answer(answer, code=int(answer == "restore-mode"), out="docker hangs\n")
    mode = stages.GuestMode()
    with pytest.raises(SelabError, match=problem), stages.containers_removed(make(), mode):
        pass
    assert not mode.restored


@pytest.mark.parametrize(
    ("labelled", "scripts"), [(True, ["restore-labels"]), (False, []), (None, ["restore-labels"])]
)
def test_labels_are_restored_also_if_labelling_breaks_off(
    make: Make,
    guest: ScriptedGuest,
    monkeypatch: pytest.MonkeyPatch,
    labelled: bool | None,
    scripts: list[str],
) -> None:
    def label_files(*_: object) -> bool:
        if labelled is None:
            raise Fault
        return labelled

    monkeypatch.setattr(stages, "label_files", label_files)
    with contextlib.suppress(Fault), stages.labelled_files(make()):
        assert guest.scripts == []
    assert guest.scripts == scripts


@pytest.mark.parametrize(("mode", "renewals"), [(Mode.ENFORCING, 1), (Mode.DOMAIN, 1), (Mode.PERMISSIVE, 0)])
def test_the_guard_is_renewed_only_while_the_guest_enforces(
    make: Make, monkeypatch: pytest.MonkeyPatch, mode: Mode, renewals: int
) -> None:
    renewed: list[object] = []

    def renew(guest: object) -> contextlib.AbstractContextManager[None]:
        renewed.append(guest)
        return contextlib.nullcontext()

    monkeypatch.setattr(stages, "renewed", renew)
    with stages.guard_renewed(make(mode=mode)):
        assert len(renewed) == renewals


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        ("docker: starting\ncannot apply the label\n", "cannot apply the label"),
        ("", "the container runtime gave no reason"),
    ],
)
def test_a_container_that_does_not_start_is_an_outcome_with_the_last_message(
    make: Make, monkeypatch: pytest.MonkeyPatch, output: str, reason: str
) -> None:
    def refuse(*_: object, **__: object) -> None:
        done = Completed(("docker",), 125, b"", output.encode())
        raise ContainerRefused(done, runtimes()["docker"])

    monkeypatch.setattr(stages, "running", refuse)
    outcome = stages.workload(make())
    assert outcome.containers[0].refused == f"did not start: {reason}"


@pytest.mark.parametrize(("second_ok", "log"), [(True, ""), (False, "its log")])
def test_the_log_is_read_if_a_step_failed_and_the_labels_after_the_removal(
    make: Make, monkeypatch: pytest.MonkeyPatch, second_ok: bool, log: str
) -> None:
    container = Container("selab-web", 1, runtimes()["docker"], {CONTEXT})
    results = [StepResult("a", True, 0.0), StepResult("b", second_ok, 0.0)]

    @contextlib.contextmanager
    def running(
        setup: object, workload: object, containers: dict[str, Container], **_: object
    ) -> Iterator[None]:
        containers[""] = container
        yield
        container.labels.add("seen at the end")

    monkeypatch.setattr(stages, "running", running)
    monkeypatch.setattr(stages, "run_steps", lambda *_: iter(results))
    monkeypatch.setattr(stages, "logs", lambda *_: "its log")
    outcome = stages.workload(make())
    assert (outcome.steps, outcome.log) == (results, log)
    assert outcome.labels == {CONTEXT, "seen at the end"}


def test_the_replay_of_the_last_run_knows_what_the_scenario_says(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last run's container had another domain, which the rulings name as well."""
    tolerated = Ruling(Classification.TOLERATED, "* -> etc_t:* { * }", "harmless")
    key = DenialKey("old_t", "etc_t", "file", "read")
    context = make()
    options = RunOptions(earlier_records=Recorded((), "old_t", {key: tolerated}))
    context = replace(context, plan=replace(context.plan, options=options))
    rulings: list[object] = []

    def replayed(policy: object, accesses: object, given: object) -> Replay:
        rulings.append(given)
        return Replay(())

    monkeypatch.setattr(stages, "can_decide", lambda: True)
    monkeypatch.setattr(stages, "linked_file", lambda *words: Path("/linked"))
    monkeypatch.setattr(stages, "replay", replayed)
    stages.report_replay(context, LoadedPolicy("d", True, "", frozenset()))
    assert rulings == [{key._replace(source="web_t"): tolerated}]

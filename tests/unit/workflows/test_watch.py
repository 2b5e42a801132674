"""Watching: which saved files start a scenario over, and what a run's end leads to."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from selab.errors import SelabError, Unreachable
from selab.guest import Guest
from selab.progress import Progress
from selab.project import Project
from selab.run import experiment
from selab.run.recovery import LockedOut
from selab.run.request import Plan, Request, RunOptions
from selab.workflows import watch as watching
from selab.workflows.watch import Watch
from tests.unit.fakes import ReadyMachine, ScriptedGuest


@pytest.fixture
def watch(project: Project) -> Watch:
    """A watched scenario `web` with the image `httpd`."""
    (project.scenarios / "web.yaml").write_text("image: httpd\n")
    (project.images / "httpd").mkdir()
    (project.images / "httpd" / "Dockerfile").write_text("FROM debian:trixie-slim\n")
    (project.images / "httpd" / "packages").write_text("apache2\n")
    machine = ReadyMachine(ScriptedGuest())
    return Watch(project, machine, Request("web"), RunOptions(), Progress, lambda: None, lambda result: None)


@pytest.mark.parametrize(
    ("name", "concerns"),
    [
        ("policies/web.te", True),
        ("policies/other.fc", True),
        ("policies/web.te.bak", False),
        ("policies/.web.te.swp", False),
        ("scenarios/web.yaml", True),
        ("scenarios/other.yaml", False),
        ("images/httpd/Dockerfile", True),
        ("images/httpd/files/etc/x", True),
        ("images/redis/Dockerfile", False),
    ],
)
def test_a_saved_file_concerns_the_scenario_if_it_is_made_from_it(
    watch: Watch, name: str, concerns: bool
) -> None:
    assert watch._concerns(watch.project.root / name) is concerns


def test_the_image_of_a_broken_scenario_concerns_nothing(watch: Watch) -> None:
    (watch.project.scenarios / "web.yaml").write_text("{")
    assert not watch._concerns(watch.project.images / "httpd" / "Dockerfile")


@pytest.fixture
def guests(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> list[Guest]:
    """The guests in which runs were tried; the first run loses its connection."""
    tried: list[Guest] = []

    def run_on(guest: Guest, *words: object) -> None:
        tried.append(guest)
        if len(tried) == 1:
            raise Unreachable("The connection broke.")

    monkeypatch.setattr(experiment, "run_on", run_on)
    return tried


def test_a_run_whose_connection_broke_is_tried_once_more(watch: Watch, guests: list[Guest]) -> None:
    watch._running.set()
    assert watch._run() is None
    assert len(guests) == 2


def test_a_run_that_has_its_verdict_is_not_made_again_if_the_connection_breaks(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[object] = []

    def run_on(
        guest: object, machine: object, _: object, plan: object, progress: object, judged: Any
    ) -> None:
        judged("a run")
        raise Unreachable("The connection broke.")

    monkeypatch.setattr(experiment, "run_on", run_on)
    watch.ended = shown.append
    watch._running.set()
    assert isinstance(watch._run(), Unreachable)
    assert (shown, watch._guest, watch._running.is_set()) == (["a run"], None, False)


def test_a_connection_serves_the_next_run(
    watch: Watch, guests: list[Guest], monkeypatch: pytest.MonkeyPatch
) -> None:
    connected: list[Path] = []
    monkeypatch.setattr(watch.machine, "ensure", lambda progress: connected.append(Path()) or ScriptedGuest())
    for _ in range(3):
        watch._running.set()
        watch._run()
    assert len(connected) == 2  # the first connection broke


def test_a_mistake_in_a_file_is_the_result(watch: Watch) -> None:
    (watch.project.scenarios / "web.yaml").write_text("imag: httpd\n")
    assert isinstance(watch._run(), SelabError)


@pytest.mark.parametrize(
    ("error", "connections"), [(LockedOut("The policy locked SSH out."), 2), (SelabError("It failed."), 1)]
)
def test_after_a_lockout_the_next_run_connects_anew(
    watch: Watch, monkeypatch: pytest.MonkeyPatch, error: SelabError, connections: int
) -> None:
    connected: list[Guest] = []

    def ensure(progress: Progress) -> Guest:
        connected.append(ScriptedGuest())
        return connected[-1]

    def run_on(guest: Guest, *words: object) -> str:
        assert guest is connected[-1]
        raise error

    monkeypatch.setattr(watch.machine, "ensure", ensure)
    monkeypatch.setattr(experiment, "run_on", run_on)
    assert [watch._run(), watch._run()] == [error, error]
    assert len(connected) == connections


def test_each_run_has_the_lock_of_the_vm_and_compiles_while_it_waits(
    watch: Watch, guests: list[Guest], monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[tuple[object, ...]] = []

    @contextlib.contextmanager
    def stage(*words: object) -> Iterator[None]:
        order.append(words)
        yield
        order.append(("end", len(guests)))

    monkeypatch.setattr(watching, "vm_lock", stage)
    monkeypatch.setattr(watching, "precompile", stage)
    progress = Progress()
    watch.progress = lambda: progress
    watch._running.set()
    watch._run()
    (project, plan, of_plan), lock, *ends = order
    assert (project, plan.scenario.name, of_plan) == (watch.project, "web", progress)  # type: ignore[attr-defined]
    assert (lock, ends) == ((watch.project, "selab watch web", progress), [("end", 2), ("end", 2)])


def saved(watch: Watch, monkeypatch: pytest.MonkeyPatch, *names: str) -> list[str]:
    """Let these files of the project be saved. Returns what that led to."""
    actions: list[str] = []

    def changes(*directories: Path, stop_event: object, **options: object) -> Iterator[set[tuple[int, str]]]:
        assert set(directories) == {watch.project.policies, watch.project.scenarios, watch.project.images}
        assert stop_event is watch._stop
        yield {(1, str(watch.project.root / name)) for name in names}

    monkeypatch.setattr(watching.watchfiles, "watch", changes)
    monkeypatch.setattr(watching._thread, "interrupt_main", lambda: actions.append("interrupted"))
    watch._watch_files()
    return actions + ["changed"] * watch._changed.is_set()


@pytest.mark.parametrize(
    ("names", "running", "actions"),
    [
        (["policies/web.te"], False, ["changed"]),
        (["policies/web.te"], True, ["interrupted", "changed"]),
        (["policies/x.bak", "policies/web.te"], True, ["interrupted", "changed"]),
        (["policies/x.bak"], True, []),
    ],
)
def test_a_save_that_concerns_the_scenario_interrupts_its_run(
    watch: Watch, monkeypatch: pytest.MonkeyPatch, names: list[str], running: bool, actions: list[str]
) -> None:
    if running:
        watch._running.set()
    assert saved(watch, monkeypatch, *names) == actions


def test_a_directory_that_does_not_exist_is_not_watched(watch: Watch) -> None:
    (watch.project.images / "httpd" / "Dockerfile").unlink()
    (watch.project.images / "httpd" / "packages").unlink()
    (watch.project.images / "httpd").rmdir()
    watch.project.images.rmdir()
    assert watch._directories() == [watch.project.policies, watch.project.scenarios]


@pytest.mark.parametrize("is_saved", [True, False], ids=["a save", "Ctrl-C"])
def test_only_an_interrupt_by_a_save_goes_on(
    watch: Watch, monkeypatch: pytest.MonkeyPatch, is_saved: bool
) -> None:
    def run() -> SelabError | None:
        assert watch._running.is_set() and not watch._changed.is_set()
        saved(watch, monkeypatch, *["policies/web.te"] * is_saved)
        raise KeyboardInterrupt

    watch._changed.set()  # by a save before this run
    monkeypatch.setattr(watch, "_run", run)
    with contextlib.nullcontext() if is_saved else pytest.raises(KeyboardInterrupt):
        watch._run_once()
    assert not watch._running.is_set()


def test_a_run_that_has_ended_waits_for_a_save_and_is_not_interrupted_by_it(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[object] = []
    monkeypatch.setattr(watch, "_run", lambda: watch._judged("a run"))  # type: ignore[arg-type]
    monkeypatch.setattr(watch._changed, "wait", lambda: events.append(watch._running.is_set()))
    watch.began, watch.ended = lambda: events.append("began"), events.append
    watch._run_once()
    assert events == ["began", "a run", False]


def test_files_are_watched_while_runs_are_made_and_until_the_watch_ends(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    watching_files = threading.Event()
    monkeypatch.setattr(watch, "_watch_files", watching_files.set)

    def run_once() -> None:
        assert watching_files.wait(10) and not watch._stop.is_set()
        raise KeyboardInterrupt

    monkeypatch.setattr(watch, "_run_once", run_once)
    with pytest.raises(KeyboardInterrupt):
        watch.forever()
    assert watch._stop.is_set()


class Enough(Exception):
    """Ends a watch after its first run."""


def test_each_run_has_the_hooks_and_resumes_from_the_runs_before(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project.scenarios / "web.yaml").write_text(json.dumps({"image": "registry.test/x:1"}))
    plans: list[Plan] = []

    def run_on(guest: object, machine: object, _: Project, plan: Plan, *words: object) -> None:
        plans.append(plan)
        raise SelabError("The run failed.")

    def ended(_: object) -> None:
        raise Enough

    def resume(_: Project, scenario: str, options: RunOptions) -> RunOptions:
        return RunOptions(options.before_steps, installed=scenario == "web")

    monkeypatch.setattr(experiment, "run_on", run_on)
    monkeypatch.setattr(watching, "resume", resume)
    machine, hooks = ReadyMachine(ScriptedGuest()), RunOptions(before_steps=print)
    with pytest.raises(Enough):
        Watch(project, machine, Request("web"), hooks, Progress, lambda: None, ended).forever()
    assert [plan.options for plan in plans] == [RunOptions(print, installed=True)]

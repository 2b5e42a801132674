"""`selab watch`: run a scenario again at each save of its files, at once, even in the middle of a run."""

from __future__ import annotations

import _thread
import threading
from collections.abc import Callable
from pathlib import Path

import watchfiles

from selab.errors import SelabError, Unreachable
from selab.guest import Guest
from selab.history import resume
from selab.machine import Machine
from selab.policy.module_files import ENDINGS
from selab.progress import Progress
from selab.project import Project
from selab.run import experiment
from selab.run.context import precompile
from selab.run.recovery import LockedOut
from selab.run.request import Plan, Request, RunOptions, make_plan
from selab.scenario.load import load_scenario
from selab.vm.lock import vm_lock

WATCHED = {*ENDINGS, ".yml"}
DEBOUNCE = 50
"""Milliseconds in which several writes count as one save: an editor writes a file and then renames it."""


class Watch:
    """One watched scenario.

    `began` is called before each run, and `ended` with the run as soon as it has its verdict, or with an
    error. An error may also follow the verdict, if what the run has left in the guest cannot be removed.
    """

    def __init__(
        self,
        project: Project,
        machine: Machine,
        request: Request,
        options: RunOptions,
        progress: Callable[[], Progress],
        began: Callable[[], None],
        ended: Callable[[experiment.Run | SelabError], None],
    ) -> None:
        self.project, self.machine, self.progress = project, machine, progress
        self.request, self.options = request, options
        self.began, self.ended = began, ended
        self._changed, self._running, self._stop = threading.Event(), threading.Event(), threading.Event()
        self._interrupted = threading.Event()
        self._guest: Guest | None = None

    def forever(self) -> None:
        """Run, wait for a save, run again, until Ctrl-C."""
        watcher = threading.Thread(target=self._watch_files, daemon=True)
        watcher.start()
        try:
            while True:
                self._run_once()
        finally:
            self._stop.set()

    def _run_once(self) -> None:
        self._changed.clear()
        try:
            self._running.set()
            self.began()
            if error := self._run():
                self.ended(error)
            self._running.clear()
            self._changed.wait()
        except KeyboardInterrupt:
            # Either a save in the middle of a run, which has undone its changes by now, or the user's Ctrl-C.
            self._running.clear()
            if not self._interrupted.is_set():
                raise
            self._interrupted.clear()

    def _run(self) -> SelabError | None:
        progress = self.progress()
        try:
            options = resume(self.project, self.request.scenario, self.options)
            plan = make_plan(self.project, self.request, options)
            doing = f"selab watch {plan.scenario.name}"
            with precompile(self.project, plan, progress), vm_lock(self.project, doing, progress):
                try:
                    self._run_on(plan, progress)
                except Unreachable:
                    self._guest = None
                    if not self._running.is_set():
                        raise  # the run has its verdict
                    self._run_on(plan, progress)
                return None
        except LockedOut as error:
            self._guest = None
            return error
        except SelabError as error:
            return error

    def _run_on(self, plan: Plan, progress: Progress) -> None:
        guest = self._connect(progress)
        experiment.run_on(guest, self.machine, self.project, plan, progress, self._judged)

    def _judged(self, run: experiment.Run) -> None:
        # A save from now on waits until what the run has left is removed.
        self._running.clear()
        self.ended(run)

    def _connect(self, progress: Progress) -> Guest:
        if self._guest is None:
            self._guest = self.machine.ensure(progress)
        return self._guest

    def _watch_files(self) -> None:
        for changes in watchfiles.watch(
            *self._directories(), debounce=DEBOUNCE, step=20, stop_event=self._stop, raise_interrupt=False
        ):
            if any(self._concerns(Path(path)) for _, path in changes):
                self._changed.set()
                if self._running.is_set():
                    self._interrupted.set()
                    _thread.interrupt_main()

    def _directories(self) -> list[Path]:
        return [
            path
            for path in (self.project.policies, self.project.scenarios, self.project.images)
            if path.is_dir()
        ]

    def _concerns(self, path: Path) -> bool:
        """Whether a saved file concerns the scenario: a policy source, the scenario's file, or its image."""
        if path.parent in (self.project.policies, self.project.templates):
            return path.suffix in WATCHED
        if path.parent == self.project.scenarios:
            return path.stem == self.request.scenario and path.suffix in WATCHED
        try:
            members = load_scenario(self.project, self.request.scenario).members.values()
        except SelabError:
            return False
        images = (self.project.images / member.image for member in members if member.image)
        return any(path.is_relative_to(image) for image in images)

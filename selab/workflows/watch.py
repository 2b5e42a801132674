"""`selab watch`: each save of what a scenario is made from starts it over, at once, also in the middle of a run."""

from __future__ import annotations

import _thread
import threading
from collections.abc import Callable
from pathlib import Path

import watchfiles

from selab.analysis.offline import after_last_run
from selab.errors import SelabError, Unreachable
from selab.guest import Guest
from selab.machine import Machine
from selab.progress import Progress
from selab.project import Project
from selab.run import experiment
from selab.run.recovery import LockedOut
from selab.run.request import Plan, Request, plan
from selab.scenario import load_scenario
from selab.vm.lock import vm_lock

ENDINGS = {".te", ".fc", ".if", ".yaml", ".yml"}
DEBOUNCE = 50
"""Milliseconds in which several writes count as one save: editors write a file, then rename it."""


class Watch:
    """One watched scenario. `began` is called before each run, `ended` with its result or with what was wrong with the input."""

    def __init__(
        self,
        project: Project,
        machine: Machine,
        request: Request,
        progress: Callable[[], Progress],
        began: Callable[[], None],
        ended: Callable[[experiment.Run | SelabError], None],
    ) -> None:
        self.project, self.machine, self.request, self.progress = project, machine, request, progress
        self.began, self.ended = began, ended
        self._changed, self._running, self._stop = threading.Event(), threading.Event(), threading.Event()
        self._guest: Guest | None = None

    def forever(self) -> None:
        """Run, wait for a save, run again, until Ctrl-C."""
        watcher = threading.Thread(target=self._look, daemon=True)
        watcher.start()
        try:
            while True:
                self._once()
        finally:
            self._stop.set()

    def _once(self) -> None:
        self._changed.clear()
        try:
            self._running.set()
            self.began()
            self.ended(self._run())
            self._running.clear()
            self._changed.wait()
        except KeyboardInterrupt:
            # The same exception means a save in the middle of a run, which has undone what it had done, or the user's Ctrl-C.
            self._running.clear()
            if not self._changed.is_set():
                raise

    def _run(self) -> experiment.Run | SelabError:
        progress = self.progress()
        try:
            wanted = plan(self.project, after_last_run(self.project, self.request))
            doing = f"selab watch {wanted.scenario.name}"
            with (
                experiment.precompile(self.project, wanted, progress),
                vm_lock(self.project, doing, progress),
            ):
                try:
                    return self._run_on(wanted, progress)
                except Unreachable:
                    self._guest = None
                    return self._run_on(wanted, progress)
        except LockedOut as error:
            self._guest = None
            return error
        except SelabError as error:
            return error

    def _run_on(self, wanted: Plan, progress: Progress) -> experiment.Run:
        return experiment.run_on(self._connected(progress), self.machine, self.project, wanted, progress)

    def _connected(self, progress: Progress) -> Guest:
        if self._guest is None:
            self._guest = self.machine.ensure(progress)
        return self._guest

    def _look(self) -> None:
        for changes in watchfiles.watch(
            *self._places(), debounce=DEBOUNCE, step=20, stop_event=self._stop, raise_interrupt=False
        ):
            if any(self._concerns(Path(path)) for _, path in changes):
                self._changed.set()
                if self._running.is_set():
                    _thread.interrupt_main()

    def _places(self) -> list[Path]:
        return [
            path
            for path in (self.project.policies, self.project.scenarios, self.project.images)
            if path.is_dir()
        ]

    def _concerns(self, path: Path) -> bool:
        """Whether a file that was saved is one of the scenario's: any policy source, its own file, or its image."""
        if path.parent == self.project.policies:
            return path.suffix in ENDINGS
        if path.parent == self.project.scenarios:
            return path.stem == self.request.scenario and path.suffix in ENDINGS
        try:
            image = load_scenario(self.project, self.request.scenario).image
        except SelabError:
            return False
        return path.is_relative_to(self.project.images / image)

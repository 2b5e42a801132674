"""The context of a command: the project, the consoles, the progress and the log."""

from __future__ import annotations

import dataclasses
import functools
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.console import Console

    from selab.host.durations import Durations
    from selab.machine import MachineControl
    from selab.progress import Progress
    from selab.project import Project

PIPE_WIDTH = 160
"""Number of columns if standard output is not a terminal: a log or a pager has room."""


class Context:
    """The context of one invocation. The top group creates it, and each part is created when a command first
    uses it.

    project_dir: directory given by --project.
    vagrant_dir: directory given by --vagrant-dir.
    verbose: whether the log goes to standard error too.
    waits: whether to wait for a VM that another selab process uses.
    trusts_vagrantfile: whether the user allows the project's Vagrantfile and box.
    slot: VM of a matrix to use instead of the project's own, or "".
    """

    def __init__(
        self,
        project_dir: Path | None = None,
        vagrant_dir: Path | None = None,
        verbose: bool = False,
        waits: bool = True,
        trusts_vagrantfile: bool = False,
    ) -> None:
        self.project_dir = project_dir
        self.vagrant_dir = vagrant_dir
        self.verbose = verbose
        self.waits = waits
        self.trusts_vagrantfile = trusts_vagrantfile
        self.slot = ""
        self._shown = False

    @functools.cached_property
    def project(self) -> Project:
        from selab.cli.logfile import log_to
        from selab.project import find_project

        project = find_project(self.project_dir or Path.cwd(), self.vagrant_dir)
        if self.slot:
            from selab.matrix.slots import slot_project

            project = slot_project(project, self.slot)
        project = dataclasses.replace(project, waits=self.waits)
        log_to(project.state / "selab.log")
        self.show_log(self.verbose)
        return project

    @functools.cached_property
    def machine(self) -> MachineControl:
        """Return the project's machine, after the user has allowed what it runs or reaches."""
        from selab.cli.trust import ask_about
        from selab.vm.select import machine_of

        ask_about(self, self.project)
        return machine_of(self.project)

    @functools.cached_property
    def out(self) -> Console:
        """Standard output: results only."""
        from rich.console import Console

        return Console(highlight=False, emoji=False, width=None if sys.stdout.isatty() else PIPE_WIDTH)

    @functools.cached_property
    def console(self) -> Console:
        """Standard error: progress, errors and all other output that is not a result."""
        from rich.console import Console

        return Console(stderr=True, highlight=False, emoji=False)

    @functools.cached_property
    def progress(self) -> Progress:
        return self.new_progress()

    @functools.cached_property
    def progress_without_project(self) -> Progress:
        """Return progress for a command that uses no project, which is neither read nor changed.

        The models of a project need pydantic, which takes longer to import than such a command runs.
        """
        from selab.progress import Progress
        from selab.report.progress import TerminalListener

        return Progress(TerminalListener(self.console))

    def new_progress(self) -> Progress:
        """Return progress with its own timings, for a command that does its work several times."""
        from selab.progress import Progress
        from selab.report.progress import TerminalListener

        return Progress(TerminalListener(self.console, self.durations))

    @functools.cached_property
    def durations(self) -> Durations:
        """The recorded durations of steps in this project. Outside a project, nothing is recorded."""
        from selab.errors import SelabError
        from selab.host.durations import Durations

        try:
            return Durations(self.project.state / "durations.json")
        except SelabError:
            return Durations()

    def close(self) -> None:
        """Record how long the steps took, if there were any."""
        if "durations" in self.__dict__:
            self.durations.keep()

    def show_log(self, enabled: bool) -> None:
        """Write the log to standard error too from now on, if `enabled`."""
        if enabled and not self._shown:
            from selab.cli.logfile import log_to_terminal

            self._shown = True
            log_to_terminal()


pass_context = click.make_pass_decorator(Context)

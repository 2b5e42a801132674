"""What every command gets: the project, the consoles, the progress and the log."""

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
    from selab.progress import Progress
    from selab.project import Project

PIPE_WIDTH = 160
"""Columns where standard output is no terminal: a log or a pager has room."""


class Context:
    """Made once per invocation by the top group; each part is made when a command first asks for it. `slot` is the VM of a matrix that is
    meant, instead of the project's own."""

    def __init__(
        self,
        project_dir: Path | None = None,
        vagrant_dir: Path | None = None,
        verbose: bool = False,
        waits: bool = True,
    ) -> None:
        self.project_dir = project_dir
        self.vagrant_dir = vagrant_dir
        self.verbose = verbose
        self.waits = waits
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
    def out(self) -> Console:
        """Standard output: results only."""
        from rich.console import Console

        return Console(highlight=False, emoji=False, width=None if sys.stdout.isatty() else PIPE_WIDTH)

    @functools.cached_property
    def console(self) -> Console:
        """Standard error: progress, errors and everything else that is not the result."""
        from rich.console import Console

        return Console(stderr=True, highlight=False, emoji=False)

    @functools.cached_property
    def progress(self) -> Progress:
        return self.new_progress()

    def new_progress(self) -> Progress:
        """Progress with timings of its own, for a command that does its work several times."""
        from selab.progress import Progress
        from selab.report.progress import TerminalListener

        return Progress(TerminalListener(self.console, self.durations))

    @functools.cached_property
    def durations(self) -> Durations:
        """How long steps took in this project; outside of one, nothing is remembered."""
        from selab.errors import SelabError
        from selab.host.durations import Durations

        try:
            return Durations(self.project.state / "durations.json")
        except SelabError:
            return Durations()

    def close(self) -> None:
        """Write down how long the steps took, if there were any."""
        if "durations" in self.__dict__:
            self.durations.keep()

    def show_log(self, wanted: bool) -> None:
        """Write the log to standard error as well, from here on."""
        if wanted and not self._shown:
            from selab.cli.logfile import log_to_terminal

            self._shown = True
            log_to_terminal()


pass_context = click.make_pass_decorator(Context)

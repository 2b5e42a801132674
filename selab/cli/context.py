"""What every command gets: the project, the consoles, the progress and the log."""

from __future__ import annotations

import functools
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from selab.progress import Progress

if TYPE_CHECKING:
    from rich.console import Console

    from selab.project import Project

PIPE_WIDTH = 160
"""Columns where standard output is no terminal: a log or a pager has room."""
LOG_FORMAT = "%(asctime)s %(levelname)s %(message)s"


class Context:
    """Made once per invocation by the top group; each part is made when a command first asks for it."""

    def __init__(self, project_dir: Path | None = None, vagrant_dir: Path | None = None, verbose: bool = False) -> None:
        self.project_dir = project_dir
        self.vagrant_dir = vagrant_dir
        self.verbose = verbose
        self._shown = False

    @functools.cached_property
    def project(self) -> Project:
        from selab.project import find_project

        project = find_project(self.project_dir or Path.cwd(), self.vagrant_dir)
        self._log_to(project.state / "selab.log")
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
        from selab.report.progress import TerminalListener

        return Progress(TerminalListener(self.console))

    def _log_to(self, path: Path) -> None:
        logger = logging.getLogger("selab")
        logger.setLevel(logging.DEBUG)
        self._add(logging.FileHandler(path, encoding="utf-8", delay=True))
        self.show_log(self.verbose)

    def show_log(self, wanted: bool) -> None:
        """Write the log to standard error as well, from here on."""
        if wanted and not self._shown:
            self._shown = True
            self._add(logging.StreamHandler(sys.stderr))

    def _add(self, handler: logging.Handler) -> None:
        """Send selab's log to `handler`, and paramiko's, which would otherwise write to the terminal by itself."""
        handler.setFormatter(logging.Formatter(LOG_FORMAT))
        for name in ("selab", "paramiko"):
            logging.getLogger(name).addHandler(handler)


pass_context = click.make_pass_decorator(Context)

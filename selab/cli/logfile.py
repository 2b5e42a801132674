"""The log: always in the project's file, and with -v also on standard error. It is imported when a command
first needs it."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from selab.host.private import append_private
from selab.report.text import plain_lines

LOG_FORMAT = "%(asctime)s %(levelname)s %(message)s"
LOGGERS = ("selab", "paramiko")
"""paramiko's logger is included, because it would otherwise write to the terminal."""


def log_to(path: Path) -> None:
    """Write selab's log to the file `path`, which the first line creates."""
    logging.getLogger("selab").setLevel(logging.DEBUG)
    logging.raiseExceptions = False  # a log that cannot be written (on a full disk) must not end the command
    _add(_PrivateFile(path, delay=True))


@contextlib.contextmanager
def logging_to(path: Path) -> Iterator[None]:
    """Write selab's log to `path` during the block. A process that works for several projects has a log in
    each."""
    handler = _PrivateFile(path, delay=True)
    logging.getLogger("selab").setLevel(logging.DEBUG)
    _add(handler)
    try:
        yield
    finally:
        for name in LOGGERS:
            logging.getLogger(name).removeHandler(handler)
        handler.close()


def log_to_terminal() -> None:
    _add(logging.StreamHandler(sys.stderr))


class _PrivateFile(logging.FileHandler):
    """Writes to a file that only the user may read."""

    def _open(self) -> Any:
        return append_private(Path(self.baseFilename))


class _Plain(logging.Formatter):
    """Removes control characters: the log contains output of programs and guests, and users read it on a
    terminal."""

    def format(self, record: logging.LogRecord) -> str:
        return plain_lines(super().format(record))


def _add(handler: logging.Handler) -> None:
    handler.setFormatter(_Plain(LOG_FORMAT))
    for name in LOGGERS:
        logging.getLogger(name).addHandler(handler)

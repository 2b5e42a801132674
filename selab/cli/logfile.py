"""The log: always in the project's file, with -v on standard error as well. Imported when a command first has something to log."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

from selab.report.text import plain_lines

LOG_FORMAT = "%(asctime)s %(levelname)s %(message)s"
LOGGERS = ("selab", "paramiko")
"""paramiko's too, which would otherwise write to the terminal by itself."""


def log_to(path: Path) -> None:
    """Write selab's log to the file `path`, which is made with the first line."""
    logging.getLogger("selab").setLevel(logging.DEBUG)
    logging.raiseExceptions = (
        False  # a log that cannot be written, as on a full disk, is not what the user asked for
    )
    _add(logging.FileHandler(path, encoding="utf-8", delay=True))


@contextlib.contextmanager
def logging_to(path: Path) -> Iterator[None]:
    """The same for the block: a process that works for several projects has a log in each."""
    handler = logging.FileHandler(path, encoding="utf-8", delay=True)
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


class _Plain(logging.Formatter):
    """What programs and guests have said is in the log as well, and a log is read on a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        return plain_lines(super().format(record))


def _add(handler: logging.Handler) -> None:
    handler.setFormatter(_Plain(LOG_FORMAT))
    for name in LOGGERS:
        logging.getLogger(name).addHandler(handler)

"""The log: always in the project's file, with -v on standard error as well. Imported when a command first has something to log."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

LOG_FORMAT = "%(asctime)s %(levelname)s %(message)s"
LOGGERS = ("selab", "paramiko")
"""paramiko's too, which would otherwise write to the terminal by itself."""


def log_to(path: Path) -> None:
    """Write selab's log to the file `path`, which is made with the first line."""
    logging.getLogger("selab").setLevel(logging.DEBUG)
    _add(logging.FileHandler(path, encoding="utf-8", delay=True))


def log_to_terminal() -> None:
    _add(logging.StreamHandler(sys.stderr))


def _add(handler: logging.Handler) -> None:
    handler.setFormatter(logging.Formatter(LOG_FORMAT))
    for name in LOGGERS:
        logging.getLogger(name).addHandler(handler)

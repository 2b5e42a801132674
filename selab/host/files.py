"""JSON for programs, and selab's small state files, which are written completely or not at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from selab.errors import SelabError
from selab.host.private import read_private, write_private

MAX_JSON = 64 << 20
"""Bytes that selab reads of a JSON file: the largest is a compiled module, of a few MiB."""


def to_json(data: Any) -> str:
    """Return `data` as JSON in ASCII. A terminal could act on other characters, and a CI system on `##[`."""
    return json.dumps(data, indent=2).replace("##", "#\\u0023")


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in the file `path`, or an empty one if there is no regular file with an object."""
    try:
        data = json.loads(read_private(path, MAX_JSON))
    except (OSError, ValueError, RecursionError, SelabError):
        return {}
    return data if isinstance(data, dict) else {}


def write_json(path: Path, data: dict[str, Any]) -> None:
    """Write `data` to the file `path`. If two processes write at the same time, the later one wins."""
    write_private(path, (json.dumps(data, indent=2) + "\n").encode(), mode=0o666)  # the umask applies

"""JSON for programs, and the small files in which selab remembers: nothing where one is missing or cut off, written whole or not at all."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


def to_json(data: Any) -> str:
    """`data` for programs, in ASCII: a terminal could act on what is not, and a CI system on `##[`."""
    return json.dumps(data, indent=2).replace("##", "#\\u0023")


def read_json(path: Path) -> dict[str, Any]:
    """The object in the file `path`; an empty one where there is none, or something else."""
    try:
        data = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}


def write_json(path: Path, data: dict[str, Any]) -> None:
    """Write `data` to the file `path`. Of two processes that write at once, one comes last."""
    part = path.with_suffix(f".{os.getpid()}.part")
    try:
        part.write_text(json.dumps(data, indent=2) + "\n")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)

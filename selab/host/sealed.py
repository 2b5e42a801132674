"""Small files of `.selab` that no other user, and no repository, can write for this user."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from selab.host.binding import is_sealed, seal
from selab.host.files import read_json, write_json

SEAL = "seal"


def read_sealed(path: Path) -> dict[str, Any]:
    """Return the object that `write_sealed` wrote to the file `path`.

    The object is empty if the file is missing or damaged, or if anything else wrote it.
    """
    data = read_json(path)
    value = data.pop(SEAL, None)
    return data if is_sealed(path.name, _canonical(data), value) else {}


def write_sealed(path: Path, data: dict[str, Any]) -> None:
    """Write `data`, which has no key `seal`, to the file `path` with a seal."""
    write_json(path, {**data, SEAL: seal(path.name, _canonical(data))})


def _canonical(data: dict[str, Any]) -> bytes:
    return json.dumps(data, sort_keys=True).encode()

"""A finding: one thing about a policy's source that its author should know."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from selab.errors import SelabError

_PLACE = re.compile(r"(?P<file>/[^:]*\.(?:te|fc|if))(?::(?P<line>\d+))?(?:: ?(?P<rest>.*))?")


class Severity(StrEnum):
    """How bad it is. An `error` does not compile, link or label as it is written; a `warning` is likely a mistake; a `note` is style."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True)
class Finding:
    """`line` counts from 1; 0 where it is about the whole file. `id` is short and stays; `remedy` says what to do, and may be empty."""

    file: Path
    line: int
    severity: Severity
    id: str
    message: str
    remedy: str = ""


def of_error(error: SelabError, id: str, file: Path) -> Finding:
    """A mistake that was raised, where its detail says that it is, or in `file`."""
    place = _PLACE.fullmatch(error.detail)
    if place is None:
        return Finding(
            file,
            0,
            Severity.ERROR,
            id,
            " ".join(part for part in (error.what, error.detail) if part),
            error.hint,
        )
    rest = f" {place['rest']}" if place["rest"] else ""
    return Finding(
        Path(place["file"]), int(place["line"] or 0), Severity.ERROR, id, f"{error.what}{rest}", error.hint
    )

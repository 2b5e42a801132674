"""Define a finding: one thing about a policy's source that its author should know."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from selab.errors import SelabError

_PLACE = re.compile(r"(?P<file>/[^:]*\.(?:te|fc|if|cil|yaml))(?::(?P<line>\d+))?(?:: ?(?P<rest>.*))?")


class Severity(StrEnum):
    """How severe a finding is.

    An `error` does not compile, link or label as written; a `warning` is probably a mistake; a `note` is
    about style.
    """

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True)
class Finding:
    """One finding about a policy's source.

    file: file that it is about.
    line: line in the file, counted from 1, or 0 for the whole file.
    severity: how severe it is.
    id: short identifier that stays stable between versions.
    message: what is wrong.
    remedy: what to do, or empty.
    """

    file: Path
    line: int
    severity: Severity
    id: str
    message: str
    remedy: str = ""


def of_error(error: SelabError, id: str, file: Path) -> Finding:
    """Convert an error to a finding at the place that its detail names, or in `file`."""
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

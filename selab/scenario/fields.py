"""Values that a scenario may contain: text, words, names, references and paths."""

from __future__ import annotations

import re
import unicodedata
from typing import Annotated

from pydantic import AfterValidator, Field

from selab.project import IDENTIFIER


def printable(text: str) -> str:
    if any(unicodedata.category(char) in ("Cc", "Cs") and char not in "\n\t" for char in text):
        raise ValueError("must not contain control characters")
    return text


def _word(text: str) -> str:
    """Accept a value that is one argument of a command, without control characters, and not an option."""
    if not text or text.startswith("-") or "\n" in text:
        raise ValueError("must be one line that does not begin with '-'")
    return printable(text)


def _line(text: str) -> str:
    if "\n" in text:
        raise ValueError("must be one line")
    return printable(text)


def _reference(text: str) -> str:
    """Accept an image below images/, or a reference (github.com/distribution/reference)."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.:/@-]{0,254}", text) or ".." in text:
        raise ValueError("must be an image's name, or a reference such as registry/name:tag")
    return text


def downward(path: str) -> str:
    """Accept a path in the container that is appended to a path of the guest."""
    if ".." in path.split("/") or not path.strip("/"):
        raise ValueError("must name a directory below /, without '..'")
    return "/" + "/".join(part for part in path.split("/") if part not in ("", "."))


Text = Annotated[str, AfterValidator(printable)]
Word = Annotated[str, AfterValidator(_word)]
Line = Annotated[str, AfterValidator(_line)]
Seconds = Annotated[float, Field(gt=0, le=3600)]
Identifier = Annotated[str, Field(pattern=f"^{IDENTIFIER.pattern}$")]
Reference = Annotated[str, AfterValidator(_reference)]
GuestPath = Annotated[str, Field(pattern=r"^/[^:]*$"), AfterValidator(_line)]
Level = Annotated[str, Field(pattern=r"^s\d+(:c\d+([.,]c\d+)*)?$")]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,31}$")]
"""The name of a container or of a volume in a scenario; it is part of names in the guest."""
Namespace = Annotated[str, Field(pattern=r"^(host|none|pod|container:[A-Za-z0-9][A-Za-z0-9_.-]{0,31})$")]

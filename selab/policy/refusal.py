"""Tell whether a policy tool refused its input, or whether the tool itself failed.

The user can correct what a tool refused. A tool that is missing, was killed or had no space on its disk says
nothing about the policy, even if its exit code is that of a refusal.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from selab.guest import Completed

PHRASES = (
    "Cannot allocate memory",
    "Could not open file",
    "did not exit cleanly",
    "Disk quota exceeded",
    "Failed to write",
    "File too large",
    "Input/output error",
    "memory exhausted",
    "No rule to make target",
    "No space left on device",
    "Operation not permitted",
    "Out of memory",
    "Permission denied",
    "Read-only file system",
    "Resource temporarily unavailable",
    "Too many open files",
)
"""What the C library (in the locale C) and the tools print if the machine that they run on fails them."""
_MACHINE = re.compile("|".join(map(re.escape, PHRASES)))
_NO_RESULT = re.compile(
    r"^(?:make(?:\[\d\])?: \*\*\* .*\] )?(?:Error 1[2-9]\d|Killed|Terminated|Segmentation fault|Aborted)\b"
    r"|^\S+: (?:\w+ )?(?:\d+: )?\S+: (?:command )?not found$",
    re.MULTILINE,
)
"""What make and the shell print about a program that was killed or is missing."""


def refused(done: Completed, codes: Collection[int] = (1,)) -> bool:
    """Return whether a tool refused its input: the exit code is one of `codes`, and the tool says why."""
    output = f"{done.error_text}\n{done.text}"
    if done.returncode not in codes or not output.strip():
        return False
    return not (_MACHINE.search(output) or _NO_RESULT.search(output))

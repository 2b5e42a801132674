"""SELint's findings, where SELint is installed."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping

from selab.host.local import LocalHost
from selab.policy.base import BasePolicy
from selab.policy.lint.finding import Finding, Severity
from selab.policy.module import PolicyModule

_LINE = re.compile(
    r"(?P<file>.+?): *(?P<line>\d+): \((?P<severity>[CSWEF])\): (?P<message>.*) \((?P<id>[CSWEF]-\d+)\)"
)
_SEVERITIES = {
    "C": Severity.NOTE,
    "S": Severity.NOTE,
    "W": Severity.WARNING,
    "E": Severity.ERROR,
    "F": Severity.WARNING,
}
"""SELint's own severities: convention, style, warning, error, and what it cannot parse, which m4 and the compiler perhaps can."""
_LEFT_OUT = ("S-001", "W-008", "E-005")
"""What selab says itself (a require block, a wildcard), and what SELint cannot know from headers (the types that a .fc may name)."""
SELINT_TIMEOUT = 60.0
"""Seconds: it takes a quarter of one."""


def installed() -> bool:
    return shutil.which("selint") is not None


def selint(module: PolicyModule, base: BasePolicy) -> list[Finding]:
    """What SELint says of the module's files on disk, with the base policy's headers as what they are compiled with.

    Raises CommandFailed where it ends badly and says nothing of them.
    """
    files = {str(module.te.with_suffix(f".{ending}")): ending for ending in module.texts}
    options = [f"--context={base.headers / 'include'}", "--color=off", "--full-path", "--level=S"]
    options += [f"--disable={id}" for id in _LEFT_OUT]
    done = LocalHost().run(["selint", *options, *files], timeout=SELINT_TIMEOUT)
    found = list(_findings(done.text, module, files))
    if not found:
        done.expect("SELint could not look at the policy.")
    return found


def _findings(text: str, module: PolicyModule, files: Mapping[str, str]) -> Iterator[Finding]:
    for line in text.splitlines():
        if (found := _LINE.fullmatch(line.strip())) and found["file"] in files:
            place = module.te.with_suffix(f".{files[found['file']]}")
            yield Finding(
                place,
                int(found["line"]),
                _SEVERITIES[found["severity"]],
                found["id"],
                f"{found['message']}.",
                "",
            )

"""Run SELint, if it is installed, and convert its findings."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping

from selab.host.local import LocalHost
from selab.policy.base import BasePolicy
from selab.policy.lint.finding import Finding, Severity
from selab.policy.module import PolicyModule

_AFTER_FILE = re.compile(
    r": *(?P<line>\d+): \((?P<severity>[CSWEF])\): (?P<message>.*) \((?P<id>[CSWEF]-\d+)\)"
)
"""What follows the file's name in a line that SELint prints."""
_SEVERITIES = {
    "C": Severity.NOTE,
    "S": Severity.NOTE,
    "W": Severity.WARNING,
    "E": Severity.ERROR,
    "F": Severity.WARNING,
}
"""SELint's severities: convention, style, warning, error, and fatal for what SELint cannot parse.

m4 and the compiler may accept what SELint cannot parse, so fatal is a warning here.
"""
_LEFT_OUT = ("S-001", "W-008", "E-005")
"""selab reports the first two itself. The third needs all declarations of types, which headers lack."""
SELINT_TIMEOUT = 60.0
"""Seconds: SELint takes a quarter of one."""


def installed() -> bool:
    return shutil.which("selint") is not None


def selint(module: PolicyModule, base: BasePolicy) -> list[Finding]:
    """Run SELint on the module's files on disk, with the base policy's headers as context.

    Raises CommandFailed if SELint fails without a finding.
    """
    files = {str(module.path.with_suffix(f".{ending}")): ending for ending in module.texts}
    options = [f"--context={base.headers / 'include'}", "--color=off", "--full-path", "--level=S"]
    options += [f"--disable={id}" for id in _LEFT_OUT]
    done = LocalHost().run(["selint", *options, *files], timeout=SELINT_TIMEOUT)
    findings = list(_findings(done.text, module, files))
    if not findings:
        done.expect("SELint could not check the policy.")
    return findings


def _findings(text: str, module: PolicyModule, files: Mapping[str, str]) -> Iterator[Finding]:
    for line in text.splitlines():
        file = next((file for file in files if line.lstrip().startswith(f"{file}:")), "")
        if file and (match := _AFTER_FILE.fullmatch(line.strip(), len(file))):
            place = module.path.with_suffix(f".{files[file]}")
            yield Finding(
                place,
                int(match["line"]),
                _SEVERITIES[match["severity"]],
                match["id"],
                f"{match['message']}.",
                "",
            )

"""A run as GitHub's workflow commands, which show on the lines of a pull request."""

from __future__ import annotations

from selab.report.junit import describe
from selab.report.place import line_of
from selab.report.text import plain
from selab.run.document import RunDocument
from selab.run.verdict import Verdict


def workflow_commands(run: RunDocument, te: str) -> list[str]:
    """A command for each denial, or for the reason where the run is an ERROR or failed without one."""
    file = f"policies/{run.policy}.te"
    commands = [
        _command("error", file, line_of(denial.source, te), "SELinux denial", describe(denial))
        for denial in run.denials
    ]
    if run.verdict is Verdict.ERROR or (run.verdict is Verdict.FAIL and not commands):
        commands += [
            _command("error", file, 1, f"selab {run.scenario}: {run.verdict.value}", reason)
            for reason in run.reasons
        ]
    return commands


def _command(level: str, file: str, line: int, title: str, text: str) -> str:
    """One command, of one line. Data and properties are escaped as GitHub's own toolkit does it (its core package, command.ts)."""
    data = plain(text).replace("%", "%25")
    properties = {"file": file, "line": str(line), "title": title}
    escaped = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
    return f"::{level} {escaped}::{data}"


def _property(text: str) -> str:
    text = plain(text)
    for char, code in (("%", "%25"), (":", "%3A"), (",", "%2C")):
        text = text.replace(char, code)
    return text

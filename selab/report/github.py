"""GitHub's workflow commands, which GitHub shows as annotations on the lines of a pull request."""

from __future__ import annotations

from collections.abc import Iterator

from selab.auditlog.classification import Classification
from selab.report.model import Report, ReportedRun
from selab.report.place import line_of
from selab.report.text import plain
from selab.report.words import denial_line, missing_line, ruled_line
from selab.run.verdict import Verdict


def render(report: Report) -> str:
    """A line for each denial that the scenario does not expect.

    A tolerated denial is a notice. If a run is an ERROR, or failed without an unexpected denial, each reason
    is a line as well.
    """
    return "".join(f"{command}\n" for run in report.runs for command in _commands(run))


def _commands(reported: ReportedRun) -> Iterator[str]:
    run = reported.document
    file = reported.source_of().file
    for denial in run.denials:
        source = reported.source_of(denial)
        own, line = source.file, line_of(denial.source, source.text)
        if denial.classification is Classification.UNEXPECTED:
            yield _command("error", own, line, "SELinux denial", denial_line(denial))
        elif denial.classification is Classification.TOLERATED:
            yield _command("notice", own, line, "Tolerated SELinux denial", ruled_line(denial))
    if run.verdict is Verdict.ERROR or (run.verdict is Verdict.FAIL and not run.unexpected):
        title = f"selab {run.scenario}: {run.verdict.value}"
        for reason in run.reasons:
            yield _command("error", file, 1, title, reason)
    else:
        for missing in run.missing:
            yield _command("error", file, 1, "Expected denial did not occur", missing_line(missing))


def _command(level: str, file: str, line: int, title: str, text: str) -> str:
    """One line. Data and properties are escaped as in GitHub's toolkit (its core package, command.ts)."""
    data = plain(text).replace("%", "%25")
    properties = {"file": file, "line": str(line), "title": title}
    escaped = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
    return f"::{level} {escaped}::{data}"


def _property(text: str) -> str:
    text = plain(text)
    for char, code in (("%", "%25"), (":", "%3A"), (",", "%2C")):
        text = text.replace(char, code)
    return text

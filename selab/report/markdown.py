"""Markdown for a CI job's summary: each run with its verdict, reasons, steps, denials and notes, or a matrix.

Text from the guest is always in a code span, in which Markdown (CommonMark 0.31, section 6.1, and GitHub's
extensions) has no links, mentions, HTML or emphasis. Control and bidirectional characters are escapes
already, by `plain`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from selab.auditlog.classification import Classification
from selab.history import Record
from selab.matrix.plan import Ended
from selab.report.model import MARKER, Report
from selab.report.text import plain
from selab.report.words import (
    columns,
    denials_in_words,
    example_of,
    matrix_verdict,
    missing_line,
    rows,
    target_and_class,
    verdict_in_words,
)
from selab.run.document import ClassifiedDenialEntry, ContainerEntry, DenialEntry, RunDocument, StepEntry

ROWS = 100
"""Rows of a table of denials: GitHub takes a summary of at most 1 MiB, and a path may have 4 KiB."""
_BAR = re.compile(r"(?<!\\)\\*\|")
_TITLES = {
    Classification.UNEXPECTED: "Denials",
    Classification.TOLERATED: "Tolerated denials",
    Classification.EXPECTED: "Expected denials",
}


def render(report: Report) -> str:
    """The summary. Of a matrix, only the runs that did not end as expected have sections of their own."""
    return "\n".join([MARKER, "", *(_matrix(report) if report.matrix else _runs(report))])


def _runs(report: Report) -> Iterator[str]:
    for run in report.runs:
        document = run.document
        yield from _run(document, f"{code(document.scenario)}: {document.verdict.value}")


def _matrix(report: Report) -> Iterator[str]:
    results = report.matrix
    yield from (f"## Matrix: {matrix_verdict(results).value}", "")
    heads = columns(results)
    titles = ("scenario", "policy", *(code(" ".join(head), cell=True) for head in heads))
    table = [
        (*(code(name, cell=True) for name in names), *(_cell(cells.get(head)) for head in heads))
        for names, cells in rows(results).items()
    ]
    yield from _table(titles, table)
    for result in results:
        title = f"{code(str(result.cell))}: {verdict_in_words(result)}"
        if not isinstance(result.result, Record):
            yield from (f"## {title}", "", *_list(result.reasons))
        elif not result.is_right:
            yield from _run(result.result.document, title)


def _cell(result: Ended | None) -> str:
    return f"{verdict_in_words(result)}{denials_in_words(result)}" if result else "-"


def _run(run: RunDocument, title: str) -> Iterator[str]:
    yield from (f"## {title}", "")
    label = "" if run.containers else f", label {code(run.label.requested)}"
    yield f"Policy {code(run.policy)}, {run.mode.value}{label}, run {code(run.run)}."
    yield ""
    if run.containers:
        yield from _table(("container", "policy", "label"), map(_container, run.containers))
    yield from _list(run.reasons)
    if run.steps:
        yield from _table(("step", "result", "seconds", "detail"), map(_step, run.steps))
    first = 1
    groups = [(_TITLES[classification], run.classified_as(classification)) for classification in _TITLES]
    for title, denials in (*groups, ("Denials hidden by dontaudit rules", run.hidden)):
        yield from _denials(title, denials, first, run)
        first += len(denials)
    yield from _titled("Expected denials that did not occur", [missing_line(row) for row in run.missing])
    yield from _titled(
        "SELinux errors", [f"{error.meaning} {error.text}".strip() for error in run.selinux_errors]
    )
    yield from _titled("Notes", run.notes)


def _container(container: ContainerEntry) -> tuple[str, ...]:
    texts = (container.name, container.policy, container.label.requested)
    return tuple(code(text, cell=True) for text in texts)


def _step(step: StepEntry) -> tuple[str, ...]:
    result = "done" if step.ok else "failed"
    return code(step.name, cell=True), result, f"{step.seconds:.1f}", code(step.detail, cell=True)


def _denials(
    title: str, denials: Sequence[ClassifiedDenialEntry], first: int, run: RunDocument
) -> Iterator[str]:
    """The denials as a table, numbered from `first`: `selab explain RUN NUMBER` takes the number.

    If the scenario tolerates or expects one of them, a column says so.
    """
    if not denials:
        return
    yield from (f"### {title}", "")
    ruled = any(not denial.ruling.is_unexpected for denial in denials)
    heads = ("#", "source", "target:class", "permissions", "count", "example", *("ruling",) * ruled)
    table = [
        (str(number), *_denial(denial), *(code(denial.ruling.in_words, cell=True),) * ruled)
        for number, denial in enumerate(denials[:ROWS], first)
    ]
    yield from _table(heads, table)
    if (more := len(denials) - ROWS) > 0:
        yield from (f"{more} more: {code(f'selab show {run.run}')} lists all of them.", "")


def _denial(denial: DenialEntry) -> Iterator[str]:
    yield code(denial.source, cell=True)
    yield code(target_and_class(denial), cell=True)
    yield code(" ".join(denial.permissions), cell=True)
    yield str(denial.count)
    yield code(example_of(denial), cell=True)


def _titled(title: str, texts: Sequence[str]) -> Iterator[str]:
    if texts:
        yield from (f"### {title}", "", *_list(texts))


def _list(texts: Iterable[str]) -> Iterator[str]:
    yield from (f"- {code(text)}" for text in texts)
    yield ""


def _table(titles: Sequence[str], table: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(titles)} |"
    yield f"|{'---|' * len(titles)}"
    yield from (f"| {' | '.join(row)} |" for row in table)
    yield ""


def code(text: str, *, cell: bool = False) -> str:
    """`text` on one line, as a code span. Its delimiter is longer than any row of backticks in the text.

    In a `cell` of a table a bar is escaped, since it would end the cell in a code span as well. A bar after a
    backslash has no escape that all readers of tables agree on, so both become `\\x7c` and `\\x5c`.
    """
    line = plain(text)
    if not line.strip():
        return ""
    if cell:
        line = _BAR.sub(_escaped_bar, line)
    longest = max(map(len, re.findall("`+", line)), default=0)
    space = " " if line[0] in "` " or line[-1] in "` " else ""
    return f"{'`' * (longest + 1)}{space}{line}{space}{'`' * (longest + 1)}"


def _escaped_bar(match: re.Match[str]) -> str:
    return r"\|" if match[0] == "|" else match[0].replace("\\", r"\x5c").replace("|", r"\x7c")

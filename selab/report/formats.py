"""The report formats. This table is the only list of them: commands, help texts and tests read it.

A format is a module of this package with a function `render(report: Report) -> str`, and a line in
`_FORMATS`. The module is imported when a report of that format is made: only HTML needs jinja2, for example.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass

from selab.report.model import MARKER, Report

MARK_WITHIN = 400
"""Characters at the start of a file in which its `mark` must appear."""


@dataclass(frozen=True)
class Format:
    """A format of reports.

    `name`: the value of `--format`.
    `module`: its module in this package.
    `suffix`: the file suffix that selects the format if only `-o FILE` is given.
    `help`: what the format is for, in few words.
    `mark`: text near the start of each report, by which selab recognises a file that it wrote.
    `matrix`: whether the format can represent the results of a matrix.
    `advice`: whether the format shows advice, which takes a second to look up.
    `terminal`: whether the report can be read on a terminal.
    """

    name: str
    module: str
    suffix: str
    help: str
    mark: str
    matrix: bool = True
    advice: bool = False
    terminal: bool = True

    def render(self, report: Report) -> str:
        """The report as text in this format."""
        return str(importlib.import_module(f"selab.report.{self.module}").render(report))


_FORMATS = (
    Format("html", "html", ".html", "a page for a reviewer", MARKER, advice=True, terminal=False),
    Format("junit", "junit", ".xml", "test cases for a CI system", '<testsuite name="selab.'),
    Format("sarif", "sarif", ".sarif", "findings for code scanning", '"name": "selab"', matrix=False),
    Format("json", "json_document", ".json", "the documents for programs", '"schema": '),
    Format("github", "github", ".txt", "annotations for GitHub", " file=policies/", matrix=False),
    Format("markdown", "markdown", ".md", "a summary for a CI job", MARKER),
)

FORMATS = {entry.name: entry for entry in _FORMATS}
"""Each format by its name."""

"""What a report is made from: the runs, and the matrix that they belong to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from selab.policy.module_files import main_ending

if TYPE_CHECKING:
    from selab.advice.advise import Advice
    from selab.matrix.plan import Ended
    from selab.run.document import RunDocument

MARKER = "<!-- made by selab report -->"
"""Identifies a page or a summary that selab wrote, and may therefore overwrite."""


@dataclass(frozen=True)
class ReportedRun:
    """A run, and what a format may show of it.

    `document`: the run itself.
    `source`: the candidate's source, or "" if the run had no candidate.
    `records`: the raw audit records of the run's window, one line each.
    `advice`: advice for the run's denials; filled in only for formats that show advice.
    `language`: the language of the source, which is its file's ending.
    """

    document: RunDocument
    source: str = ""
    records: tuple[str, ...] = ()
    advice: tuple[Advice, ...] = ()
    language: str = "te"

    @classmethod
    def of(cls, document: RunDocument, sources: Mapping[str, str]) -> ReportedRun:
        """Return the run with the source that is the candidate's main file."""
        language = main_ending(sources)
        return cls(document, sources.get(language, ""), language=language)

    @property
    def file(self) -> str:
        """Return the path of the source in its project."""
        return f"policies/{self.document.policy}.{self.language}"


@dataclass(frozen=True)
class Report:
    """The contents of a report.

    `runs`: the runs, the oldest first.
    `matrix`: the results of the matrix that the runs belong to; empty if they belong to none.
    """

    runs: tuple[ReportedRun, ...]
    matrix: tuple[Ended, ...] = ()

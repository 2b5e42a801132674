"""What a report is made from: the runs, and the matrix that they belong to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from selab.policy.module_files import main_ending

if TYPE_CHECKING:
    from selab.advice.advise import Advice
    from selab.matrix.plan import Ended
    from selab.run.document import DenialEntry, RunDocument

MARKER = "<!-- made by selab report -->"
"""Identifies a page or a summary that selab wrote, and may therefore overwrite."""


@dataclass(frozen=True)
class Source:
    """The main file of a candidate.

    `policy`: the candidate's name.
    `text`: its content, or "" if it is unknown.
    `language`: the language, which is the file's ending.
    """

    policy: str
    text: str = ""
    language: str = "te"

    @property
    def file(self) -> str:
        """Return the path in its project."""
        return f"policies/{self.policy}.{self.language}"


@dataclass(frozen=True)
class ReportedRun:
    """A run, and what a format may show of it.

    `document`: the run itself.
    `sources`: the main file of each candidate, in the order of the containers; empty if the run had none.
    `records`: the raw audit records of the run's window, one line each.
    `advice`: advice for the run's denials; filled in only for formats that show advice.
    """

    document: RunDocument
    sources: tuple[Source, ...] = ()
    records: tuple[str, ...] = ()
    advice: tuple[Advice, ...] = ()

    @classmethod
    def of(cls, document: RunDocument, stored: Mapping[str, str]) -> ReportedRun:
        """Return the run with its sources. `stored`: the candidates' files, as the history has them."""
        policies, sources = document.policies, list[Source]()
        for name in policies:
            start = "" if len(policies) == 1 else f"{name}."
            texts = {key.removeprefix(start): text for key, text in stored.items() if key.startswith(start)}
            language = main_ending(texts)
            sources.append(Source(name, texts.get(language, ""), language))
        return cls(document, tuple(sources))

    def source_of(self, denial: DenialEntry | None = None) -> Source:
        """Return the source of the candidate that a denial concerns: that of the container that was denied.

        Without a denial, or a container with a candidate, it is the first candidate's.
        """
        policies = {each.name: each.policy for each in self.document.containers}
        concerned = [policies[name] for name in (denial.containers if denial else ()) if name in policies]
        by_name = {each.policy: each for each in self.sources}
        return next(
            (by_name[name] for name in concerned if name in by_name),
            next(iter(self.sources), Source(self.document.policy)),
        )


@dataclass(frozen=True)
class Report:
    """The contents of a report.

    `runs`: the runs, the oldest first.
    `matrix`: the results of the matrix that the runs belong to; empty if they belong to none.
    """

    runs: tuple[ReportedRun, ...]
    matrix: tuple[Ended, ...] = ()

"""Denials and results in words, as all formats state them."""

from __future__ import annotations

from collections.abc import Sequence

from selab.auditlog.denials import shown_labels, shown_target
from selab.errors import EXIT_FAIL, EXIT_PASS
from selab.history import Record
from selab.matrix.plan import Ended, exit_code
from selab.report.text import plain
from selab.run.document import ClassifiedDenialEntry, DenialEntry, MissingDenialEntry
from selab.run.verdict import Verdict


def denial_line(denial: DenialEntry) -> str:
    """A denial in one line, in the form of the rule that would allow it."""
    permissions = " ".join(denial.permissions)
    count = "once" if denial.count == 1 else f"{denial.count} times"
    rule = f"{denial.source} {target_and_class(denial)} {{ {permissions} }} {count}"
    example = example_of(denial)
    return plain(f"{rule}, for example {example}" if example else rule)


def ruled_line(denial: ClassifiedDenialEntry) -> str:
    """A denial in one line, followed by what the scenario says about it."""
    ruling = denial.ruling.in_words
    return f"{denial_line(denial)}; {plain(ruling)}" if ruling else denial_line(denial)


def missing_line(missing: MissingDenialEntry) -> str:
    """An expected denial that did not occur, in one line."""
    return plain(f"{missing.entry}: {missing.reason}")


def target_and_class(denial: DenialEntry) -> str:
    """`http_port_t:tcp_socket`; `self` if the target is the source."""
    return f"{shown_target(denial.source, denial.target)}:{denial.tclass}"


def containers_of(denial: DenialEntry) -> str:
    """The names of the containers that a denial concerns, as `web, db:`; "" if they have none."""
    return f"{', '.join(denial.containers)}:" if denial.containers else ""


def example_of(denial: DenialEntry) -> str:
    """The containers, process, path, detail and unknown labels of a denial; "" if none is known."""
    parts = (containers_of(denial), denial.comm, denial.path, denial.detail, shown_labels(denial))
    return " ".join(part for part in parts if part)


def verdict_in_words(result: Ended) -> str:
    """The verdict, and what was expected if that was not a PASS."""
    verdict, expected = result.verdict, result.cell.expected
    if result.is_right:
        return verdict.value if verdict is Verdict.PASS else f"{verdict.value}, as expected"
    return verdict.value if expected is Verdict.PASS else f"{verdict.value}, not {expected.value}"


def matrix_verdict(results: Sequence[Ended]) -> Verdict:
    """The verdict that the matrix's exit code stands for."""
    return {EXIT_PASS: Verdict.PASS, EXIT_FAIL: Verdict.FAIL}.get(exit_code(results), Verdict.ERROR)


def denials_in_words(result: Ended) -> str:
    """` 3 denials (1 unexpected, 2 tolerated)`; "" if there is no run."""
    return f" {result.result.document.denials_in_words}" if isinstance(result.result, Record) else ""


def columns(results: Sequence[Ended]) -> list[tuple[str, str]]:
    """The columns of a matrix's table: its modes and guests."""
    return list(dict.fromkeys((result.cell.mode.value, result.cell.guest) for result in results))


def rows(results: Sequence[Ended]) -> dict[tuple[str, str], dict[tuple[str, str], Ended]]:
    """The rows of a matrix's table: the results by scenario and policy, and then by mode and guest."""
    table: dict[tuple[str, str], dict[tuple[str, str], Ended]] = {}
    for result in results:
        cell = result.cell
        table.setdefault((cell.scenario, cell.policy), {})[(cell.mode.value, cell.guest)] = result
    return table

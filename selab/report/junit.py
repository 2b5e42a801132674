"""JUnit XML: a test suite for each run, or one suite for a matrix.

A run's suite has a test case for each step and one for the denials; a matrix's suite has a test case for each
run.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterable, Sequence

from selab.history import Record
from selab.matrix.plan import Ended
from selab.report.model import Report
from selab.report.text import plain
from selab.report.words import denial_line, ruled_line, verdict_in_words
from selab.run.document import RunDocument
from selab.run.verdict import Verdict


def render(report: Report) -> str:
    """The XML document, with times in seconds."""
    suites = [_matrix(report.matrix)] if report.matrix else [_run(run.document) for run in report.runs]
    root = ET.Element("testsuites")
    root.extend(suites)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _run(run: RunDocument) -> ET.Element:
    """A suite. If the run is an ERROR, the case for the denials has an `error`: they could not be observed.

    Its output lists the denials that the scenario tolerates or expects.
    """
    suite = ET.Element(
        "testsuite",
        name=plain(f"selab.{run.scenario}"),
        timestamp=f"{run.started:%Y-%m-%dT%H:%M:%S}",
        hostname="guest",
    )
    classname = f"selab.{run.scenario}.{run.policy}.{run.mode.value}"
    for step in run.steps:
        case = _case(suite, classname, step.name, step.seconds)
        if not step.ok:
            _add(case, "failure", "step", step.detail, run.log.splitlines())
    case = _case(suite, classname, "denials", run.timings.get("audit", 0.0))
    steps_failed = any(not step.ok for step in run.steps)
    reasons = [reason for reason in run.reasons if not (steps_failed and reason.startswith("step "))]
    if run.verdict is Verdict.ERROR:
        _add(case, "error", "error", run.reasons[0], _lines(run.reasons))
    elif run.verdict is Verdict.FAIL and reasons:
        _add(case, "failure", "denials", reasons[0], _lines([*reasons, *_unexpected(run)]))
    if settled := [ruled_line(row) for row in run.denials if not row.ruling.is_unexpected]:
        ET.SubElement(case, "system-out").text = "\n".join(settled)
    return _counted(suite, run.duration)


def _matrix(results: Sequence[Ended]) -> ET.Element:
    """A suite with a case for each run of a matrix, which fails if the run did not end as expected."""
    suite = ET.Element("testsuite", name="selab.matrix")
    for result in results:
        document = result.result.document if isinstance(result.result, Record) else None
        classname = f"selab.{result.cell.scenario}.{result.cell.policy}"
        name = f"{result.cell.mode.value} {result.cell.guest}"
        case = _case(suite, classname, name, document.duration if document else 0.0)
        if not result.is_right:
            kind = "error" if result.verdict is Verdict.ERROR else "failure"
            message = f"{verdict_in_words(result)}: {result.reasons[0]}"
            denials = _unexpected(document) if document else []
            _add(case, kind, kind, message, (*result.reasons, *denials))
    return _counted(suite, sum(float(case.get("time", 0)) for case in suite))


def _unexpected(run: RunDocument) -> list[str]:
    """The denials that may have made the run fail."""
    return [denial_line(row) for row in (*run.denials, *run.hidden) if row.ruling.is_unexpected]


def _counted(suite: ET.Element, seconds: float) -> ET.Element:
    """The suite with the number of its cases, failures and errors."""
    cases = suite.findall("testcase")
    suite.set("tests", str(len(cases)))
    suite.set("failures", str(sum(case.find("failure") is not None for case in cases)))
    suite.set("errors", str(sum(case.find("error") is not None for case in cases)))
    suite.set("skipped", "0")
    suite.set("time", f"{seconds:.3f}")
    return suite


def _lines(texts: Iterable[str]) -> list[str]:
    """The lines of texts that may have several."""
    return [line for text in texts for line in text.splitlines() or [""]]


def _case(suite: ET.Element, classname: str, name: str, seconds: float) -> ET.Element:
    return ET.SubElement(
        suite, "testcase", classname=plain(classname), name=plain(name), time=f"{seconds:.3f}"
    )


def _add(case: ET.Element, kind: str, type_name: str, message: str, lines: Iterable[str]) -> None:
    element = ET.SubElement(case, kind, type=type_name, message=plain(message))
    element.text = "\n".join(plain(line) for line in lines)

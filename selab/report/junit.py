"""A run as JUnit XML: a test case for each step, and one for the denials."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from selab.auditlog.denials import shown_target
from selab.report.text import plain
from selab.run.document import DenialEntry, RunDocument
from selab.run.verdict import Verdict


def junit(run: RunDocument) -> str:
    """The document, with times in seconds. An ERROR of the run is an `error` of the case for the denials, which nobody could then see."""
    suite = ET.Element(
        "testsuite",
        name=plain(f"selab.{run.scenario}"),
        timestamp=f"{run.started:%Y-%m-%dT%H:%M:%S}",
        hostname="guest",
    )
    for step in run.steps:
        case = _case(suite, run, step.name, step.seconds)
        if not step.ok:
            _add(case, "failure", "step", step.detail, run.log)
    case = _case(suite, run, "denials", run.timings.get("audit", 0.0))
    steps_failed = any(not step.ok for step in run.steps)
    reasons = [reason for reason in run.reasons if not (steps_failed and reason.startswith("step "))]
    if run.verdict is Verdict.ERROR:
        _add(case, "error", "error", run.reasons[0], "\n".join(run.reasons))
    elif run.verdict is Verdict.FAIL and reasons:
        _add(
            case,
            "failure",
            "denials",
            reasons[0],
            "\n".join([*reasons, *map(describe, run.denials), *map(describe, run.hidden)]),
        )
    return concluded(suite, sum(run.timings.values()))


def concluded(suite: ET.Element, seconds: float) -> str:
    """A document of the one `suite`, with its cases counted."""
    cases = suite.findall("testcase")
    suite.set("tests", str(len(cases)))
    suite.set("failures", str(sum(case.find("failure") is not None for case in cases)))
    suite.set("errors", str(sum(case.find("error") is not None for case in cases)))
    suite.set("skipped", "0")
    suite.set("time", f"{seconds:.3f}")
    root = ET.Element("testsuites")
    root.append(suite)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _case(suite: ET.Element, run: RunDocument, name: str, seconds: float) -> ET.Element:
    classname = f"selab.{run.scenario}.{run.policy}.{run.mode.value}"
    return ET.SubElement(
        suite, "testcase", classname=plain(classname), name=plain(name), time=f"{seconds:.3f}"
    )


def _add(case: ET.Element, kind: str, type_name: str, message: str, text: str) -> None:
    element = ET.SubElement(case, kind, type=type_name, message=plain(message))
    element.text = "\n".join(plain(line) for line in text.splitlines())


def describe(denial: DenialEntry) -> str:
    """A denial in one line, as a rule that would allow it is written."""
    target = shown_target(denial.source, denial.target)
    example = " ".join(part for part in (denial.comm, denial.path, denial.detail) if part)
    words = (
        f"{denial.source} {target}:{denial.tclass} {{ {' '.join(denial.permissions)} }} {denial.count} times"
    )
    return plain(f"{words}, for example {example}" if example else words)

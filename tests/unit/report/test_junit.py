"""JUnit XML, against the structure that its readers agree on."""

from __future__ import annotations

import functools
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import xmlschema

from selab.report.junit import render
from selab.run.document import RunDocument
from tests.unit.documents import CLASSIFIED, DENIAL, SETTLED, TOLERATED, document, report


@functools.cache
def schema() -> xmlschema.XMLSchema:
    return xmlschema.XMLSchema(str(Path(__file__).parent / "junit.xsd"))


def junit(*runs: RunDocument) -> str:
    return render(report(*runs))


def cases(text: str) -> dict[str, list[str]]:
    return {
        case.get("name", ""): [child.tag for child in case] for case in ET.fromstring(text).iter("testcase")
    }


@pytest.mark.parametrize(
    "more",
    [{}, {"verdict": "ERROR", "reasons": ["records lost"]}, {"verdict": "PASS", "denials": [], "steps": []}],
)
def test_the_document_is_valid(more: dict[str, object]) -> None:
    assert schema().is_valid(junit(document(**more)))


def test_every_case_has_its_class_and_its_time() -> None:
    (suite,) = ET.fromstring(junit(document()))
    assert {name: suite.get(name) for name in ("name", "timestamp", "time", "skipped")} == {
        "name": "selab.web",
        "timestamp": "2026-11-23T22:00:00",
        "time": "2.100",
        "skipped": "0",
    }
    assert [(case.get("classname"), case.get("time")) for case in suite] == [
        ("selab.web.web.enforcing", "1.500"),
        ("selab.web.web.enforcing", "0.100"),
        ("selab.web.web.enforcing", "0.500"),
    ]


def test_a_failure_has_its_type_its_reason_and_its_details() -> None:
    suite = ET.fromstring(junit(document(log="first\nlast")))
    step, denials = suite.iter("failure")
    assert (step.attrib, step.text) == ({"type": "step", "message": "no answer"}, "first\nlast")
    assert denials.attrib == {"type": "denials", "message": "1 unexpected denial"}
    first, second = (denials.text or "").split("\n")
    assert first == "1 unexpected denial" and "http_port_t:tcp_socket" in second


def test_a_failure_lists_the_hidden_denials_that_are_unexpected() -> None:
    hidden = [{**DENIAL, "target": "hidden_t"}, TOLERATED]
    *_, failure = ET.fromstring(junit(document(denials=[], hidden=hidden))).iter("failure")
    assert "hidden_t:tcp_socket" in (failure.text or "") and "proc_t" not in (failure.text or "")


def test_the_denials_of_an_error_have_all_of_its_reasons() -> None:
    text = junit(document(verdict="ERROR", reasons=["records\nlost", "", "step 'page' failed"]))
    (error,) = ET.fromstring(text).iter("error")
    assert (error.get("type"), error.get("message")) == ("error", "records\\nlost")
    assert (error.text or "").split("\n") == ["records", "lost", "", "step 'page' failed"]


def test_there_is_a_case_for_each_step_and_one_for_the_denials() -> None:
    assert cases(junit(document())) == {"page": ["failure"], "log": [], "denials": ["failure"]}


def test_a_failed_step_without_a_denial_does_not_fail_the_case_for_the_denials() -> None:
    text = junit(document(denials=[], reasons=["step 'page' failed: no answer"]))
    assert cases(text)["denials"] == []


def test_an_error_is_an_error() -> None:
    assert cases(junit(document(verdict="ERROR", reasons=["records lost"])))["denials"] == ["error"]


def test_a_pass_fails_nothing() -> None:
    text = junit(
        document(
            verdict="PASS", reasons=["fine"], denials=[], steps=[{"name": "page", "ok": True, "seconds": 1}]
        )
    )
    assert cases(text) == {"page": [], "denials": []}


def test_control_characters_do_not_make_it_invalid() -> None:
    step = {"name": "\x07", "ok": False, "seconds": 1, "detail": "\x01"}
    assert schema().is_valid(junit(document(log="\x1b[2J\x00", steps=[step])))


def test_several_runs_are_suites_of_one_valid_document() -> None:
    text = junit(document(), document(scenario="db"))
    schema().validate(text)
    assert [suite.get("name") for suite in ET.fromstring(text)] == ["selab.web", "selab.db"]


def test_tolerated_and_expected_denials_are_output_and_no_part_of_the_failure() -> None:
    text = junit(document(**CLASSIFIED))
    schema().validate(text)
    case = ET.fromstring(text).find(".//testcase[@name='denials']")
    assert case is not None
    failure, output = case.findtext("failure", ""), case.findtext("system-out", "")
    assert "http_port_t" in failure and "proc_t" not in failure and "shadow_t" not in failure
    assert [line.rpartition("; ")[2] for line in output.splitlines()] == [
        "tolerated by * -> proc_t:file { read }: it only counts processors",
        "expected by web_t -> shadow_t:file { read }: passwords stay secret",
    ]


def test_a_pass_with_a_tolerated_denial_fails_nothing() -> None:
    assert cases(junit(document(**SETTLED))) == {"denials": ["system-out"]}

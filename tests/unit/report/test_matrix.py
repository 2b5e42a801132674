"""A matrix as a table, JSON, JUnit and a page."""

from __future__ import annotations

import functools
import io
import json
import xml.etree.ElementTree as ET
from types import SimpleNamespace

import pytest
from rich.console import Console

from selab.history import Record
from selab.matrix.plan import Ended
from selab.report.formats import FORMATS
from selab.report.matrix import MatrixWatcher, show, table
from selab.report.model import Report
from selab.report.words import verdict_in_words
from tests.unit.documents import CLASSIFIED, report
from tests.unit.matrix.fakes import ended

from .test_html import HOSTILE, Tags
from .test_junit import schema

RIGHT = ended(verdict="PASS", denials=[])
EXPECTED = ended(policy="draft", expected="FAIL", verdict="FAIL", number=1)
WRONG = ended(policy="draft", mode="permissive", verdict="FAIL", number=2)
TOO_GOOD = ended(policy="other", expected="FAIL", verdict="PASS", number=3)
NONE = ended(policy="other", mode="permissive")
ALL = [RIGHT, EXPECTED, WRONG, TOO_GOOD, NONE]


def shown(runs: list[Ended]) -> list[str]:
    console = Console(file=io.StringIO(), width=200, highlight=False)
    console.print(table(runs))
    assert isinstance(console.file, io.StringIO)
    return [" ".join(line.split()) for line in console.file.getvalue().splitlines()]


def report_of(results: list[Ended]) -> Report:
    return report(
        *(result.result.document for result in results if isinstance(result.result, Record)), matrix=results
    )


def pages(results: list[Ended]) -> str:
    return FORMATS["html"].render(report_of(results))


def as_json(results: list[Ended]) -> str:
    return FORMATS["json"].render(report_of(results))


def matrix_junit(results: list[Ended]) -> str:
    return FORMATS["junit"].render(report_of(results))


@pytest.mark.parametrize(
    ("ended_run", "words"),
    [
        (RIGHT, "PASS"),
        (EXPECTED, "FAIL, as expected"),
        (WRONG, "FAIL"),
        (TOO_GOOD, "PASS, not FAIL"),
        (NONE, "ERROR"),
    ],
)
def test_the_verdict_in_words(ended_run: Ended, words: str) -> None:
    assert verdict_in_words(ended_run) == words


def test_the_table_has_a_row_for_each_policy_and_a_column_for_each_mode_and_guest() -> None:
    assert shown(ALL) == [
        "scenario policy enforcing auto permissive auto",
        "web full PASS 0 denials -",
        "web draft FAIL, as expected 1 denial FAIL 1 denial",
        "web other PASS, not FAIL 1 denial ERROR",
    ]


def test_below_the_table_is_why_a_run_did_not_end_as_expected() -> None:
    console = Console(file=io.StringIO(), width=30, highlight=False)
    show([RIGHT, NONE, ended(policy="third")], console)
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert "perm…" in text.splitlines()[0]
    assert text.splitlines()[-5:] == [
        "",
        "web other permissive auto: ERROR",
        "web third enforcing auto: ERROR",
        "  The VM did not come.",
        "  a detail",
    ]


def test_a_run_that_did_not_end_as_expected_can_be_looked_up() -> None:
    console = Console(file=io.StringIO(), width=30, highlight=False)
    show([WRONG], console)
    assert isinstance(console.file, io.StringIO) and isinstance(WRONG.result, Record)
    line = f"web draft permissive auto: FAIL  run {WRONG.result.document.run}"
    assert line in console.file.getvalue().splitlines()


@pytest.mark.parametrize(
    ("result", "colour"),
    [(RIGHT, 32), (EXPECTED, 32), (WRONG, 31), (TOO_GOOD, 31), (NONE, 33)],
    ids=["pass", "expected fail", "fail", "unexpected pass", "error"],
)
def test_only_what_ended_as_expected_is_green(result: Ended, colour: int) -> None:
    console = Console(file=io.StringIO(), width=99, force_terminal=True, color_system="standard")
    console.print(table([result]))
    assert isinstance(console.file, io.StringIO)
    assert f"\x1b[{colour}m{verdict_in_words(result)}" in console.file.getvalue()


def test_on_a_terminal_one_line_has_the_current_step_of_each_run(monkeypatch: pytest.MonkeyPatch) -> None:
    console = Console(file=io.StringIO(), width=200, highlight=False, force_terminal=True)
    lines: list[str] = []
    start, stop = (functools.partial(lines.append, word) for word in ("start", "stop"))
    status = SimpleNamespace(start=start, update=lines.append, stop=stop)
    monkeypatch.setattr(console, "status", lambda text: status)
    watcher = MatrixWatcher(console)
    watcher.planned(2, 2)
    watcher.began(RIGHT.cell, "auto-1 [x]", again=False)
    watcher.doing(RIGHT.cell, "Starting the VM")
    watcher.began(WRONG.cell, "auto-2", again=False)
    watcher.ended(RIGHT)
    watcher.close()
    assert isinstance(console.file, io.StringIO)
    assert "auto-1" not in console.file.getvalue()
    assert lines == [
        "start",
        r"0/2  web full enforcing auto: auto-1 \[x];",
        "0/2  web full enforcing auto: Starting the VM;",
        "0/2  web full enforcing auto: Starting the VM;  web draft permissive auto: auto-2;",
        "1/2  web draft permissive auto: auto-2;",
        "stop",
    ]


def test_the_json_says_what_was_expected_and_what_came() -> None:
    summary = json.loads(as_json(ALL))
    assert summary["exit_code"] == 3
    assert [(run["expected"], run["verdict"], run["right"]) for run in summary["runs"]] == [
        ("PASS", "PASS", True),
        ("FAIL", "FAIL", True),
        ("PASS", "FAIL", False),
        ("FAIL", "PASS", False),
        ("PASS", "ERROR", False),
    ]


def test_the_json_has_each_run_or_why_there_is_none() -> None:
    first, *_, last = json.loads(as_json(ALL))["runs"]
    assert first["run"]["scenario"] == "web0" and (last["run"], last["reasons"]) == (
        None,
        ["The VM did not come.", "a detail"],
    )


def test_the_junit_report_is_valid_and_counts_what_was_not_expected() -> None:
    schema().validate(matrix_junit(ALL))
    suite = ET.fromstring(matrix_junit(ALL))[0]
    assert [suite.get(key) for key in ("tests", "failures", "errors")] == ["5", "2", "1"]
    assert (suite.get("name"), suite.get("time")) == ("selab.matrix", "8.400")


def test_a_case_of_a_matrix_has_the_time_of_its_run_and_the_reasons() -> None:
    suite = ET.fromstring(matrix_junit([WRONG, NONE]))[0]
    assert [dict(case.attrib) for case in suite] == [
        {"classname": "selab.web.draft", "name": "permissive auto", "time": "2.100"},
        {"classname": "selab.web.other", "name": "permissive auto", "time": "0.000"},
    ]
    failure, error = suite[0][0], suite[1][0]
    assert (failure.tag, failure.get("type"), failure.get("message")) == (
        "failure",
        "failure",
        "FAIL: step 'page' failed: no answer",
    )
    assert (error.tag, error.get("type"), error.get("message")) == (
        "error",
        "error",
        "ERROR: The VM did not come.",
    )
    assert error.text == "The VM did not come.\na detail"


def test_the_page_has_the_table_with_links_and_why_a_run_is_missing() -> None:
    made = pages(ALL)
    assert '<h1>Matrix: <span class="verdict ERROR">' in made
    assert made.count('href="#run') == 4 and "The VM did not come. a detail" in made


def test_a_page_without_any_run_is_one() -> None:
    assert "The VM did not come." in pages([NONE])


def test_what_others_have_said_is_text_on_the_page() -> None:
    hostile = ended(verdict="FAIL", policy=HOSTILE, reasons=[HOSTILE])
    made = Tags(pages([hostile, RIGHT]))
    assert (made.tags.count("script"), "\x1b" in made.text) == (1, False)


def test_elsewhere_than_on_a_terminal_progress_is_plain_lines() -> None:
    console = Console(file=io.StringIO(), width=30, highlight=False)
    watcher = MatrixWatcher(console)
    watcher.planned(2, 1)
    watcher.planned(1, 3)
    watcher.planned(2, 1)
    watcher.began(RIGHT.cell, "auto-1 at here", again=False)
    watcher.doing(RIGHT.cell, "Starting the VM")
    watcher.began(RIGHT.cell, "auto-2 at there", again=True)
    watcher.ended(RIGHT)
    watcher.ended(WRONG)
    watcher.close()
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue().splitlines() == [
        "2 runs on 1 worker.",
        "1 run on 3 workers.",
        "2 runs on 1 worker.",
        "web full enforcing auto: in auto-1 at here ...",
        "web full enforcing auto: its worker was lost; it is done again in auto-2 at there",
        "1/2 PASS web full enforcing auto",
        "2/2 FAIL web draft permissive auto  step 'page' failed: no answer",
    ]


def test_the_failure_of_a_case_lists_unexpected_denials_only() -> None:
    text = matrix_junit([ended(verdict="FAIL", **CLASSIFIED)])
    assert "http_port_t" in text and "proc_t" not in text and "shadow_t" not in text

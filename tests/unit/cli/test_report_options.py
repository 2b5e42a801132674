"""The options that select reports, through the program's own entry."""

from __future__ import annotations

import json
import os
import threading
import zlib
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from selab.__main__ import run as selab
from selab.history import History, Record
from selab.matrix import coordinate
from selab.project import Project
from selab.report.formats import FORMATS
from selab.run import experiment
from selab.run.document import RunDocument
from selab.workflows import learn as learning
from tests.unit.documents import document, report
from tests.unit.matrix.fakes import ended

TE = "policy_module(web, 1.0)\ncontainer_domain_template(web)\n"
OLD, NEW = document(run="old", denials=[]), document(run="new", denials=[])

Capture = pytest.CaptureFixture[str]


def stored(project: Project, *runs: RunDocument) -> None:
    for run in runs:
        History.of(project).keep(Record(run, {"te": TE}, {}, zlib.compress(b"a line")))


@pytest.fixture
def lab(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project with two runs, the directory in which the test works."""
    monkeypatch.chdir(project.root)
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    stored(project, OLD, NEW)
    return project


text_formats = pytest.mark.parametrize("name", [name for name, entry in FORMATS.items() if entry.terminal])
each = pytest.mark.parametrize("name", FORMATS)


@each
@pytest.mark.parametrize("command", ["show", "report"])
def test_a_report_is_all_there_is_on_standard_output(
    lab: Project, capsys: Capture, command: str, name: str
) -> None:
    assert selab([command, "new", "--format", name]) == 0
    assert capsys.readouterr().out.startswith(FORMATS[name].render(report(NEW, te=TE))[:60])


@text_formats
def test_a_file_holds_what_standard_output_would(lab: Project, capsys: Capture, name: str) -> None:
    file = lab.root / "report"
    assert selab(["report", "--format", name, "-o", str(file)]) == 0
    assert file.read_text() == FORMATS[name].render(report(NEW, te=TE))
    assert capsys.readouterr().out == f"{file} is written: 1 run.\n"


@each
def test_the_files_suffix_selects_the_format(lab: Project, name: str) -> None:
    file = lab.root / f"report{FORMATS[name].suffix}"
    assert selab(["report", "-o", str(file)]) == 0
    assert FORMATS[name].mark in file.read_text()


def test_several_runs_are_one_document(lab: Project, capsys: Capture) -> None:
    selab(["report", "new", "old", "new", "--format", "json"])
    made = json.loads(capsys.readouterr().out)
    assert (made["schema"], [run["run"] for run in made["runs"]]) == (1, ["old", "new"])


def test_one_run_is_the_object_that_show_prints(lab: Project, capsys: Capture) -> None:
    selab(["show", "--json"])
    shown = capsys.readouterr().out
    selab(["report", "--format", "json"])
    assert capsys.readouterr().out == shown == NEW.as_json() + "\n"


def test_files_are_written_beside_the_summary(lab: Project, capsys: Capture) -> None:
    files = {name: lab.root / f"{name}.out" for name in ("junit", "sarif", "html")}
    words = [word for name, file in files.items() for word in (f"--{name}", str(file))]
    assert selab(["show", *words]) == 0
    assert all(FORMATS[name].mark in file.read_text() for name, file in files.items())
    assert "FAIL" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["report"], "Nothing says which report"),
        (["report", "-o", "report.pdf"], "one of these suffixes: .html, .xml, .sarif"),
        (["report", "-o", "-"], "Say --format NAME"),
        (["show", "--json", "--format", "junit"], "Only one report"),
        (["show", "--raw", "--json"], "--raw and a report"),
        (["show", "--format", "pdf"], "'pdf' is not one of"),
    ],
    ids=str,
)
def test_wrong_usage_is_said(lab: Project, capsys: Capture, words: list[str], message: str) -> None:
    assert selab(words) == 2
    assert message in capsys.readouterr().err


def test_a_page_is_not_printed_on_a_terminal(
    lab: Project, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    assert selab(["report", "--format", "html"]) == 2
    assert "`-o report.html`" in capsys.readouterr().err


# --- existing files -----------------------------------------------------------------


@each
def test_a_file_that_selab_did_not_write_is_kept(lab: Project, capsys: Capture, name: str) -> None:
    file = lab.root / "mine"
    file.write_text("mine")
    assert selab(["report", "--format", name, "-o", str(file)]) == 2
    assert file.read_text() == "mine" and "selab has not written" in capsys.readouterr().err


@pytest.mark.parametrize("content", ["", FORMATS["markdown"].render(report(OLD))], ids=["empty", "own"])
def test_an_empty_file_and_selabs_own_are_overwritten(lab: Project, content: str) -> None:
    file = lab.root / "summary.md"
    file.write_text(content)
    assert selab(["report", "-o", str(file)]) == 0
    assert "run `new`" in file.read_text()


def test_force_overwrites_any_file(lab: Project) -> None:
    file = lab.root / "mine.md"
    file.write_text("mine")
    assert selab(["report", "-o", str(file), "--force"]) == 0
    assert "mine" not in file.read_text()


def test_a_short_form_for_a_ci_system_overwrites_what_is_there(lab: Project) -> None:
    file = lab.root / "junit.xml"
    file.write_text("mine")
    assert selab(["show", "--junit", str(file)]) == 0
    assert file.read_text() == FORMATS["junit"].render(report(NEW, te=TE))


def test_a_pipe_is_written_to_and_not_replaced(lab: Project) -> None:
    pipe, received = lab.root / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: received.append(pipe.read_text()))
    reader.start()
    assert selab(["report", "--format", "json", "-o", str(pipe)]) == 0
    reader.join(10)
    assert received == [NEW.as_json() + "\n"] and pipe.is_fifo()


# --- the commands that do something first -----------------------------------------------------------


@pytest.fixture
def runs(lab: Project, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[str]]:
    """Let `selab run web` end with a verdict; the words of the command."""

    def ends(verdict: str) -> list[str]:
        run = document(run="now", verdict=verdict, denials=[])
        (lab.scenarios / "web.yaml").write_text("image: x:y\n")
        done = SimpleNamespace(verdict=run.verdict)

        def judge(*given: Any) -> SimpleNamespace:
            given[-1](done)
            return done

        monkeypatch.setattr(experiment, "run", judge)
        monkeypatch.setattr(History, "add", lambda history, result: (stored(lab, run), run)[1])
        return ["run", "web", "--policy", "none"]

    return ends


@pytest.mark.parametrize(("verdict", "code"), [("PASS", 0), ("FAIL", 1), ("ERROR", 3)])
def test_a_runs_exit_code_is_its_verdicts(
    runs: Callable[[str], list[str]], capsys: Capture, verdict: str, code: int
) -> None:
    assert selab([*runs(verdict), "--format", "markdown"]) == code
    assert f"## `web`: {verdict}" in capsys.readouterr().out


def test_a_run_is_annotated_in_github_actions(
    runs: Callable[[str], list[str]], capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    selab([*runs("FAIL"), "--json"])
    shown = capsys.readouterr()
    assert json.loads(shown.out)["run"] == "now"
    assert shown.err.count("::error file=policies/web.te") == 2


@pytest.mark.parametrize("command", ["run", "learn"])
def test_nothing_is_run_if_the_report_could_not_be_written(
    lab: Project, capsys: Capture, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    def unexpected(*given: object, **more: object) -> None:
        raise AssertionError("something was run")

    monkeypatch.setattr(experiment, "run", unexpected)
    monkeypatch.setattr(learning, "learn", unexpected)
    (lab.root / "mine.html").write_text("mine")
    assert selab([command, "web", "--html", "mine.html"]) == 2
    assert "selab has not written" in capsys.readouterr().err


def test_learn_reports_the_runs_of_all_rounds(
    lab: Project, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = learning.LearnResult((), (OLD, NEW), ())
    monkeypatch.setattr(learning, "learn", lambda *given, **more: result)
    assert selab(["learn", "web", "--format", "junit"]) == 1
    shown = capsys.readouterr()
    assert shown.out.count("<testsuite ") == 2 and shown.out.startswith("<?xml")
    assert "round 2" in shown.err


RESULTS = [ended(verdict="PASS", denials=[]), ended(policy="draft", verdict="FAIL", number=1)]


@pytest.fixture
def matrix(lab: Project, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The words that run a matrix which ends with RESULTS."""
    for result in RESULTS:
        assert isinstance(result.result, Record)
        History.of(lab).keep(result.result)
    outcome: Any = SimpleNamespace(ended=RESULTS, removed={}, used=[])
    monkeypatch.setattr(coordinate, "run_matrix", lambda *given: outcome)
    (lab.root / "matrix.yaml").write_text("scenarios: [web]\n")
    return ["matrix"]


@pytest.mark.parametrize("name", [name for name, entry in FORMATS.items() if entry.matrix])
def test_a_matrix_is_one_report(matrix: list[str], capsys: Capture, name: str) -> None:
    assert selab([*matrix, "--format", name]) == 1
    assert FORMATS[name].mark in capsys.readouterr().out[:400]


@pytest.mark.parametrize("name", [name for name, entry in FORMATS.items() if not entry.matrix])
def test_a_format_that_has_no_place_for_a_matrix_says_so_in_three_lines(
    matrix: list[str], capsys: Capture, name: str
) -> None:
    assert selab([*matrix, "--format", name]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3 and f"The format {name} " in lines[0]

"""`selab minimise`: its exit code, what it shows, and when it writes the policy."""

from __future__ import annotations

import pytest

from selab.project import Project
from selab.workflows.minimise import Minimum
from tests.unit.documents import document

from .conftest import Selab

BEFORE, AFTER = "policy_module(web, 1.0)\nallow web_t self:fd use;\n", "policy_module(web, 1.0)\n"
NEEDED = (("allow web_t etc_t:file read;", "web_t etc_t:file read"),)


@pytest.fixture(params=[True, False], ids=["complete", "out of runs"])
def complete(request: pytest.FixtureRequest, project: Project, monkeypatch: pytest.MonkeyPatch) -> bool:
    (project.policies / "web.te").write_text(BEFORE)
    run = document(verdict="PASS", denials=[], reasons=["fine"])
    result = Minimum("web", BEFORE, AFTER, ("allow web_t self:fd use;",), NEEDED, (run,), 7, request.param)
    monkeypatch.setattr("selab.workflows.minimise.minimise", lambda *words, **options: (result,))
    return bool(request.param)


def test_only_a_complete_search_ends_with_0(selab: Selab, complete: bool) -> None:
    assert selab("minimise", "web", "--apply") == (0 if complete else 1)


def test_a_search_that_an_error_ended_ends_with_3(
    selab: Selab, project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (project.policies / "web.te").write_text(BEFORE)
    run = document(verdict="ERROR", denials=[], reasons=["The guest's answer makes no sense."])
    result = Minimum("web", BEFORE, BEFORE, (), NEEDED, (run,), 7, False)
    monkeypatch.setattr("selab.workflows.minimise.minimise", lambda *words, **options: (result,))
    assert selab("minimise", "web") == 3
    shown = " ".join(capsys.readouterr().out.split())
    assert "the search ended: The guest's answer makes no sense." in shown and "--runs" not in shown


def test_each_part_that_is_left_has_its_reason(
    selab: Selab, complete: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    selab("minimise", "web", "--apply")
    shown = capsys.readouterr().out
    assert NEEDED[0][0] in shown and NEEDED[0][1] in shown
    assert ("--runs" in shown) is not complete


@pytest.mark.parametrize(("words", "text"), [(("--apply",), AFTER), ((), BEFORE)])
def test_the_policy_is_written_only_on_request(
    selab: Selab, complete: bool, project: Project, words: tuple[str, ...], text: str
) -> None:
    selab("minimise", "web", *words)
    assert (project.policies / "web.te").read_text() == text

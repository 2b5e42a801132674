"""A draft at the end of `selab learn` and `minimise`: when it is written, and how its runs are shown."""

from __future__ import annotations

import sys
from typing import Any

import click
import pytest

from selab.cli.drafts import offer, show_runs
from selab.cli.session import Context
from selab.errors import InputError
from selab.project import Project
from tests.unit.documents import document

BEFORE, AFTER = "policy_module(web, 1.0)\n", "policy_module(web, 1.1)\n"


@pytest.fixture
def context(project: Project) -> Context:
    (project.policies / "web.te").write_text(BEFORE)
    return Context(project.root)


@pytest.fixture
def questions(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A terminal, on which each question gets `answer`."""
    state: dict[str, Any] = {"answer": False, "texts": []}

    def confirm(text: str, **options: object) -> bool:
        state["texts"].append(text)
        return bool(state["answer"])

    monkeypatch.setattr(click, "confirm", confirm)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    return state


def policy(context: Context) -> str:
    return (context.project.policies / "web.te").read_text()


@pytest.mark.parametrize(("answer", "text"), [(True, AFTER), (False, BEFORE)])
def test_on_a_terminal_the_answer_decides(
    context: Context, questions: dict[str, Any], answer: bool, text: str
) -> None:
    questions["answer"] = answer
    offer(context, "web", BEFORE, AFTER, apply=False)
    assert (policy(context), questions["texts"]) == (text, ["Write web.te?"])


def test_with_apply_no_question_is_asked_and_the_old_file_is_kept(
    context: Context, questions: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    offer(context, "web", BEFORE, AFTER, apply=True)
    assert (policy(context), questions["texts"]) == (AFTER, [])
    (backup,) = [path for path in context.project.policies.iterdir() if path.read_text() == BEFORE]
    assert backup.name in capsys.readouterr().out


def test_without_a_terminal_nothing_is_written(
    context: Context, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False)
    offer(context, "web", BEFORE, AFTER, apply=False)
    assert policy(context) == BEFORE
    assert capsys.readouterr().out == "web.te is unchanged; --apply writes it.\n"


def test_an_unchanged_policy_is_neither_written_nor_asked_about(
    context: Context, questions: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    offer(context, "web", BEFORE, BEFORE, apply=True)
    assert (questions["texts"], capsys.readouterr().out) == ([], "")
    assert len(list(context.project.policies.iterdir())) == 1


def test_a_policy_that_was_saved_meanwhile_stays(context: Context) -> None:
    (context.project.policies / "web.te").write_text("saved meanwhile")
    with pytest.raises(InputError, match="changed"):
        offer(context, "web", BEFORE, AFTER, apply=True)
    assert policy(context) == "saved meanwhile"


def test_each_run_has_its_mode_its_verdict_and_its_first_reason(
    context: Context, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = document(mode="permissive", verdict="PASS", reasons=["fine"], run="r1"), document(run="r2")
    show_runs("round", runs, context)
    assert capsys.readouterr().out.splitlines() == [
        "round 1  permissive  PASS   fine  run r1",
        "round 2  enforcing   FAIL   step 'page' failed: no answer  run r2",
    ]

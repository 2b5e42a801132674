"""Learning without a VM: which rounds are run, what is asked for, and when a policy counts as learned."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from selab.advice.advise import Advice
from selab.analysis.suggest import Suggestion
from selab.errors import SelabError
from selab.policy.guest.load import Mode
from selab.policy.query.decide import Cause
from selab.progress import Progress
from selab.project import Project
from selab.run import experiment
from selab.run.document import RunDocument
from selab.run.request import Request, RunOptions
from selab.workflows import learn as learning
from selab.workflows.learn import LearnResult, learn
from tests.unit.advice.conftest import need
from tests.unit.documents import SETTLED, document

BEFORE, AFTER = "policy_module(web, 1.0)\n", "policy_module(web, 1.0)\nallow web_t self:fd use;\n"
PASSED = {"verdict": "PASS", "denials": [], "reasons": ["fine"]}
LEFT = Advice(need("web_t", "shadow_t", "file", "read"), "it is dangerous", Cause.RULE, ())


@pytest.fixture
def drafted(project: Project) -> Project:
    """A project with a scenario and its draft."""
    (project.policies / "web.te").write_text(BEFORE)
    (project.scenarios / "web.yaml").write_text("image: registry.test/x:1\npolicy: web\n")
    return project


Learned = Callable[..., LearnResult]


@pytest.fixture
def learned(drafted: Project, monkeypatch: pytest.MonkeyPatch) -> Learned:
    """Learn from runs with these documents and suggested policies: learned((PASSED, BEFORE), ...)."""

    def learned(*rounds: tuple[dict[str, Any], str], **options: Any) -> LearnResult:
        answers: Iterator[tuple[dict[str, Any], str]] = iter(rounds)
        after: list[str] = []

        def run(project: Project, machine: object, request: Request, progress: Progress) -> RunDocument:
            fields, text = next(answers)
            after.append(text)
            return document(mode=request.mode, **fields)

        def suggest(project: Project, stored: object, progress: Progress, *, risky: bool) -> Suggestion:
            te = project.policies / "web.te"
            left = () if risky else (LEFT,)
            return Suggestion(te, "", te.read_text(), after[-1], left)

        monkeypatch.setattr(learning, "run_and_keep", run)
        monkeypatch.setattr(learning, "suggestion", suggest)
        monkeypatch.setattr(
            learning,
            "History",
            SimpleNamespace(
                of=lambda project: SimpleNamespace(find=lambda name: SimpleNamespace(recorded=None))
            ),
        )
        monkeypatch.setattr(
            learning, "replay_offline", lambda *words: SimpleNamespace(in_words=lambda: "1 of 1 denial")
        )
        return learn(drafted, None, "web", None, Progress(), **options)  # type: ignore[arg-type]

    return learned


def modes(result: LearnResult) -> list[Mode]:
    return [run.mode for run in result.runs]


@pytest.mark.parametrize(
    ("mode", "fields", "passed"),
    [
        ("enforcing", PASSED, True),
        ("permissive", PASSED, False),
        ("domain", PASSED, False),
        ("enforcing", {"verdict": "PASS"}, False),
        ("enforcing", {"verdict": "FAIL", "denials": []}, False),
        ("enforcing", {"verdict": "ERROR", "denials": []}, False),
        ("enforcing", SETTLED, True),
    ],
    ids=["enforcing", "permissive", "domain", "an unexpected denial", "fail", "error", "settled"],
)
def test_a_policy_is_learned_by_an_enforcing_run_without_an_unexpected_denial(
    mode: str, fields: dict[str, Any], passed: bool
) -> None:
    assert LearnResult("web", (document(mode=mode, **fields),), "", "", ()).passed is passed


def test_the_last_run_decides() -> None:
    runs = (document(**PASSED), document())
    assert LearnResult("web", runs, "", "", ()).passed is False


def test_an_enforcing_round_follows_a_permissive_round_in_which_nothing_grew(learned: Learned) -> None:
    assert modes(learned((PASSED, BEFORE), (PASSED, BEFORE))) == [Mode.PERMISSIVE, Mode.ENFORCING]


def test_rounds_go_on_while_the_policy_grows(learned: Learned) -> None:
    result = learned(({}, AFTER), ({}, AFTER + "# more\n"), (PASSED, AFTER + "# more\n"))
    assert (len(result.runs), result.before, result.after) == (3, BEFORE, AFTER + "# more\n")


def test_rounds_end_at_an_error(learned: Learned) -> None:
    assert len(learned(({"verdict": "ERROR"}, AFTER)).runs) == 1


def test_rounds_are_limited(learned: Learned) -> None:
    assert len(learned(*[({}, f"{BEFORE}# {number}\n") for number in range(9)], rounds=4).runs) == 4


@pytest.mark.parametrize(("risky", "left"), [(False, (LEFT,)), (True, ())])
def test_dangerous_rules_are_added_only_on_request(
    learned: Learned, risky: bool, left: tuple[Advice, ...]
) -> None:
    assert learned(({}, BEFORE), ({}, BEFORE), risky=risky).left == left


def test_the_users_file_is_not_written(learned: Learned, drafted: Project) -> None:
    learned(({}, AFTER), (PASSED, AFTER))
    assert (drafted.policies / "web.te").read_text() == BEFORE


def test_a_round_is_timed_by_itself(drafted: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    progress, timings = Progress(), []

    def run(project: Project, machine: object, request: Request, progress: Progress, _: RunOptions) -> None:
        timings.append(dict(progress.timings))
        raise SelabError("That is enough.")

    monkeypatch.setattr(experiment, "run", run)
    with progress.step("Starting the container of an earlier round", "container"):
        pass
    with pytest.raises(SelabError, match="enough"):
        learn(drafted, None, "web", None, progress)  # type: ignore[arg-type]
    assert timings == [{}]


def test_rounds_end_at_a_pass_with_tolerated_denials(learned: Learned) -> None:
    result = learned((SETTLED, BEFORE), (SETTLED, BEFORE))
    assert modes(result) == [Mode.PERMISSIVE, Mode.ENFORCING] and result.passed

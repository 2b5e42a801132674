"""Learning without a VM: which rounds are run, what is asked for, and when a policy counts as learned."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from selab.advice.advise import Advice
from selab.analysis.suggest import Suggestion
from selab.errors import InputError, SelabError
from selab.policy.guest.load import Mode
from selab.policy.query.decide import Cause
from selab.progress import Progress
from selab.project import Project, ProjectConfig, VmConfig
from selab.run import experiment
from selab.run.document import RunDocument
from selab.run.request import Request, RunOptions
from selab.workflows import learn as learning
from selab.workflows.drafts import Change
from selab.workflows.learn import LearnResult, learn
from tests.unit.advice.conftest import need
from tests.unit.documents import SETTLED, document
from tests.unit.fakes import Notes

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
def notes() -> list[str]:
    """The notes of what `learned` has done."""
    return []


@pytest.fixture
def learned(drafted: Project, notes: list[str], monkeypatch: pytest.MonkeyPatch) -> Learned:
    """Learn from runs with these documents and suggestions: learned((PASSED, BEFORE, left), ...)."""

    def learned(*rounds: tuple[Any, ...], **options: Any) -> LearnResult:
        answers: Iterator[tuple[Any, ...]] = iter(rounds)
        suggestions: list[tuple[str, tuple[Advice, ...]]] = []
        machine, progress, numbers = object(), Notes(), iter("abcdefghi")
        stored: dict[str, SimpleNamespace] = {}
        copy = drafted.state / "drafts" / "web"

        def run(project: Project, machine_of_run: object, request: Request, of_run: Progress) -> RunDocument:
            assert (project.policies, machine_of_run, of_run) == (copy, machine, progress)
            assert (request.scenario, request.policy) == ("web", None)
            fields, text, *left = next(answers)
            suggestions.append((text, *left) if left else (text, (LEFT,)))
            made = document(run=next(numbers), mode=request.mode, **fields)
            stored[made.run] = SimpleNamespace(recorded=f"the records of {made.run}")
            return made

        def suggest(
            project: Project, of: object, of_suggestion: Progress, *, risky: bool
        ) -> list[Suggestion]:
            assert (project.policies, of, of_suggestion) == (copy, [*stored.values()][-1], progress)
            te = project.policies / "web.te"
            after, left = suggestions[-1]
            return [Suggestion(te, "", te.read_text(), after, () if risky else left)]

        def replay(
            project: Project, records: object, policies: Sequence[str], of_replay: Progress
        ) -> SimpleNamespace:
            assert (project.policies, records) == (copy, [*stored.values()][-1].recorded)
            assert (policies, of_replay) == (["web"], progress)
            return SimpleNamespace(in_words=lambda: f"1 of {len(stored)}")

        history = SimpleNamespace(find=stored.__getitem__)
        monkeypatch.setattr(learning, "run_and_keep", run)
        monkeypatch.setattr(learning, "suggestions", suggest)
        monkeypatch.setattr(learning, "History", SimpleNamespace(of=lambda project: history))
        monkeypatch.setattr(learning, "replay_offline", replay)
        result = learn(drafted, machine, "web", None, progress, **options)  # type: ignore[arg-type]
        notes.extend(progress.notes)
        return result

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
    assert LearnResult((), (document(mode=mode, **fields),), ()).passed is passed


def test_the_last_run_decides() -> None:
    runs = (document(**PASSED), document())
    assert LearnResult((), runs, ()).passed is False


def test_an_enforcing_round_follows_a_permissive_round_in_which_nothing_grew(learned: Learned) -> None:
    assert modes(learned((PASSED, BEFORE), (PASSED, BEFORE))) == [Mode.PERMISSIVE, Mode.ENFORCING]


def test_rounds_go_on_while_the_policy_grows(learned: Learned) -> None:
    result = learned(({}, AFTER), ({}, AFTER + "# more\n"), (PASSED, AFTER + "# more\n"))
    assert len(result.runs) == 3
    assert result.changes == (Change("web", BEFORE, AFTER + "# more\n"),)


def test_another_policy_than_the_scenarios_can_be_learned(drafted: Project) -> None:
    with pytest.raises(InputError, match="app"):
        learn(drafted, None, "web", "app", Progress())  # type: ignore[arg-type]


def test_a_policy_is_learned_only_for_a_scenario_with_a_candidate(project: Project) -> None:
    (project.scenarios / "web.yaml").write_text("image: registry.test/x:1\n")
    with pytest.raises(InputError, match="candidate to learn for"):
        learn(project, None, "web", None, Progress())  # type: ignore[arg-type]


def test_rounds_end_at_an_error(learned: Learned) -> None:
    assert len(learned(({"verdict": "ERROR"}, AFTER)).runs) == 1


def test_rounds_are_limited(learned: Learned) -> None:
    assert len(learned(*[({}, f"{BEFORE}# {number}\n") for number in range(9)], rounds=4).runs) == 4


@pytest.mark.parametrize(
    ("options", "left"), [({}, (LEFT,)), ({"risky": False}, (LEFT,)), ({"risky": True}, ())]
)
def test_dangerous_rules_are_added_only_on_request(
    learned: Learned, options: dict[str, bool], left: tuple[Advice, ...]
) -> None:
    assert learned(({}, BEFORE), ({}, BEFORE), **options).left == left


@pytest.mark.parametrize(("verdict", "left"), [("PASS", ()), ("FAIL", (LEFT,))], ids=["passed", "failed"])
def test_denials_of_an_earlier_round_are_left_unless_the_last_round_passes(
    learned: Learned, verdict: str, left: tuple[Advice, ...]
) -> None:
    """A failed run may end before it comes to the access that was denied in the round before."""
    assert learned(({}, AFTER), ({"verdict": verdict}, AFTER, ())).left == left


def test_each_round_that_adds_rules_notes_what_they_would_allow(learned: Learned, notes: list[str]) -> None:
    learned(({}, BEFORE), ({}, AFTER), ({}, AFTER))
    assert ["1 of 2" in note for note in notes] == [True]


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


class Began(Exception):
    """The first run begins; its argument is what `vm.base` is then."""


def test_the_guests_own_base_policy_answers_between_runs(
    drafted: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`vm.base` is for commands without a VM."""

    def run(project: Project, *words: object) -> RunDocument:
        raise Began(project.config.vm.base)

    monkeypatch.setattr(learning, "run_and_keep", run)
    chosen = replace(drafted, config=ProjectConfig(vm=VmConfig(base="centos9")))
    with pytest.raises(Began, match="^$"):
        learn(chosen, None, "web", None, Progress())  # type: ignore[arg-type]

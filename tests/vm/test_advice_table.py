"""Compare selab's advice with that of documentation and public answers: right, wrong, or no answer."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest

from selab.advice.advise import Advice, Situation, Volume, advise
from selab.advice.denied_access import DeniedAccess
from selab.advice.knowledge import PolicyKnowledge
from selab.advice.remedy import Kind
from selab.analysis.explain import causes_of
from selab.analysis.offline import candidate_of
from selab.container.label import runtime_file_type
from selab.policy.query.decide import Cause
from selab.progress import Progress
from selab.project import Project
from selab.run import experiment
from selab.run.request import NO_POLICY

TABLE = Path(__file__).with_name("advice_table.toml")
ADVICE = Path(__file__).parents[2] / "docs" / "explanation" / "advice.md"
_DENIAL = re.compile(r"(?P<source>\S+) (?P<target>\S+):(?P<tclass>\w+) \{?(?P<permissions>[\w ]+?) *\}?$")


def context(name: str, role: str) -> str:
    return name if ":" in name else f"system_u:{role}:{name}:s0"


def need_of(number: int, row: dict[str, Any]) -> DeniedAccess:
    denial = _DENIAL.fullmatch(row["ask"])
    assert denial, row
    source = context(denial["source"], "system_r")
    target = source if denial["target"] == "self" else context(denial["target"], "object_r")
    levels = [each.split(":", 3)[3] for each in (source, target)]
    types = [each.split(":")[2] for each in (source, target)]
    apart = (
        denial["tclass"] in ("file", "dir")
        and all(":" in level for level in levels)
        and levels[0] != levels[1]
    )
    return DeniedAccess(
        number, *types, denial["tclass"], frozenset(denial["permissions"].split()), "", row.get("path", ""),
        row.get("detail", ""), separated=apart, contexts=((source, target),),
    )  # fmt: skip


def matches(expected: str, advice: Advice) -> bool:
    """Return whether the advice is the expected one, or one of the expected ones."""
    kind, _, names = expected.partition(" ")
    causes = {"mcs": Cause.MCS, "constraint": Cause.CONSTRAINT}
    if kind in causes:
        return advice.cause is causes[kind]
    if kind == "nnp":
        return advice.stopped.startswith("no-new-privileges")
    if advice.best is None:
        return False
    if kind == "rule":
        return advice.best.kind in (Kind.RULE, Kind.INTERFACE)
    if kind == "port":
        return any(f" -t {name} " in advice.best.text for name in names.split("|"))
    if advice.best.kind != {"label": "relabel"}.get(kind, kind):
        return False
    return not names or any(
        fnmatch(re.split(r"[ (]", advice.best.text.removeprefix("setsebool -P "))[0], name)
        for name in names.split("|")
    )


def outcome(row: dict[str, Any], advice: Advice) -> str:
    if advice.allowed_now:
        return "allowed"
    if advice.cause is Cause.UNKNOWN or advice.best is None:
        return "no answer"
    expected = [row["expect"]] if isinstance(row["expect"], str) else row["expect"]
    return "right" if any(matches(remedy, advice) for remedy in expected) else "wrong"


def answers(project: Project) -> list[tuple[dict[str, Any], Advice]]:
    """Return each row with selab's advice under the base policy of the project's last run."""
    candidate = candidate_of(project, NO_POLICY, Progress(), "Advice")
    expert = PolicyKnowledge.of(candidate.base, candidate.modules)
    rows = tomllib.loads(TABLE.read_text())["denial"]
    answered = []
    for row, need in zip(rows, map(need_of, range(1, len(rows) + 1), rows), strict=True):
        volumes = tuple(Volume(target) for target in row.get("volumes", ()))
        situation = Situation(
            row.get("domain", ""), volumes, runtime_file_type(candidate.base.directory / "contexts")
        )
        advised = advise([need], expert, causes_of(candidate.linked, [need]), situation)
        answered += [(row, advice) for advice in advised]
    return answered


@pytest.fixture(scope="module")
def outcomes(project: Project, session_run: Callable[..., experiment.Run]) -> Counter[str]:
    session_run("apache", mode="permissive")
    return Counter(outcome(row, advice) for row, advice in answers(project))


def test_as_many_answers_are_right_as_the_documentation_says(outcomes: Counter[str]) -> None:
    documented = re.search(
        r"(\d+) denials: (\d+) right, (\d+) wrong, (\d+) without an answer; (\d+) are allowed",
        ADVICE.read_text(),
    )
    counted = (
        outcomes.total(),
        outcomes["right"],
        outcomes["wrong"],
        outcomes["no answer"],
        outcomes["allowed"],
    )
    assert documented and tuple(map(int, documented.groups())) == counted

"""What selab advises beside what somebody who knows the reference policy says: right, wrong, or no answer."""

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
_ASK = re.compile(r"(?P<source>\S+) (?P<target>\S+):(?P<tclass>\w+) \{?(?P<permissions>[\w ]+?) *\}?$")


def context(name: str, role: str) -> str:
    return name if ":" in name else f"system_u:{role}:{name}:s0"


def need_of(number: int, row: dict[str, Any]) -> DeniedAccess:
    asked = _ASK.fullmatch(row["ask"])
    assert asked, row
    source = context(asked["source"], "system_r")
    target = source if asked["target"] == "self" else context(asked["target"], "object_r")
    levels = [one.split(":", 3)[3] for one in (source, target)]
    types = [one.split(":")[2] for one in (source, target)]
    apart = (
        asked["tclass"] in ("file", "dir")
        and all(":" in level for level in levels)
        and levels[0] != levels[1]
    )
    return DeniedAccess(
        number, *types, asked["tclass"], frozenset(asked["permissions"].split()), "", row.get("path", ""), row.get("detail", ""),
        separated=apart, contexts=((source, target),),
    )  # fmt: skip


def matches(expected: str, found: Advice) -> bool:
    """Whether the advice says what is expected, in one of the ways that are given."""
    kind, _, names = expected.partition(" ")
    causes = {"mcs": Cause.MCS, "constraint": Cause.CONSTRAINT}
    if kind in causes:
        return found.cause is causes[kind]
    if kind == "nnp":
        return found.stopped.startswith("no-new-privileges")
    if found.best is None:
        return False
    if kind == "rule":
        return found.best.kind in (Kind.RULE, Kind.INTERFACE)
    if kind == "port":
        return any(f" -t {name} " in found.best.text for name in names.split("|"))
    if found.best.kind != {"label": "relabel"}.get(kind, kind):
        return False
    return not names or any(
        fnmatch(re.split(r"[ (]", found.best.text.removeprefix("setsebool -P "))[0], name)
        for name in names.split("|")
    )


def outcome(row: dict[str, Any], found: Advice) -> str:
    if found.allowed_now:
        return "allowed"
    if found.cause is Cause.UNKNOWN or found.best is None:
        return "no answer"
    expected = [row["expect"]] if isinstance(row["expect"], str) else row["expect"]
    return "right" if any(matches(one, found) for one in expected) else "wrong"


def answers(project: Project) -> list[tuple[dict[str, Any], Advice]]:
    """Each row with what selab advises, asked of the base policy of the project's last run."""
    candidate = candidate_of(project, NO_POLICY, Progress(), "Advice")
    expert = PolicyKnowledge.of(candidate.base, candidate.modules)
    rows = tomllib.loads(TABLE.read_text())["denial"]
    found = []
    for row, need in zip(rows, map(need_of, range(1, len(rows) + 1), rows), strict=True):
        volumes = tuple(Volume(target) for target in row.get("volumes", ()))
        situation = Situation(
            row.get("domain", ""), volumes, runtime_file_type(candidate.base.directory / "contexts")
        )
        found += [
            (row, one) for one in advise([need], expert, causes_of(candidate.linked, [need]), situation)
        ]
    return found


@pytest.fixture(scope="module")
def outcomes(project: Project, session_run: Callable[..., experiment.Run]) -> Counter[str]:
    session_run("apache", mode="permissive")
    return Counter(outcome(row, found) for row, found in answers(project))


def test_as_many_answers_are_right_as_the_documentation_says(outcomes: Counter[str]) -> None:
    said = re.search(
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
    assert said and tuple(map(int, said.groups())) == counted

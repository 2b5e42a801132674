"""`selab diff` compares two runs and their policies."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from selab.history import History, Record
from selab.policy.module import PolicyModule
from selab.project import Project
from tests.unit.documents import CLASSIFIED, MISSING, SETTLED, SEVERAL, document
from tests.unit.test_history import finished
from tests.unit.workloads import planned

from .conftest import Selab

Capture = pytest.CaptureFixture[str]


def test_a_denial_that_stays_is_shown_without_a_sign(selab: Selab, runs: list[str], capsys: Capture) -> None:
    assert selab("diff") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == [runs[0], "FAIL", "->", runs[1], "FAIL"]
    assert [line.split()[0] for line in lines if "etc_t" in line] == ["web_t"]


def test_the_change_of_the_policy_is_shown(
    selab: Selab, runs: list[str], project: Project, capsys: Capture
) -> None:
    run = finished(3)
    module = PolicyModule("web", Path(), {"te": b"policy_module(web, 1.1)\n"})
    plan = dataclasses.replace(run.plan, containers=planned(run.plan.scenario, module))
    History.of(project).add(dataclasses.replace(run, plan=plan))
    selab("diff")
    lines = capsys.readouterr().out.splitlines()
    assert "-policy_module(web, 1.0)" in lines and "+policy_module(web, 1.1)" in lines


@pytest.mark.parametrize(
    ("before", "after", "sign"),
    [({"fc": "/srv"}, {}, "-"), ({}, {"fc": "/srv"}, "+")],
    ids=["removed", "added"],
)
def test_a_source_that_only_one_of_the_runs_has_is_shown(
    selab: Selab,
    project: Project,
    capsys: Capture,
    before: dict[str, str],
    after: dict[str, str],
    sign: str,
) -> None:
    for name, sources in (("a", before), ("b", after)):
        History.of(project).keep(Record(document(run=name), sources, {}, b""))
    assert selab("diff", "a", "b") == 0
    assert f"{sign}/srv" in capsys.readouterr().out.splitlines()


def test_a_first_run_has_nothing_to_be_compared_with(selab: Selab, project: Project, capsys: Capture) -> None:
    History.of(project).add(finished(1))
    assert selab("diff") == 2
    assert "selab run web" in capsys.readouterr().err


def test_each_denial_says_what_the_scenario_says(selab: Selab, project: Project, capsys: Capture) -> None:
    for name, fields in (("a", SETTLED), ("b", CLASSIFIED)):
        History.of(project).keep(Record(document(run=name, **fields), {}, {}, b""))
    assert selab("diff", "a", "b") == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "tolerated by * -> proc_t:file { read }: it only counts processors" in out
    assert f"expected, but did not occur: {MISSING['entry']}" in out


def test_the_change_of_one_of_several_policies_names_its_file(
    selab: Selab, project: Project, capsys: Capture
) -> None:
    for name, text in (("a", "one\n"), ("b", "two\n")):
        sources = {"web.te": "same\n", "db.te": text}
        History.of(project).keep(Record(document(run=name, **SEVERAL), sources, {}, b""))
    assert selab("diff", "a", "b") == 0
    lines = capsys.readouterr().out.splitlines()
    assert ("--- db.te a" in lines, "+++ db.te b" in lines) == (True, True)
    assert not [line for line in lines if "web.te" in line]

"""The commands that the documentation shows, on the real VM and as they are shown; tests/shown.py says which those are."""

from __future__ import annotations

import io
import sys

import pytest

from selab.__main__ import run as selab
from selab.api import Selab
from selab.project import Project
from tests.shown import ON_A_VM, Shown, shown

NOT_HERE = {
    "--shell": "waits for a person",
    "--keep": "would leave a container to the tests that follow",
    "--apply": "would change the policy that the others run; test_learn.py does it",
    "HEAD": "the example's copy is no repository",
    "audit.log": "is a file of one's own; tests/audit2why.py has such",
    "web": "made on the page that shows it",
    "site": "made on the page that shows it",
    "lab": "a project of its own, with a VM of its own",
}


def can_be_run(line: Shown) -> bool:
    return line.is_one_of(*ON_A_VM) and line.words != ["vm", "ssh"] and NOT_HERE.keys().isdisjoint(line.words)


LINES = sorted(filter(can_be_run, shown()), key=lambda line: line.is_one_of("run"))
"""Those that run something come after those that speak of the last run."""


@pytest.fixture(scope="module")
def denied(selab: Selab) -> None:
    """A run with the denials that `last` is about, and one before it."""
    for _ in range(2):
        selab.run("apache", mode="permissive").assert_fail()


@pytest.mark.parametrize("line", LINES, ids=str)
def test_it_does_what_it_says(
    line: Shown, denied: None, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO()))
    assert selab(["-C", str(project.root), *line.words]) in (0, 1)

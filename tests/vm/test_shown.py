"""Run the commands that the documentation shows, unchanged, on the real VM. tests/shown.py lists them."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Iterator

import pytest

from selab.__main__ import run as selab
from selab.api import Selab
from selab.errors import EXIT_FAIL, EXIT_PASS
from selab.project import Project
from tests.shown import ON_A_VM, ROOT, Shown, shown

CIL_PAGE = ROOT / "docs" / "howto" / "cil.md"
NOT_HERE = {
    "--shell": "waits for a person",
    "--keep": "would leave a container to the tests that follow",
    "--apply": "would change the policy that the others run; test_learn.py does it",
    "HEAD": "needs a repository, which the example's copy is not",
    "apt-get": "would download a package through an opened network",
    "audit.log": "is a file of the reader",
    "web": "is created on the page that shows it",
    "site": "is created on the page that shows it",
    "lab": "is another project, with another VM",
}
"""Words of commands that the test does not run, and the reasons."""


def can_be_run(line: Shown) -> bool:
    return line.is_one_of(*ON_A_VM) and line.words != ["vm", "ssh"] and NOT_HERE.keys().isdisjoint(line.words)


LINES = sorted(filter(can_be_run, shown()), key=lambda line: line.is_one_of("run"))
"""The commands that run a scenario come last: the others are about the last run."""


@pytest.fixture(scope="module")
def denied(selab: Selab, project: Project) -> Iterator[None]:
    """Create two runs with denials, which `last` and `last~1` name, and the policy that a page shows."""
    (policy,) = re.findall(r"^    \(block my_web\n(?:    .*\n)+", CIL_PAGE.read_text(), re.MULTILINE)
    path = project.policies / "my_web.cil"
    path.write_text(policy)
    for _ in range(2):
        selab.run("apache", mode="permissive").assert_fail()
    yield
    path.unlink()


@pytest.mark.parametrize("line", LINES, ids=str)
def test_it_does_what_it_says(
    line: Shown, denied: None, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO()))
    code = selab(["-C", str(project.root), *line.words])
    if line.words == ["check"]:  # it also checks the policies of other tests, and finds faults in some
        assert code in (EXIT_PASS, EXIT_FAIL)
        return
    # The example's policy is incomplete; selab_apache_full is the complete one.
    fails = line.is_one_of("run") and "selab_apache_full" not in line.words
    assert code == (EXIT_FAIL if fails else EXIT_PASS)

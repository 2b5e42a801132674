"""script/branch_coverage.py sums up coverage's report by package."""

from __future__ import annotations

import importlib.util
from pathlib import Path

PATH = Path(__file__).parents[2] / "script" / "branch_coverage.py"
SPEC = importlib.util.spec_from_file_location("branch_coverage", PATH)
assert SPEC and SPEC.loader
branch_coverage = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(branch_coverage)


def module(lines: tuple[int, int], branches: tuple[int, int]) -> dict[str, object]:
    """What coverage reports of a module: what was covered, and how much there is."""
    return {
        "summary": {
            "covered_lines": lines[0],
            "num_statements": lines[1],
            "covered_branches": branches[0],
            "num_branches": branches[1],
            "missing_branches": branches[1] - branches[0],
        }
    }


def test_modules_are_summed_up_by_package() -> None:
    report = {
        "selab/vm/a.py": module((1, 2), (1, 4)),
        "selab/vm/deep/b.py": module((2, 2), (4, 4)),
        "selab/guest.py": module((1, 1), (0, 0)),
    }
    rows = [row.split() for row in branch_coverage.table(report)[1:]]
    assert rows == [
        ["guest", "100.0", "%", "100.0", "%", "0"],
        ["vm", "75.0", "%", "62.5", "%", "3"],
        ["all", "80.0", "%", "62.5", "%", "3"],
    ]

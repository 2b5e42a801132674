"""Prints which share of the lines and branches of each package the unit tests ran: `make unit COVERAGE=1`."""

from __future__ import annotations

import json
import sys
import tempfile
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import coverage


def table(files: dict[str, Any]) -> list[str]:
    """Return the rows of the table from the files of coverage's JSON report."""
    packages: dict[str, Counter[str]] = defaultdict(Counter)
    for path, report in files.items():
        for name in (Path(path).parts[1].removesuffix(".py"), "all"):
            packages[name].update(report["summary"])
    rows = ["package            lines  branches  not taken"]
    for name in sorted(packages, key=lambda name: (name == "all", name)):
        count = packages[name]
        lines = _share(count["covered_lines"], count["num_statements"])
        branches = _share(count["covered_branches"], count["num_branches"])
        rows.append(f"{name:16} {lines}   {branches} {count['missing_branches']:10}")
    return rows


def _share(part: int, total: int) -> str:
    return f"{100 * part / total if total else 100:5.1f} %"


def main(arguments: list[str]) -> None:
    """Print the table of the data file `arguments[0]`."""
    measured = coverage.Coverage(data_file=arguments[0])
    measured.load()
    with tempfile.TemporaryDirectory() as directory:
        report = Path(directory) / "report.json"
        measured.json_report(outfile=str(report))
        print(*table(json.loads(report.read_text())["files"]), sep="\n")


if __name__ == "__main__":
    main(sys.argv[1:])

"""Runs the unit tests on mutants: copies of the code with one fault each, which a test should notice.

By default and with --since, only functions and lines that a change touches are mutated, and a survivor that
tests/equivalent-mutants.toml does not name is an error. --all, or paths such as selab/run, mutate everything.
"""

from __future__ import annotations

import argparse
import fnmatch
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import python_mutants
import shell_mutants
from mutant_results import HEADING, Equivalent, Score, read_equivalents, score
from python_mutants import ROOT, functions_at, mutmut_pattern, settings

EQUIVALENTS = ROOT / "tests" / "equivalent-mutants.toml"
COPIES = ROOT / "mutants"
"""The directory of all copies of the checkout. Git, and the tools that check files, ignore it."""


def mutated_files(places: Iterable[str] = ("selab",)) -> list[str]:
    """Return the modules of `[tool.mutmut]` and the guest scripts that are at or below `places`."""
    patterns = [*settings()["only_mutate"], "selab/*/scripts/*.sh", "selab/export/maintainer/*.sh"]
    paths = [path.relative_to(ROOT).as_posix() for path in sorted((ROOT / "selab").rglob("*"))]
    places = [place.rstrip("/") for place in places]
    return [
        path
        for path in paths
        if any(fnmatch.fnmatch(path, pattern) for pattern in patterns)
        and any(path == place or path.startswith(f"{place}/") for place in places)
    ]


def git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"`git {' '.join(arguments)}` failed: {done.stderr.strip()}")
    return done.stdout


def base_commit() -> str:
    """Return the commit that this branch left main at, or the commit before HEAD on main itself."""
    base = git("merge-base", "main", "HEAD").strip()
    return base if base != git("rev-parse", "HEAD").strip() else "HEAD~"


def lines_of_diff(diff: str) -> dict[str, set[int]]:
    """Return the lines of each file that a diff without context adds or changes, or after which it cuts."""
    lines: dict[str, set[int]] = defaultdict(set)
    path = ""
    for line in diff.splitlines():
        if line.startswith("+++ "):
            path = line.removeprefix("+++ b/")
        elif match := re.match(r"@@ -\S+ \+(\d+)(?:,(\d+))? @@", line):
            first, count = int(match[1]), int(match[2] or 1)
            lines[path] |= set(range(first, first + max(count, 1)))
    return lines


def package(path: str) -> str:
    """Return the name of a package, or of a module at the top, in the table. Scripts have their own row."""
    name = Path(path).parts[1].removesuffix(".py")
    return f"{name}: scripts" if path.endswith(".sh") else name


def tests_of(path: str) -> str:
    """Return the tests of a package, or of a module at the top."""
    name = Path(path).parts[1]
    return f"tests/unit/test_{name}" if name.endswith(".py") else f"tests/unit/{name}"


def scores(paths: list[str], lines: dict[str, set[int]], processes: int, one_in: int = 1) -> Iterable[Score]:
    """Run the mutants of the files at `paths`, and yield the score of each package.

    lines: the changed lines of each file, if only functions and lines of a change are mutated.
    one_in: run a random sample, one mutant in so many.
    """
    equivalents = read_equivalents(EQUIVALENTS)
    groups: dict[str, list[str]] = defaultdict(list)
    for path in paths:
        groups[package(path)].append(path)
    for name, members in groups.items():
        tests, copy = tests_of(members[0]), COPIES / name.replace(": ", "-")
        if members[0].endswith(".sh"):
            results = shell_mutants.results_of(members, lines, tests, copy, one_in)
        else:
            functions = [
                mutmut_pattern(path, function)
                for path in members
                if path in lines
                for function in functions_at((ROOT / path).read_text(), lines[path])
            ]
            if lines and not functions:
                continue
            results = python_mutants.results_of(members, functions, tests, processes, copy, one_in)
        result = score(name, list(results), equivalents)
        if one_in > 1:
            result.stale = []  # an entry's mutant may not be in the sample
        yield result


def misplaced(equivalents: Iterable[Equivalent]) -> list[Equivalent]:
    """Return the entries whose function or script does not exist."""
    result = []
    for entry in equivalents:
        name, _, function = entry.where.partition("::")
        source = (ROOT / name).read_text() if (ROOT / name).is_file() else ""
        if not source or (
            function and function not in functions_at(source, set(range(source.count("\n") + 2)))
        ):
            result.append(entry)
    return result


def report(package_scores: Iterable[Score]) -> int:
    """Print the survivors and the table, and return how many survivors and useless entries there are."""
    rows, errors, sentences = [], 0, 0
    for each in package_scores:
        shown = [result for result in each.survivors if not result.wording]
        sentences += len(each.survivors) - len(shown)
        errors += len(shown) + _print_entries(each.stale)
        rows.append(each.row)
        print(*(f"{result}\n" for result in shown), each.row, sep="\n", flush=True)
    errors += _print_entries(misplaced(read_equivalents(EQUIVALENTS)))
    print("", HEADING, *rows, sep="\n")
    if sentences:
        print(f"{sentences} survivors that only change the wording of a sentence are not shown.")
    return errors


def _print_entries(entries: list[Equivalent]) -> int:
    for entry in entries:
        print(f"{EQUIVALENTS.name}: no such survivor: {entry.where}: {entry.old} => {entry.new}")
    return len(entries)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="script/mutants", description=__doc__)
    parser.add_argument("--all", action="store_true", help="mutate everything")
    parser.add_argument("--since", metavar="COMMIT", help="mutate what differs from this commit")
    parser.add_argument("--processes", type=int, default=2, help="how many of mutmut's mutants run at a time")
    parser.add_argument("--one-in", type=int, default=1, help="run a random sample, one mutant in so many")
    parser.add_argument("paths", nargs="*", help="directories and files, as in selab/run")
    options = parser.parse_args(arguments)
    if options.all or (options.paths and not options.since):
        report(scores(mutated_files(options.paths or ["selab"]), {}, options.processes, options.one_in))
        return 0
    since = options.since or base_commit()
    lines = lines_of_diff(git("diff", "-U0", "--no-renames", since, "--", "selab"))
    paths = [path for path in mutated_files(options.paths or ["selab"]) if path in lines]
    print(f"{len(paths)} of the files that are mutated differ from {since}.")
    return min(report(scores(paths, lines, options.processes)), 1) if paths else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

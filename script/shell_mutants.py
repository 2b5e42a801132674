"""Makes mutants of the shell scripts that run in the guest, and runs the tests of each script on them.

A trace finds the tests: in a copy of the checkout each script first writes its path to a file, which a plugin
of pytest reads after each test. Each mutant then replaces the script in the copy.
"""

from __future__ import annotations

import importlib
import os
import re
import resource
import subprocess
import sys
import time
import traceback
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mutant_results import KILLED, SURVIVED, UNTESTED, Result, changed_lines, sample
from python_mutants import copy_checkout
from sessions import end_session

SLOWDOWN, PAUSE = 5, 5.0
"""A mutant counts as killed if its tests take so many times as long as without it, and some seconds more."""
LARGEST = 256 << 20
"""Bytes of a file that a mutant may write: a loop may have lost its end."""
OPTIONS = ["-x", "-q", "-p", "no:randomly", "-p", "no:cacheprovider", "--hypothesis-profile=ci"]
OPTIONS += [
    "-m",
    "not slow and not browser and not dask and not dnf and not growth and not hostile and not program",
]
PRELOADED = ("pytest", "fabric", "pydantic", "jinja2", "rich.console", "yaml", "regex")
"""What most tests need, imported once. Modules of selab are not: some read scripts when they are imported."""
SWAPPED = {
    "&&": "||", "||": "&&", "while": "until", "until": "while", "break": "continue", "continue": "break",
    "-gt": "-ge", "-ge": "-gt", "-lt": "-le", "-le": "-lt", ">>": ">", "[ !": "[",
}  # fmt: skip
SWAP, INCREASE = "swap", "increase"
RULES = [
    (r"&&|\|\||\b(?:while|until|break|continue)\b|-(?:gt|ge|lt|le)\b|>>|\[ !", SWAP),
    # A number that is a word or in an expression; not $1, ${1}, 2>, or a part of a name.
    (r"(?<![\w$./:{%<>#&-])\d+(?![\w./:%<>])", INCREASE),
    (r"(?<!\S)\[ (?!!)", "[ ! "),
    (r"(?<=\bif )(?!\[)", "! "),
    # The variable is empty.
    (r"(?<=\w=)(?:\"[^\"]+\"|'[^']+'|[\w./$]+|\$\([^()]*\))(?=[ ;]|$)", ""),
    # The output is not redirected, the option or the filter is left out.
    (r" \d?>>?[^ ;|)]+", ""),
    (r"(?<![\[!])(?<!rm)(?<!read) --?(?![gl][te] )\w[\w-]*(?:=[^ ;|)]+)?(?=[ ;|)])", ""),
    (r" \| [^|;&()]+(?=$|[;)])", ""),
    # The command or the line is left out, or the loop runs once.
    (r"(?:(?<=; )|(?<=&& )|(?<=\|\| ))[^;&|\"'(){}]+?(?= *(?:;|$|&&|\|\|))", ":"),
    (r"^(?!\s*sleep ).*\S.*", ":"),
    (r"\bdone\b", "break; done"),
]
"""What is replaced in a line of code, and by what. What sh cannot parse is no mutant."""


@dataclass(frozen=True)
class Mutant:
    """A script with one fault in the line `number`, which counts from 1."""

    number: int
    text: str


def mutants(text: str) -> Iterator[Mutant]:
    """Yield the mutants of a script, which differ from each other."""
    seen = {text}
    lines = text.splitlines(keepends=True)
    for number, line in enumerate(lines, 1):
        code = line.rstrip("\n")
        if not code.strip() or code.lstrip().startswith("#"):
            continue
        for pattern, rule in RULES:
            for match in re.finditer(pattern, code):
                new = {
                    SWAP: SWAPPED.get(match[0], ""),
                    INCREASE: f"{int(match[0]) + 1}" if rule == INCREASE else "",
                }
                changed = f"{code[: match.start()]}{new.get(rule, rule)}{code[match.end() :]}\n"
                mutant = "".join([*lines[: number - 1], changed, *lines[number:]])
                if mutant not in seen and _parses(mutant):
                    seen.add(mutant)
                    yield Mutant(number, mutant)


def _parses(text: str) -> bool:
    return subprocess.run(["sh", "-n"], input=text.encode(), capture_output=True, check=False).returncode == 0


def results_of(
    paths: list[str], lines: dict[str, set[int]], tests: str, copy: Path, one_in: int = 1
) -> Iterator[Result]:
    """Run `tests` on the mutants of the scripts at `paths`, in `copy`, and yield what became of each mutant.

    lines: the lines whose mutants are run, if not those of the whole script.
    one_in: run a random sample, one mutant in so many.
    Raises SystemExit if the tests of a script fail without a mutant.
    """
    tests_of = tests_of_scripts(paths, tests, copy)
    copy_checkout(copy)
    files = _listing(copy)
    for path in paths:
        original = (copy / path).read_text()
        tested = tests_of[path]
        begin = time.monotonic()
        if tested and run_pytest(copy, [*OPTIONS, *tested], 600):
            raise SystemExit(f"The tests of {path} fail without a mutant: see {copy.with_suffix('.log')}")
        limit = SLOWDOWN * (time.monotonic() - begin) + PAUSE
        for mutant in sample(list(mutants(original)), one_in):
            if path in lines and mutant.number not in lines[path]:
                continue
            (copy / path).write_text(mutant.text)
            status = UNTESTED
            if tested:
                status = KILLED if run_pytest(copy, [*OPTIONS, *tested], limit) else SURVIVED
            (copy / path).write_text(original)
            if _listing(copy) != files:  # the mutant removed or wrote a file of the copy
                copy_checkout(copy)
            yield Result(path, *changed_lines(original.splitlines(), mutant.text.splitlines()), status)


def _listing(directory: Path) -> list[str]:
    """Return the files of a copy, without caches."""
    paths = (path.relative_to(directory) for path in directory.rglob("*"))
    return sorted(str(path) for path in paths if not re.search(r"(?:^|/)(?:\.|__pycache__)", str(path)))


class Trace:
    """A plugin of pytest that records which scripts ran in each test."""

    def __init__(self, ran: Path, tests: Path) -> None:
        self.ran, self.tests = ran, tests

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        paths = set(self.ran.read_text().split()) if self.ran.exists() else set()
        self.ran.unlink(missing_ok=True)
        with self.tests.open("a") as stream:
            stream.writelines(f"{path}\t{nodeid}\n" for path in sorted(paths))


def tests_of_scripts(paths: list[str], selection: str, copy: Path) -> dict[str, list[str]]:
    """Return those of the tests in `selection` that run each of the scripts at `paths`."""
    copy_checkout(copy)
    ran, tests = copy.with_suffix(".ran"), copy.with_suffix(".tests")
    ran.unlink(missing_ok=True)
    tests.write_text("")
    for path in paths:
        (copy / path).write_text(traced((copy / path).read_text(), path, ran))
    run_pytest(copy, [*OPTIONS[1:], selection], 3600, Trace(ran, tests))
    result: dict[str, list[str]] = defaultdict(list)
    for line in tests.read_text().splitlines():
        path, _, nodeid = line.partition("\t")
        result[path].append(nodeid)
    return result


def traced(text: str, path: str, ran: Path) -> str:
    """Return a script that first writes `path` to the file `ran`.

    A line that includes a file stays as it is, because selab would not recognise it otherwise.
    """
    trace = f"{{ echo {path} >>{ran}; }} 2>/dev/null"
    return re.sub(
        r"^(?=[^#\s])(\. \./)?",
        lambda first: f"{trace}\n{first[1]}" if first[1] else f"{trace}; ",
        text,
        count=1,
        flags=re.MULTILINE,
    )


def run_pytest(copy: Path, arguments: list[str], limit: float, *plugins: object) -> int:
    """Run pytest in a forked process, and return its exit code, or -1 if it took longer than `limit` seconds.

    What the tests leave behind is ended.
    """
    for name in PRELOADED:
        importlib.import_module(name)
    process = os.fork()
    if not process:
        _be_pytest(copy, arguments, list(plugins))
    end = time.monotonic() + limit
    ended, status = 0, 0
    while not ended and time.monotonic() < end:
        time.sleep(0.01)
        ended, status = os.waitpid(process, os.WNOHANG)
    end_session(process)
    if not ended:
        os.waitpid(process, 0)
        return -1
    return os.waitstatus_to_exitcode(status)


def _be_pytest(copy: Path, arguments: list[str], plugins: list[object]) -> None:
    code = 99
    try:
        os.setsid()
        with Path(os.devnull).open("rb") as nothing, copy.with_suffix(".log").open("wb") as log:
            for number, stream in enumerate((nothing, log, log)):
                os.dup2(stream.fileno(), number)
        resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST, LARGEST))
        os.chdir(copy)
        os.environ["PYTHONPATH"] = str(copy)
        sys.path.insert(0, str(copy))
        sys.argv[:] = ["pytest"]
        code = int(importlib.import_module("pytest").main(arguments, plugins))
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)

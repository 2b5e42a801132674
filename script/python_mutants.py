"""Runs mutmut on modules of selab, in a copy of the checkout in which decorated functions can be mutated.

mutmut mutates no function with a decorator, although properties and context managers contain decisions. In
the copy, `@decorator` and `def f()` become `def f()` and `f = decorator(f)`, which means the same.
"""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

from mutant_results import KILLED, SURVIVED, UNTESTED, Result, changed_lines, sample
from sessions import end_session

ROOT = Path(__file__).parents[1]
DECORATORS = {
    "cache", "cached_property", "contextmanager", "field_validator", "lru_cache", "model_validator",
    "property",
}  # fmt: skip
"""Decorators that can as well be applied below the function."""
STATUSES = {0: SURVIVED, 5: UNTESTED, 33: UNTESTED}
"""What mutmut's exit codes mean. Others are a failed test, a crash or the end of the time."""
Function = ast.FunctionDef | ast.AsyncFunctionDef


def settings(root: Path = ROOT) -> dict[str, list[str]]:
    table: dict[str, list[str]] = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["mutmut"]
    return table


def copy_checkout(target: Path, root: Path = ROOT) -> None:
    """Copy the files that Git knows or would add to `target`, which is emptied first."""
    shutil.rmtree(target, ignore_errors=True)
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listing, cwd=root, capture_output=True, check=True).stdout.decode().split("\0")
    for name in filter(None, names):
        if (root / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, target / name, follow_symlinks=False)


def undecorated(source: str) -> str:
    """Return source in which the decorators of DECORATORS are applied below their function."""
    lines = source.splitlines()
    functions = [node for node in ast.walk(ast.parse(source)) if isinstance(node, Function)]
    for function in sorted(functions, key=lambda node: node.lineno, reverse=True):
        decorators = function.decorator_list
        if decorators and all(_name(decorator) in DECORATORS for decorator in decorators):
            value = function.name
            for decorator in reversed(decorators):
                value = f"{ast.unparse(decorator)}({value})"
            assert function.end_lineno
            lines.insert(function.end_lineno, f"{' ' * function.col_offset}{function.name} = {value}")
            del lines[decorators[0].lineno - 1 : function.lineno - 1]
    return "\n".join(lines) + "\n"


def _name(decorator: ast.expr) -> str:
    called = decorator.func if isinstance(decorator, ast.Call) else decorator
    return called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")


def functions_at(source: str, lines: set[int]) -> set[str]:
    """Return the names of the functions and methods that have one of the lines, as in `Outcome.ok`."""
    names = set()
    for node in ast.parse(source).body:
        inner = [(f"{node.name}.", child) for child in node.body] if isinstance(node, ast.ClassDef) else []
        for prefix, child in [("", node), *inner]:
            if isinstance(child, Function):
                first = min([child.lineno, *(decorator.lineno for decorator in child.decorator_list)])
                if lines & set(range(first, (child.end_lineno or first) + 1)):
                    names.add(prefix + child.name)
    return names


def mutmut_pattern(path: str, function: str) -> str:
    """Return the pattern that selects the mutants of a function for mutmut."""
    module = path.removesuffix(".py").replace("/", ".")
    mangled = "xǁ" + function.replace(".", "ǁ") if "." in function else f"x_{function}"
    return f"{module}.{mangled}__mutmut_*"


def results_of(
    paths: list[str], patterns: list[str], tests: str, processes: int, copy: Path, one_in: int = 1
) -> Iterator[Result]:
    """Run mutmut on the modules at `paths` with `tests`, in `copy`, and yield what became of each mutant.

    patterns: the mutants to run; all by default.
    one_in: run a random sample, one mutant in so many.
    Raises SystemExit with the end of mutmut's output if it cannot run, for example because a test fails.
    """
    copy_checkout(copy)
    for module in (copy / "selab").rglob("*.py"):
        module.write_text(undecorated(module.read_text()))
    # With `debug`, mutmut shows the output of the unmutated tests, which say why it cannot run.
    changed = settings() | {
        "only_mutate": paths,
        "pytest_add_cli_args_test_selection": [tests],
        "debug": True,
    }
    table = "".join(f"{key} = {json.dumps(value)}\n" for key, value in changed.items())
    pyproject = copy / "pyproject.toml"
    pyproject.write_text(pyproject.read_text().partition("[tool.mutmut]")[0] + "[tool.mutmut]\n" + table)
    program = str(Path(sys.executable).with_name("mutmut"))
    with (copy / "mutmut.log").open("w+") as log:
        command = [program, "run", "--max-children", str(processes)]
        if one_in > 1:
            # mutmut lists all mutants in its files before it reports that none has this name.
            subprocess.run([*command, "none"], cwd=copy, stdout=log, stderr=log, check=False)
            patterns = sample([key for path in paths for key in _statuses(copy / "mutants", path)], one_in)
        process = subprocess.Popen(
            [*command, *patterns], cwd=copy, stdout=log, stderr=log, start_new_session=True
        )
        try:
            failed = process.wait()
        finally:
            # A mutant may leave a program that never ends.
            end_session(process.pid)
        log.seek(0)
        if failed:
            text = log.read()
            failures = "\n".join(re.findall(r"^(?:FAILED|ERROR) .*$", text, re.MULTILINE))
            raise SystemExit(f"mutmut failed on {', '.join(paths)}:\n{failures or text[-2000:]}")
    for path in paths:
        yield from read_results(copy / "mutants", path)


def read_results(mutants: Path, path: str) -> Iterator[Result]:
    """Yield the mutants of a module that mutmut ran, with the changed lines from its file of all mutants."""
    statuses = _statuses(mutants, path)
    if not statuses:
        return
    spans = json.loads((mutants / f"{path}.spans").read_text())["spans"]
    lines = (mutants / path).read_text().splitlines()
    for key, code in statuses.items():
        if code is None:
            continue
        mutant = key.rpartition(".")[2]
        function = mutant.partition("__mutmut_")[0]
        bodies = [
            [line.replace(name, "") for line in lines[spans[name][0] - 1 : spans[name][1]]]
            for name in (f"{function}__mutmut_orig", mutant)
        ]
        where = function.removeprefix("x_").removeprefix("xǁ").replace("ǁ", ".")
        yield Result(f"{path}::{where}", *changed_lines(*bodies), STATUSES.get(code, KILLED))


def _statuses(mutants: Path, path: str) -> dict[str, int | None]:
    """Return mutmut's exit code for each mutant of a module, or None for one that it did not run."""
    file = mutants / f"{path}.meta"
    if not file.is_file():  # a module without functions
        return {}
    statuses: dict[str, int | None] = json.loads(file.read_text())["exit_code_by_key"]
    return statuses

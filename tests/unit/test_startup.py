"""A command that is over in a moment does not import what only VMs and other commands need."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.program

ROOT = Path(__file__).parents[2]
RECORD = (
    'type=AVC msg=audit(1700000000.123:1): avc:  denied  { read } for  pid=1 comm="httpd" name="x" dev="vda" '
    "ino=1 scontext=system_u:system_r:a_t:s0 tcontext=system_u:object_r:b_t:s0 tclass=file permissive=0\n"
)
RUN = """
import pathlib, sys
listing = pathlib.Path(sys.argv.pop(1))
import selab.__main__
try:
    selab.__main__.main()
finally:
    listing.write_text("\\n".join(sys.modules))
"""
VM_PACKAGES = {"vagrant", "fabric", "invoke", "paramiko", "pexpect"}
OTHER_COMMANDS = {"distributed", "dask", "jinja2", "watchfiles", "filelock", "platformdirs", "sqlite3"}
MODELS = {"pydantic", "yaml"}
MODELS_AND_TABLES = MODELS | {"rich"}


def imported(directory: Path, words: list[str]) -> set[str]:
    """The top-level modules that `selab WORDS` has imported by its end, in a process of its own."""
    listing = directory / "modules"
    program = [sys.executable, "-c", RUN, str(listing)]
    subprocess.run([*program, *words], cwd=directory, check=True, capture_output=True)
    return {name.partition(".")[0] for name in listing.read_text().split()}


@pytest.mark.parametrize(
    ("words", "unneeded"),
    [
        (["--version"], VM_PACKAGES | OTHER_COMMANDS | MODELS_AND_TABLES),
        (["--help"], VM_PACKAGES | OTHER_COMMANDS | MODELS_AND_TABLES),
        (["denials", "audit.log"], VM_PACKAGES | OTHER_COMMANDS | MODELS),
        (["denials", "--json", "audit.log"], MODELS),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_it_imports_nothing_that_it_does_not_need(
    tmp_path: Path, words: list[str], unneeded: set[str]
) -> None:
    (tmp_path / "audit.log").write_text(RECORD)
    assert imported(tmp_path, words) & unneeded == set()


@pytest.mark.parametrize(
    "words", [["denials", "audit.log"], ["denials", "--json", "audit.log"]], ids=" ".join
)
def test_denials_imports_no_models_in_a_project(tmp_path: Path, words: list[str]) -> None:
    (tmp_path / "audit.log").write_text(RECORD)
    (tmp_path / "selab.yaml").write_text("")
    assert imported(tmp_path, words) & MODELS == set()


def test_the_benchmark_of_the_start_works() -> None:
    """At its smallest size, against this same interpreter."""
    words = ["-m", "benchmarks.startup", "--quick", "--against", sys.executable]
    done = subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, text=True, check=True)
    rows = {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines()[-4:]}
    assert list(rows) == ["--version", "--help", "denials", ".selab"]
    assert all(len(numbers) == 6 and min(map(float, numbers)) > 0 for numbers in rows.values())

"""Benchmarks that need no VM run at their smallest size.

tests/unit/test_startup.py runs `startup`, and tests/vm/test_benchmarks.py those that need a VM.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from selab.host.files import write_json
from selab.policy import base
from selab.policy.integrity import digests
from selab.policy.survey import StoreFacts, keep_facts
from tests.unit.conftest import BASE

pytestmark = pytest.mark.program

ROOT = Path(__file__).parents[2]
LIMIT = 120
GROWN = """
(typeattribute container_domain) (role system_r) (userrole u system_r)
(type container_t) (typeattributeset container_domain (container_t)) (roletype system_r container_t)
(type usr_t) (type var_t) (type tmp_t) (type proc_t)
(roletype r usr_t) (roletype r var_t) (roletype r tmp_t) (roletype r proc_t)
"""
"""What the candidates of the benchmark `growth` take from a base policy, beyond that of the unit tests."""


def benchmark(name: str, *words: str) -> str:
    """Run a benchmark in a process of its own, and return what it printed."""
    argv = [sys.executable, "-m", f"benchmarks.{name}", *words]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_every_benchmark_is_run_by_a_test() -> None:
    modules = {path.stem for path in (ROOT / "benchmarks").glob("*.py")} - {"__init__"}
    assert modules == {"parse", "startup", "growth", "loop", "commands", "soak", "advice"}


def test_parsing() -> None:
    assert "300 lines" in benchmark("parse", "--quick")


@pytest.fixture
def cached(tmp_path: Path) -> Path:
    """The directory of a base policy in a cache."""
    facts = StoreFacts("test", 33, True, False, "f" * 64)
    directory = base._directory(facts.fingerprint, tmp_path)
    (directory / "cil").mkdir(parents=True)
    classes = ["file", "dir", "lnk_file", "fifo_file", "sock_file", "chr_file"]
    text = BASE.replace(
        "(class file (read write open ioctl))", "(class file (read write open getattr ioctl))"
    )
    text = text.replace(
        "(classorder (file process))", f"(classorder ({' '.join(classes)} process))"
    ) + "".join(f"(class {name} (read open getattr))\n" for name in classes[1:])
    for path in (directory / "flat.cil", directory / "cil" / "base.cil"):
        path.write_text(text + GROWN)
    keep_facts(facts, directory / base.FACTS)
    metadata = {"dangling": [], "left_out": [], "digests": digests(directory)}
    write_json(directory / "base.json", metadata)
    return directory


@pytest.mark.toolchain
def test_growing(cached: Path) -> None:
    shown = benchmark("growth", "--quick", "--base", str(cached))
    assert "1 candidates" in shown and "100 records" in shown

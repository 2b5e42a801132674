"""Each benchmark that needs the VM runs at its smallest size."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest

from selab.project import Project
from selab.run.experiment import Run
from tests.vm.conftest import CHECKOUT

LIMIT = 1200
"""Seconds for one benchmark: `semodule -i` alone takes 40 in an emulated guest."""


@pytest.fixture
def benchmark(project: Project, run: Callable[..., Run]) -> Callable[..., str]:
    """Run a benchmark on the session's VM after a permissive run of the draft, and return its output."""
    run("apache", mode="permissive")

    def benchmark(name: str, *words: str) -> str:
        argv = [sys.executable, "-m", f"benchmarks.{name}", "--project", str(project.root), *words]
        done = subprocess.run(argv, cwd=CHECKOUT, capture_output=True, text=True, timeout=LIMIT)
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    return benchmark


def test_the_loop(benchmark: Callable[..., str]) -> None:
    assert "own part" in benchmark("loop", "--rounds", "1")


def test_the_commands(benchmark: Callable[..., str]) -> None:
    assert benchmark("commands", "--rounds", "1").count("  the verdict\n") == 2


def test_the_soak(benchmark: Callable[..., str]) -> None:
    assert "guest_memory" in benchmark("soak", "--runs", "1")


def test_the_advice(benchmark: Callable[..., str]) -> None:
    assert benchmark("advice").count("| apache |") == 3

"""The pages for maintainers agree with what they describe: the Makefile and the import contract."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = re.findall(r"^([a-z]+):", MAKEFILE, re.MULTILINE)


def test_contributing_describes_each_recipe() -> None:
    recipes = re.findall(r"^\| `make ([a-z]+)` \|", (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE)
    assert sorted(recipes) == sorted(set(TARGETS) - {"help", "setup"})


def test_script_test_runs_existing_recipes() -> None:
    (names, *others) = re.findall(r"targets=\(([a-z ]+)\)", (ROOT / "script" / "test").read_text())
    assert {"check", "vm"} == set(names.split())
    assert set(" ".join(others).split()) <= set(TARGETS)


def test_check_runs_each_check_that_needs_no_vm() -> None:
    (checks,) = re.findall(r"^check: ([a-z ]+) ##", MAKEFILE, re.MULTILINE)
    others = {"help", "setup", "docs", "vm", "check", "mutants", "lock", "audit"}
    assert set(checks.split()) == set(TARGETS) - others


def test_the_architecture_lists_the_packages_in_the_order_of_the_contract() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = [set(re.split(r" [|:] ", layer)) for layer in contracts[0]["layers"]]
    page = (ROOT / "docs" / "development" / "architecture.md").read_text()
    table = page.partition("| package | what it does |")[2].partition("\n\n")[0]
    rows = [set(re.findall(r"`(\w+)`", row.split(" | ")[0])) for row in table.splitlines()[2:]]
    assert rows == layers

"""The plugin as pytest's users have it: whole test files, run by a pytest within."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from selab.project import Project
from selab.pytest_plugin import _directory, pytest_addoption, selab_machine

PLUGIN = "selab.pytest_plugin"
MACHINE = """
import importlib
import pytest
from tests.unit.fakes import ScriptedGuest, ReadyMachine

class Machine(ReadyMachine):
    def __init__(self):
        super().__init__(ScriptedGuest())
    def status(self):
        return "running"
    def destroy(self, progress):
        print("the VM is gone")

@pytest.fixture(scope="session", autouse=True)
def standing():
    with pytest.MonkeyPatch.context() as patch:
        # A pytest within a pytest imports the modules anew, which a patch by name would miss.
        vm, context = map(importlib.import_module, ("selab.vm.virtual_machine", "selab.run.context"))
        patch.setattr(vm, "VirtualMachine", lambda project: Machine())
        patch.setattr(context, "random_level", lambda: "s0:c1,c2")
        yield
"""
PASSES = "def test_web(selab):\n    selab.run('web', mode='enforcing').assert_pass()\n"


@pytest.fixture
def tests(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A project with a scenario, a cache with a base policy, and a VM in which nothing is ever denied.

    PATH is empty, so anything that looks for a real VM fails at once instead of building a box.
    """
    from tests.unit.fakes import keep_base

    (pytester.path / "scenarios").mkdir()
    pytester.makefile(".yaml", selab="")
    (pytester.path / "scenarios" / "web.yaml").write_text(
        json.dumps({"image": "registry.test/x:1", "label": {"type": "web_t"}})
    )
    keep_base(pytester.path / "cache")
    monkeypatch.setenv("SELAB_CACHE", str(pytester.path / "cache"))
    monkeypatch.setenv("PATH", "")
    pytester.makeconftest(MACHINE)
    pytester.makepyfile(PASSES)
    return pytester


def run(tests: pytest.Pytester, *words: str) -> pytest.RunResult:
    return tests.runpytest_inprocess("-p", PLUGIN, "-p", "no:cacheprovider", *words)


def test_a_test_of_a_policy_passes(tests: pytest.Pytester) -> None:
    run(tests).assert_outcomes(passed=1)


def test_a_failure_shows_the_test_and_no_more_of_selab_than_it_says(tests: pytest.Pytester) -> None:
    tests.makepyfile("def test_web(selab):\n    selab.run('web').assert_fail()\n")
    output = run(tests).stdout
    output.fnmatch_lines(
        [">*assert_fail()", "E*AssertionError: web under none, enforcing: PASS (run *", "E*FAIL was expected"]
    )
    output.no_fnmatch_line("*api.py*")


def test_what_was_not_seen_is_told_apart(tests: pytest.Pytester) -> None:
    tests.makepyfile("def test_web(selab):\n    selab.run('web', mode='permissive').assert_fail()\n")
    run(tests).stdout.fnmatch_lines(["E*selab.api.Inconclusive: web under none, permissive: ERROR (run *"])


def test_the_project_may_lie_elsewhere(tests: pytest.Pytester) -> None:
    below = tests.mkdir("checks")
    (below / "conftest.py").write_text(MACHINE)
    (below / "test_web.py").write_text(PASSES)
    (below / "pytest.ini").write_text("[pytest]\nselab_project = ..\n")
    run(tests, "--rootdir", str(below), "-c", str(below / "pytest.ini"), str(below)).assert_outcomes(passed=1)


def test_the_option_wins(tests: pytest.Pytester) -> None:
    tests.makeini("[pytest]\nselab_project = nowhere/at/all\n")
    run(tests, "--selab-project", ".").assert_outcomes(passed=1)


def test_without_a_project_it_says_how_to_name_one(tests: pytest.Pytester) -> None:
    (tests.path / "selab.yaml").unlink()
    result = run(tests)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["There is no selab.yaml in *", "Or set selab_project in *"])
    result.stdout.no_fnmatch_line("During handling *")


@pytest.mark.parametrize(
    ("option", "setting", "inipath", "directory"),
    [
        ("lab", "setting", "/ini/pytest.ini", "/started/lab"),
        ("/lab", "setting", "/ini/pytest.ini", "/lab"),
        (None, "lab", "/ini/pytest.ini", "/ini/lab"),
        (None, "lab", None, "/root/lab"),
        (None, "", "/ini/pytest.ini", "/root"),
    ],
)
def test_the_option_is_relative_to_where_pytest_was_started_and_the_setting_to_its_file(
    option: str | None, setting: str, inipath: str | None, directory: str
) -> None:
    config: Any = SimpleNamespace(
        getoption={"selab_project": option}.__getitem__,
        getini={"selab_project": setting}.__getitem__,
        inipath=Path(inipath) if inipath else None,
        rootpath=Path("/root"),
        invocation_params=SimpleNamespace(dir=Path("/started")),
    )
    assert _directory(config) == Path(directory)


@pytest.mark.parametrize(
    ("option", "status", "removed"),
    [(True, "running", 1), (True, "poweroff", 1), (True, "not_created", 0), (False, "running", 0)],
)
def test_a_vm_is_removed_after_the_tests_only_on_request_and_if_it_exists(
    project: Project, monkeypatch: pytest.MonkeyPatch, option: bool, status: str, removed: int
) -> None:
    destroyed: list[object] = []
    machine = SimpleNamespace(status=lambda: status, destroy=destroyed.append)
    # A pytest within a pytest has imported the module anew, which a patch by name would miss.
    monkeypatch.setitem(sys.modules, "selab.vm.select", SimpleNamespace(machine_of=lambda of: machine))
    config = SimpleNamespace(getoption={"selab_destroy": option}.__getitem__)
    fixture = selab_machine.__wrapped__(config, project)
    assert next(fixture) is machine and destroyed == []
    assert list(fixture) == [] and len(destroyed) == removed


@pytest.mark.parametrize(
    ("words", "gone"), [([], False), (["--selab-destroy"], True)], ids=["left", "destroyed"]
)
def test_the_vm_is_left_unless_it_is_not_wanted(words: list[str], gone: bool, tests: pytest.Pytester) -> None:
    assert ("the VM is gone" in run(tests, "-s", *words).stdout.str()) is gone


def test_it_is_declared_under_the_name_that_p_takes(pytestconfig: pytest.Config) -> None:
    """So that a pytest that finds it by its installation does not load it a second time for -p."""
    text = (Path(__file__).parents[2] / "pyproject.toml").read_text()
    assert f'"{PLUGIN}" = "{PLUGIN}"' in text and f"-p {PLUGIN}" in text
    assert {point.value for point in entry_points(group="pytest11", name=PLUGIN)} <= {PLUGIN}


@pytest.mark.program
def test_loading_it_imports_nothing_of_selab() -> None:
    names = "sorted(name for name in sys.modules if name.startswith('selab'))"
    script = f"import sys, pytest, {PLUGIN}; print({names})"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"['selab', '{PLUGIN}']"


@pytest.mark.program
def test_selab_needs_no_pytest() -> None:
    script = "import sys; sys.modules['pytest'] = None; import selab.api, selab.cli.root, selab.cli.run"
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0


class Parser:
    """Takes the plugin's options as pytest's parser does, and keeps what its help shows."""

    def __init__(self) -> None:
        self.shown: dict[str, str] = {}

    def getgroup(self, name: str, description: str) -> Parser:
        self.shown[name] = description
        return self

    def addoption(self, name: str, *, help: str, metavar: str = "", action: str = "store") -> None:
        self.shown[name] = f"{metavar} {action}: {help}"

    def addini(self, name: str, help: str) -> None:
        self.shown[name] = help


def test_the_help_of_pytest_explains_the_options() -> None:
    parser = Parser()
    pytest_addoption(parser)  # type: ignore[arg-type]
    assert parser.shown["selab"] == "SELinux policy in a VM"
    assert re.match("DIR store: The selab project, .* root directory", parser.shown["--selab-project"])
    assert re.match(" store_true: Remove .* left running", parser.shown["--selab-destroy"])
    assert "relative to this file" in parser.shown["selab_project"]

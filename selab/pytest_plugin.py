"""The pytest plugin: `selab`, a fixture for tests of policies, which runs scenarios in the project's VM.

pytest loads this module at each start if selab is installed. The module therefore imports the rest of selab
only when a test first needs it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from selab.api import Selab
    from selab.machine import MachineControl
    from selab.project import Project


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("selab", "SELinux policy in a VM")
    group.addoption(
        "--selab-project",
        metavar="DIR",
        help="The selab project, or a directory below it; by default the root directory.",
    )
    group.addoption(
        "--selab-destroy",
        action="store_true",
        help="Remove the project's VM after the tests; otherwise it is left running.",
    )
    parser.addini("selab_project", "The selab project, relative to this file.")


@pytest.fixture(scope="session")
def selab_project(pytestconfig: pytest.Config) -> Project:
    """The selab project that the tests are about. You can override this fixture in a conftest.py."""
    from selab.errors import SelabError
    from selab.project import find_project

    try:
        return find_project(_directory(pytestconfig))
    except SelabError as error:
        message = f"{error}\nOr set selab_project in pytest's configuration, or --selab-project."
    pytest.fail(message, pytrace=False)  # not in the `except` block: pytest would show the error twice


@pytest.fixture(scope="session")
def selab_machine(pytestconfig: pytest.Config, selab_project: Project) -> Iterator[MachineControl]:
    """The project's VM, which the first run starts."""
    from selab.progress import Progress
    from selab.vm.select import machine_of

    machine = machine_of(selab_project)
    yield machine
    if pytestconfig.getoption("selab_destroy") and machine.status() != "not_created":
        machine.destroy(Progress())


@pytest.fixture(scope="session")
def selab(selab_project: Project, selab_machine: MachineControl) -> Selab:
    """Runs scenarios as `selab run` does: selab.run("apache", mode="enforcing").assert_pass()."""
    from rich.console import Console

    from selab.api import Selab
    from selab.report.progress import TerminalListener

    return Selab(
        selab_project, selab_machine, TerminalListener(Console(stderr=True, highlight=False, emoji=False))
    )


def _directory(config: pytest.Config) -> Path:
    """Return where to look for the project.

    The option is relative to the directory that pytest was started in, the setting to its configuration file.
    """
    option, setting = config.getoption("selab_project"), config.getini("selab_project")
    above = config.inipath.parent if config.inipath else config.rootpath
    return (
        Path(config.invocation_params.dir, option)
        if option
        else Path(above, setting)
        if setting
        else config.rootpath
    )

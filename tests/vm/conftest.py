"""A real VM for tests/vm in each process: the first test that needs it creates it; the last destroys it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from selab.api import Selab
from selab.errors import SelabError
from selab.progress import Progress
from selab.project import Project, find_project
from selab.run import experiment
from selab.run.request import RunOptions
from selab.vm.ssh import SshGuest
from selab.vm.virtual_machine import VirtualMachine

CHECKOUT = Path(__file__).parents[2]


def pytest_configure(config: pytest.Config) -> None:
    """Keep the order of the files, and each file in one process: its tests share a VM, and runs on it."""
    if config.getoption("numprocesses", None) and config.getoption("dist") != "loadfile":
        raise pytest.UsageError("The tests of a file in tests/vm share a VM: use --dist loadfile with -n.")
    config.option.randomly_reorganize = False


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the tests in faults/ last: they break the connection and the VM that the other tests share."""
    items.sort(key=lambda item: "faults" in item.path.parts)


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Copy the example project, so that no test leaves anything in the checkout."""
    root = tmp_path_factory.mktemp("project")
    for name in ("policies", "scenarios", "images"):
        shutil.copytree(CHECKOUT / name, root / name)
    for name in ("selab.yaml", "Vagrantfile"):
        shutil.copy(CHECKOUT / name, root / name)
    return find_project(root)


@pytest.fixture(scope="session")
def machine(project: Project) -> Iterator[VirtualMachine]:
    machine = VirtualMachine(project)
    try:
        yield machine
    finally:
        if machine.status() != "not_created":
            machine.destroy(Progress())


@pytest.fixture(scope="session")
def selab_project(project: Project) -> Project:
    """Let the plugin's `selab` fixture use the project of the other tests."""
    return project


@pytest.fixture(scope="session")
def selab_machine(machine: VirtualMachine) -> VirtualMachine:
    """Let the plugin's `selab` fixture use the VM of the other tests."""
    return machine


@pytest.fixture(scope="session")
def session_guest(machine: VirtualMachine) -> SshGuest:
    try:
        return machine.ensure(Progress())
    except SelabError as error:
        pytest.fail(f"no VM: {error}")


@pytest.fixture
def guest(machine: VirtualMachine, session_guest: SshGuest) -> Iterator[SshGuest]:
    """Connect to the guest, and close the connection after the test."""
    guest = machine.connect()
    yield guest
    guest.close()


@pytest.fixture(scope="session")
def session_run(selab: Selab, session_guest: SshGuest) -> Callable[..., experiment.Run]:
    """`selab run` as a function, which returns the run with any verdict: run("apache", mode="permissive").

    `after_steps` is called after the scenario's steps, while the container still runs.
    """

    def run(
        scenario: str,
        mode: str = "enforcing",
        policy: str | None = None,
        after_steps: Callable[[], None] | None = None,
    ) -> experiment.Run:
        return selab.execute(scenario, mode, policy, options=RunOptions(after_steps=after_steps))

    return run


@pytest.fixture
def run(session_run: Callable[..., experiment.Run]) -> Callable[..., experiment.Run]:
    return session_run

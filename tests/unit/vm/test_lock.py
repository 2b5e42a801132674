"""Two selab on one VM: the second waits and says for whom, or does not wait."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace

import pytest
from filelock import FileLock

from selab.cli.session import Context
from selab.errors import SelabError
from selab.progress import Progress
from selab.project import Project
from selab.vm.lock import vm_lock


@pytest.fixture
def taken(project: Project) -> Iterator[Project]:
    """The VM is in use by a run, as another process would have it."""
    with FileLock(project.state / "vm.lock"):
        (project.state / "vm.holder").write_text("`selab run web`, process 7")
        yield project


def test_who_does_not_wait_is_told_for_whom(taken: Project) -> None:
    with pytest.raises(SelabError) as caught, vm_lock(replace(taken, waits=False), "selab run", Progress()):
        pass
    assert "process 7" in caught.value.detail


def test_who_waits_too_long_is_told_for_whom(taken: Project) -> None:
    with pytest.raises(SelabError, match="still in use"), vm_lock(taken, "selab run", Progress(), wait=0.1):
        pass


def test_the_holder_is_named_while_it_holds(project: Project) -> None:
    with vm_lock(project, "selab run web", Progress()):
        assert f"`selab run web`, process {os.getpid()}" in (project.state / "vm.holder").read_text()


def test_no_wait_reaches_the_project(project: Project) -> None:
    assert not Context(project.root, waits=False).project.waits

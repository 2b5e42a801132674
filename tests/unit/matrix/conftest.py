"""A project with two scenarios and two policies, and cells without a VM."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

import pytest

from selab.matrix.cluster import local
from selab.project import Project, find_project
from tests.unit.conftest import CHECKOUT

PRELOADED = ["pytest", "distributed", "selab.matrix.work", "tests.unit.matrix.fakes"]


@pytest.fixture(scope="session")
def fork_server() -> None:
    """Start a process that has imported what a worker of the tests imports, and that can fork itself.

    A worker that is forked takes a tenth of the processor time of a worker that imports all of this.
    """
    from distributed.utils import get_mp_context

    with forking():
        get_mp_context().set_forkserver_preload(PRELOADED)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PYTHONPATH", str(CHECKOUT))
            forkserver.ensure_running()


@contextlib.contextmanager
def forking() -> Iterator[None]:
    """Let Dask fork workers from `fork_server`; by default it starts a new interpreter for each."""
    import dask  # which takes long, and most runs of the tests leave it out
    import distributed  # noqa: F401  # it adds its defaults, which the end of the block would remove again

    with dask.config.set({"distributed.worker.multiprocessing-method": "forkserver"}):
        yield


@pytest.fixture
def forked(fork_server: None) -> Iterator[None]:
    """Workers that the test starts are forked."""
    with forking():
        yield


@pytest.fixture(scope="module")
def client(fork_server: None) -> Iterator[Any]:
    """A client of two workers, which take a second to start.

    Its threads run until the module's tests end: not beside tests that measure memory or replace the clock.
    """
    with forking(), local(2) as client:
        yield client


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("SELAB_CACHE", str(tmp_path / "cache"))
    root = tmp_path / "lab"
    for name in ("policies", "scenarios", "images/httpd/files", "data/deep"):
        (root / name).mkdir(parents=True)
    (root / "selab.yaml").write_text("vm: {memory: 1536}\n")
    (root / "Vagrantfile").write_text("# SELAB_VM\n")
    for name in ("draft", "full"):
        (root / "policies" / f"{name}.te").write_text(f"policy_module({name}, 1.0)\n")
    (root / "images" / "httpd" / "Dockerfile").write_text("FROM debian:trixie\n")
    (root / "images" / "httpd" / "packages").write_text("apache2\n")
    (root / "scenarios" / "web.yaml").write_text(
        "image: httpd\npolicy: full\nvolumes: [{target: /srv, source: data}]\n"
    )
    (root / "scenarios" / "cache.yaml").write_text("image: registry/redis:8\npolicy: draft\n")
    (root / "data" / "deep" / "run").write_text("#!/bin/sh\n")
    (root / "data" / "deep" / "run").chmod(0o750)
    return find_project(root)

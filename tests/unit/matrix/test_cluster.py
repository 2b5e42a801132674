"""Tests the workers of this machine and of an existing cluster, and the error if a cluster has none."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from selab.errors import InputError, SelabError
from selab.matrix import cluster
from selab.matrix.cluster import existing, local, vm_workers
from selab.matrix.execution import Execution

from .fakes import Watched, tasks, worked


@contextlib.contextmanager
def serving(resources: dict[str, float]) -> Iterator[str]:
    """Start a scheduler with one worker of three threads, as another user would, and yield its address."""
    import distributed  # which takes long, and most runs of the tests leave it out

    with distributed.LocalCluster(
        n_workers=1,
        threads_per_worker=3,
        processes=False,
        protocol="tcp://",
        host="127.0.0.1",
        dashboard_address=None,
        resources=resources,
        memory_limit=0,
        scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
    ) as there:
        yield there.scheduler_address


@pytest.mark.dask
@pytest.mark.usefixtures("forked")
def test_no_other_user_can_talk_to_the_workers() -> None:
    with local(1) as client:
        addresses = [client.scheduler.address, *vm_workers(client)]
        dashboard = client.cluster.scheduler.services["dashboard"].address
    assert [address for address in addresses if not address.startswith("tls://127.0.0.1:")] == []
    assert dashboard == "127.0.0.1"


@pytest.mark.dask
def test_a_cluster_that_is_there_serves() -> None:
    with serving({"vm": 1}) as address, existing(address) as client:
        assert len(vm_workers(client)) == 1


@pytest.mark.dask
def test_a_worker_of_several_threads_has_one_run_at_a_time(tmp_path: Path) -> None:
    with serving({"vm": 1}) as address, existing(address) as client:
        Execution(client, tasks(tmp_path, 3), Watched()).run(worked)
    (trace,) = tmp_path.glob("by-*")
    assert trace.read_text().split() == ["begin", "end"] * 3


@pytest.mark.dask
def test_workers_without_a_vm_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "CONNECT_LIMIT", 0.5)
    with (
        serving({}) as address,
        pytest.raises(SelabError, match="No worker of the cluster has a VM") as caught,
        existing(address),
    ):
        pass
    assert "--resources vm=1" in caught.value.hint


@pytest.mark.dask
def test_a_scheduler_that_does_not_answer_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "CONNECT_LIMIT", 0.5)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
        with pytest.raises(SelabError, match="does not answer"), existing(address):
            pass


@pytest.mark.program
def test_only_this_command_imports_dask() -> None:
    code = (
        "import sys, selab.cli.matrix, selab.cli.vm, selab.report.html, selab.cli.schema, "
        "selab.matrix.coordinate; print(*sys.modules)"
    )
    names = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"dask", "distributed"} & set(names)


def test_without_dask_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(InputError, match=r"dask\.distributed") as caught, local(1):
        pass
    assert "pipx inject selab distributed" in caught.value.hint

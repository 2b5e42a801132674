"""The workers: a cluster of this machine's own, or one that is there, by `dask.distributed`."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterator
from typing import Any

from selab.errors import InputError, SelabError

log = logging.getLogger("selab")

VM = "vm"
"""The resource of which a worker has one for each run that it can have at a time."""
LOST = 2
"""Times that a worker may be lost with a run until Dask gives the run up (its own default is 4); it may only have waited there."""
CONNECT_LIMIT = 30.0
"""Seconds to reach a scheduler, and for its first worker with a VM to be there."""
ASK_LIMIT = 10.0
"""Seconds for the scheduler's answer to which workers there are."""
LARGE = "1GiB"
"""Below this, Dask has nothing to say about what it is sent: selab has a limit of its own."""
TICK = 0.05


@contextlib.contextmanager
def local(workers: int) -> Iterator[Any]:
    """A cluster of `workers` child processes, which only this process can talk to: they do whatever they are told."""
    dask, distributed = _imported()
    settings = {
        "distributed.scheduler.allowed-failures": LOST - 1,
        "distributed.scheduler.http.routes": [],
        "distributed.worker.http.routes": [],
        "distributed.admin.large-graph-warning-threshold": LARGE,
    }
    with dask.config.set(settings), contextlib.ExitStack() as stack:
        cluster = distributed.LocalCluster(
            n_workers=workers, threads_per_worker=1, processes=True, host="127.0.0.1", dashboard_address=None,
            security=distributed.Security.temporary(), resources={VM: 1}, memory_limit=0, silence_logs=logging.CRITICAL,
            scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
        )  # fmt: skip
        yield stack.enter_context(distributed.Client(stack.enter_context(cluster), set_as_default=False))


@contextlib.contextmanager
def existing(address: str) -> Iterator[Any]:
    """The cluster whose scheduler is at `address`. Raises SelabError where it does not answer, or no worker of it has a VM."""
    dask, distributed = _imported()
    with dask.config.set({"distributed.admin.large-graph-warning-threshold": LARGE}):
        try:
            client = distributed.Client(address, timeout=CONNECT_LIMIT, set_as_default=False)
        except (OSError, ValueError) as error:
            raise SelabError(
                "The scheduler does not answer.", f"{address}: {error}", "`dask scheduler` starts one."
            ) from error
        with client:
            _await_workers(client, address)
            yield client


def _imported() -> tuple[Any, Any]:
    """Dask and its cluster, which would write of each lost connection to the terminal: selab says what that means."""
    try:
        import dask
        import distributed
    except ImportError as error:
        raise InputError(
            "`selab matrix` needs dask.distributed.", str(error), "Install it: `pip install 'selab[matrix]'`."
        ) from error
    for name in ("distributed", "distributed.client"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    return dask, distributed


def _await_workers(client: Any, address: str) -> None:
    deadline = time.monotonic() + CONNECT_LIMIT
    while not vm_workers(client):
        if time.monotonic() > deadline:
            hint = f"Start some: `dask worker {address} --nthreads 1 --resources {VM}=1`."
            raise SelabError(
                "No worker of the cluster has a VM.",
                f"Waited {CONNECT_LIMIT:g} s for one with the resource `{VM}`.",
                hint,
            )
        time.sleep(TICK)


def vm_workers(client: Any) -> list[str]:
    """The addresses of the workers that can have a run; none where the scheduler does not answer."""
    try:
        told = client.sync(client.scheduler.identity, callback_timeout=ASK_LIMIT)
    except (OSError, TimeoutError, RuntimeError) as error:
        log.info("the scheduler does not say who is there: %s", error)
        return []
    return [address for address, worker in told["workers"].items() if worker["resources"].get(VM, 0) >= 1]

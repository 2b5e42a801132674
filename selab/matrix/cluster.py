"""Start or reach the workers: a cluster on this machine, or an existing cluster of `dask.distributed`."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterator
from typing import Any

from selab.errors import InputError, SelabError

log = logging.getLogger("selab")

VM = "vm"
"""A worker has one unit of this resource for each run that it can execute at a time."""
LOST = 2
"""Times that a run may lose its worker before Dask gives it up (Dask's default is 4).

The run may only have been waiting on that worker.
"""
CONNECT_LIMIT = 30.0
"""Seconds to reach a scheduler, and for its first worker with a VM."""
ASK_LIMIT = 10.0
"""Seconds for the scheduler to report its workers."""
LARGE = "1GiB"
"""Dask does not warn about data smaller than this; selab has a limit of its own."""
TICK = 0.05


@contextlib.contextmanager
def local(workers: int) -> Iterator[Any]:
    """Start a cluster of `workers` child processes.

    Only this process can connect to them, because workers execute whatever they receive.
    """
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
            security=distributed.Security.temporary(), resources={VM: 1}, memory_limit=0,
            silence_logs=logging.CRITICAL, scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
        )  # fmt: skip
        yield stack.enter_context(distributed.Client(stack.enter_context(cluster), set_as_default=False))


@contextlib.contextmanager
def existing(address: str) -> Iterator[Any]:
    """Connect to the cluster whose scheduler is at `address`.

    Raises SelabError if the scheduler does not answer, or if no worker has a VM.
    """
    dask, distributed = _imported()
    with dask.config.set({"distributed.admin.large-graph-warning-threshold": LARGE}):
        try:
            client = distributed.Client(address, timeout=CONNECT_LIMIT, set_as_default=False)
        except (OSError, ValueError) as error:
            raise SelabError(
                "The scheduler does not answer.",
                f"{address}: {error}",
                "Check the address, or start a scheduler with `dask scheduler`.",
            ) from error
        except (RuntimeError, TypeError) as error:
            # Dask raises these if the address and its configuration of TLS differ.
            raise SelabError(
                "The scheduler's address and Dask's configuration of TLS do not fit.",
                f"{address}: {error}",
                "Give the `tls://` address, and configure `distributed.comm.tls`; see docs/howto/matrix.md.",
            ) from error
        with client:
            _await_workers(client, address)
            yield client


def _imported() -> tuple[Any, Any]:
    """Import Dask without its messages on lost connections, which selab reports itself."""
    try:
        import dask
        import distributed
    except ImportError as error:
        raise InputError(
            "`selab matrix` requires dask.distributed.",
            str(error),
            (
                "Install it in selab's environment: `pipx inject selab distributed`, or `pip install "
                "distributed`."
            ),
        ) from error
    for name in ("distributed", "distributed.client"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    return dask, distributed


def _await_workers(client: Any, address: str) -> None:
    deadline = time.monotonic() + CONNECT_LIMIT
    while not vm_workers(client):
        if time.monotonic() > deadline:
            hint = f"Start a worker: `dask worker {address} --nthreads 1 --resources {VM}=1`."
            raise SelabError(
                "No worker of the cluster has a VM.",
                f"No worker with the resource `{VM}` appeared within {CONNECT_LIMIT:g} seconds.",
                hint,
            )
        time.sleep(TICK)


def vm_workers(client: Any) -> list[str]:
    """Return the addresses of the workers that can execute a run; none if the scheduler does not answer."""
    try:
        identity = client.sync(client.scheduler.identity, callback_timeout=ASK_LIMIT)
    except (OSError, TimeoutError, RuntimeError) as error:
        log.info("the scheduler does not report its workers: %s", error)
        return []
    return [address for address, worker in identity["workers"].items() if worker["resources"].get(VM, 0) >= 1]

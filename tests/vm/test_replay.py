"""Compare replay with audit2why on a real policy, with the records of a real run in several domains."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from selab.host.local import LocalHost
from selab.policy.candidate import linked_file
from selab.policy.toolchain import Toolchain
from selab.project import Project
from selab.run.experiment import Run
from tests.audit2why import differences


@pytest.mark.parametrize("policy", ["selab_apache", "selab_apache_full"])
def test_every_verdict_is_audit2whys(project: Project, run: Callable[..., Run], policy: str) -> None:
    """Replay the draft's denials under its own policy and the full one, then for the base policy's
    domains."""
    records = run("apache", mode="permissive").window.lines
    loaded = run("apache", policy=policy, mode="permissive").loaded
    linked = linked_file(Toolchain(LocalHost(), str(project.state / "policy")), loaded.digest)
    denials = [line for line in records if line.startswith(b"type=AVC ")]
    names = (f"{policy}_t".encode(), b"container_t", b"spc_t")
    lines = [line.replace(b"selab_apache_t", name) for name in names for line in denials]
    assert (
        differences(
            linked,
            [re.sub(rb":\d+\): ", b":%d): " % place, line, count=1) for place, line in enumerate(lines, 1)],
        )
        == []
    )

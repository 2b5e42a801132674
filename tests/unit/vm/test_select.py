"""The machine that selab.yaml selects."""

from __future__ import annotations

from dataclasses import replace

import pytest

from selab.project import HostConfig, Project, ProjectConfig, VmConfig
from selab.vm.existing import ExistingHost
from selab.vm.select import machine_of
from selab.vm.virtual_machine import VirtualMachine


@pytest.mark.parametrize(
    ("vm", "kind", "managed"),
    [
        (VmConfig(), VirtualMachine, True),
        (VmConfig(box="host", host=HostConfig(address="lab.test")), ExistingHost, False),
    ],
    ids=["vm", "host"],
)
def test_an_existing_host_is_not_managed(project: Project, vm: VmConfig, kind: type, managed: bool) -> None:
    machine = machine_of(replace(project, config=ProjectConfig(vm=vm)))
    assert (type(machine), machine.managed) == (kind, managed)

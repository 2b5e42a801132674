"""The parameters that selab passes to Vagrant, as the file that the Vagrantfile reads."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from selab.machine import VagrantParameters

ALL: dict[str, Any] = {
    "name": "selab-project-01234567",
    "profile": "debian13",
    "provider": "libvirt",
    "box": "selab-debian13-0123456789ab",
    "urls": {"libvirt": "file:///cache/debian13.box"},
    "checksums": {"libvirt": "ab12"},
    "cpus": 2,
    "memory": 2048,
    "port": 2222,
    "session": False,
    "accel": "qemu",
    "cpu_features": ["ssse3", "popcnt"],
    "agent": True,
    "kernel": "/cache/vmlinuz",
    "initrd": "/cache/initrd.img",
    "cmdline": "root=/dev/vda rw",
}
VAGRANTFILE = Path(__file__).parents[2] / "Vagrantfile"


@pytest.mark.parametrize(
    "data",
    [
        {},
        ALL,
        {"port": 2222},
        {"cpus": 4, "boot_timeout": 900, "disposable": True},
        {"port": "2222", "kernel": None, "cpu_features": "popcnt"},
    ],
    ids=["nothing", "all", "one", "keys of the user", "other types"],
)
def test_a_file_is_written_as_it_was_read(data: dict[str, Any]) -> None:
    assert json.loads(json.dumps(VagrantParameters.from_json(data).to_json())) == data


def test_each_parameter_is_read_into_its_field() -> None:
    parameters = VagrantParameters.from_json(ALL)
    assert {name: getattr(parameters, name) for name in ALL} == ALL
    assert parameters.other == {}


def test_a_value_of_another_type_is_no_parameter() -> None:
    parameters = VagrantParameters.from_json({"port": "2222", "box": 1})
    assert (parameters.port, parameters.box) == (None, None)


def test_a_new_value_replaces_one_of_another_type() -> None:
    parameters = VagrantParameters.from_json({"port": "2222"})
    assert dataclasses.replace(parameters, port=2200).to_json() == {"port": 2200}


@pytest.mark.parametrize("key", sorted(ALL.keys() - {"profile", "provider"}))
def test_the_vagrantfile_reads_each_parameter(key: str) -> None:
    """`profile` and `provider` are for selab itself."""
    assert f'vm["{key}"]' in VAGRANTFILE.read_text().replace("'", '"')

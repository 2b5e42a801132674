"""The format machineconfig: Butane and a MachineConfig that put the modules and a unit on a node."""

from __future__ import annotations

import base64
import configparser
from typing import Any

import pytest
import yaml

from selab.export.node_config import kubernetes_name, machineconfig

from .conftest import MaterialOf, cil, paths, text_of

DIRECTORY = "/etc/selinux/packages/web"


def unit_of(data: dict[str, Any]) -> configparser.ConfigParser:
    (unit,) = data["systemd"]["units"]
    assert (unit["name"], unit["enabled"]) == ("selinux-module-web.service", True)
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(unit["contents"])
    return parser


def test_there_is_a_file_for_each_kind_of_system(proven: MaterialOf) -> None:
    assert paths(machineconfig(proven(cil()))) == ["web.bu", "99-worker-selinux-web.yaml"]


def test_butane_has_each_module_as_it_was_written(proven: MaterialOf) -> None:
    material = proven(cil())
    data = yaml.safe_load(text_of(machineconfig(material), "web.bu"))
    assert (data["variant"], data["version"]) == ("fcos", "1.5.0")
    contents = {file["path"]: file["contents"]["inline"].encode() for file in data["storage"]["files"]}
    assert contents == {f"{DIRECTORY}/{file.path}": file.data for file in material.cil()}


def test_the_machine_config_has_each_module_as_it_was_written(proven: MaterialOf) -> None:
    material = proven(cil())
    data = yaml.safe_load(text_of(machineconfig(material), "99-worker-selinux-web.yaml"))
    assert data["kind"] == "MachineConfig"
    assert data["metadata"]["labels"] == {"machineconfiguration.openshift.io/role": "worker"}
    config = data["spec"]["config"]
    contents = {
        file["path"]: base64.b64decode(file["contents"]["source"].partition("base64,")[2])
        for file in config["storage"]["files"]
    }
    assert contents == {f"{DIRECTORY}/{file.path}": file.data for file in material.cil()}
    assert unit_of(config).has_section("Service")


def test_the_unit_installs_the_modules_once_per_version(proven: MaterialOf) -> None:
    material = proven(cil())
    unit = unit_of(yaml.safe_load(text_of(machineconfig(material), "web.bu")))
    stamp = f"{DIRECTORY}/installed-{material.version}"
    assert unit["Unit"]["ConditionPathExists"] == f"!{stamp}"
    text = text_of(machineconfig(material), "web.bu")
    install = f"ExecStart=/usr/sbin/semodule -X 400 -i {DIRECTORY}/base_container.cil {DIRECTORY}/web.cil"
    assert text.index(install) < text.index(f"ExecStart=/usr/bin/touch {stamp}")


@pytest.mark.parametrize(
    ("policy", "name"), [("my_web", "my-web"), ("_Web.x-", "web-x"), ("_", "policy"), ("a__b", "a-b")]
)
def test_the_name_of_an_object_is_one_that_kubernetes_accepts(policy: str, name: str) -> None:
    assert kubernetes_name(policy) == name

"""Export what puts the policy on Fedora CoreOS (Butane) and on nodes of OpenShift (a MachineConfig).

Both put the modules below /etc/selinux, beside the module store: a rollback of the system restores both. A
unit installs them once per version.
"""

from __future__ import annotations

import base64
import re
from typing import Any

from selab.export.files import Exported, ExportedFile
from selab.export.material import Material
from selab.export.yaml_text import yaml_text
from selab.policy.guest.module_store import PRIORITY

BUTANE = {"variant": "fcos", "version": "1.5.0"}
IGNITION = "3.2.0"
"""The version of Ignition's format that Butane writes for the oldest OpenShift that it knows (4.8)."""
ROLE = "worker"
DIRECTORY = "/etc/selinux/packages"
MODE = 0o644
UNIT = """\
[Unit]
Description=Install the SELinux policy module {name}
ConditionSecurity=selinux
ConditionPathExists=!{stamp}
Before=crio.service kubelet.service podman-auto-update.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/sbin/semodule -X {priority} -i {files}
ExecStart=/usr/bin/touch {stamp}

[Install]
WantedBy=multi-user.target
"""


def machineconfig(material: Material) -> Exported:
    """Return a Butane file, and the MachineConfig for the workers of an OpenShift cluster."""
    modules = material.cil()
    header = material.proof.header
    name = f"99-{ROLE}-selinux-{kubernetes_name(material.name)}"
    files = [
        ExportedFile(f"{material.name}.bu", yaml_text(header, _butane(material, modules))),
        ExportedFile(f"{name}.yaml", yaml_text(header, _machine_config(name, material, modules))),
    ]
    commands = (f"butane --strict {material.name}.bu > {material.name}.ign", f"oc apply -f {name}.yaml")
    return Exported(files, commands, ("The MachineConfig restarts the workers, as any does.",))


def kubernetes_name(policy: str) -> str:
    """Return a name that Kubernetes accepts for an object: small letters, digits and `-`."""
    return re.sub(r"[^a-z0-9]+", "-", policy.lower()).strip("-") or "policy"


def _butane(material: Material, modules: list[ExportedFile]) -> dict[str, Any]:
    files = [
        {"path": _path(material, file), "mode": MODE, "contents": {"inline": file.data.decode()}}
        for file in modules
    ]
    return {**BUTANE, "storage": {"files": files}, "systemd": {"units": [_unit(material, modules)]}}


def _machine_config(name: str, material: Material, modules: list[ExportedFile]) -> dict[str, Any]:
    files = [
        {
            "path": _path(material, file),
            "mode": MODE,
            "overwrite": True,
            "contents": {
                "source": f"data:text/plain;charset=utf-8;base64,{base64.b64encode(file.data).decode()}"
            },
        }
        for file in modules
    ]
    return {
        "apiVersion": "machineconfiguration.openshift.io/v1",
        "kind": "MachineConfig",
        "metadata": {"name": name, "labels": {"machineconfiguration.openshift.io/role": ROLE}},
        "spec": {
            "config": {
                "ignition": {"version": IGNITION},
                "storage": {"files": files},
                "systemd": {"units": [_unit(material, modules)]},
            }
        },
    }


def _unit(material: Material, modules: list[ExportedFile]) -> dict[str, Any]:
    contents = UNIT.format(
        name=material.name,
        stamp=f"{DIRECTORY}/{material.name}/installed-{material.version}",
        priority=PRIORITY,
        files=" ".join(_path(material, file) for file in modules),
    )
    return {"name": f"selinux-module-{material.name}.service", "enabled": True, "contents": contents}


def _path(material: Material, file: ExportedFile) -> str:
    return f"{DIRECTORY}/{material.name}/{file.path}"

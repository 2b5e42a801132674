"""Export a role that installs the policy through the role linux-system-roles.selinux.

That role copies each file of its variable `selinux_modules` to the managed node, and installs it if its
checksum differs (linux-system-roles/selinux, README.md and tasks/selinux_load_module.yml).
"""

from __future__ import annotations

import re
from typing import Any

from selab import __version__
from selab.export.files import Exported, ExportedFile
from selab.export.material import Material
from selab.export.yaml_text import yaml_text
from selab.policy.guest.module_store import PRIORITY

SYSTEM_ROLE = "linux-system-roles.selinux"
COLLECTION_ROLE = "fedora.linux_system_roles.selinux"


def ansible(material: Material) -> Exported:
    """Return a role in a directory with the policy's name."""
    modules = material.cil()
    texts = {
        "defaults/main.yml": {f"{_prefix(material)}_system_role": SYSTEM_ROLE},
        "meta/main.yml": _meta(material),
        "tasks/main.yml": _tasks(material, [file.path for file in modules]),
    }
    role = material.name
    files = [
        *(
            ExportedFile(f"{role}/{path}", yaml_text(material.proof.header, data))
            for path, data in texts.items()
        ),
        *(ExportedFile(f"{role}/files/{file.path}", file.data) for file in modules),
    ]
    variable = f"{_prefix(material)}_system_role"
    note = f"If you have the system roles as a collection, set {variable} to {COLLECTION_ROLE}."
    return Exported(files, (f"ansible HOST -m include_role -a name={role}",), (note,))


def _prefix(material: Material) -> str:
    """Return the beginning of the role's variables. Ansible allows no `.` and no `-` in them."""
    return re.sub(r"\W", "_", material.name, flags=re.ASCII) + "_selinux"


def _meta(material: Material) -> dict[str, Any]:
    info = {
        "role_name": re.sub(r"\W", "_", material.name.lower(), flags=re.ASCII),
        "author": f"selab {__version__}",
        "description": f"Installs the SELinux policy module {material.name}",
        "license": "unknown",
        "min_ansible_version": "2.9",
        "platforms": [{"name": "Fedora", "versions": ["all"]}, {"name": "EL", "versions": ["all"]}],
    }
    return {"galaxy_info": info, "dependencies": []}


def _tasks(material: Material, files: list[str]) -> list[dict[str, Any]]:
    prefix = _prefix(material)
    directory = f"{prefix}_files"
    modules = [
        {"path": f"{{{{ {directory} }}}}/{file}", "priority": str(PRIORITY), "state": "enabled"}
        for file in files
    ]
    return [
        {
            "name": "Remember the directory of the modules",
            # In an included role, `role_path` would be that role's own.
            "ansible.builtin.set_fact": {directory: "{{ role_path }}/files"},
        },
        {
            "name": f"Install the SELinux policy module {material.name}",
            "ansible.builtin.include_role": {"name": f"{{{{ {prefix}_system_role }}}}"},
            "vars": {"selinux_modules": modules},
        },
    ]

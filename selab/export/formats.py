"""The formats of exports. This table is the only list of them: the command, help texts and tests read it.

A format is a function `NAME(material: Material) -> Exported` in a module of this package, and a line in
`_FORMATS`. The module is imported when the format is used.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from selab.export.files import Exported
    from selab.export.material import Material


@dataclass(frozen=True)
class Format:
    """A format of exports.

    name: the value of `--as`.
    module: the module in this package with its function.
    help: what it is for, in few words.
    """

    name: str
    module: str
    help: str

    def export(self, material: Material) -> Exported:
        """Return the files of the policy in this format.

        Raises InputError if the policy cannot be expressed in it.
        """
        function = getattr(importlib.import_module(f"selab.export.{self.module}"), self.name)
        exported: Exported = function(material)
        return exported


_FORMATS = (
    Format("te", "sources", "all sources"),
    Format("cil", "sources", "CIL for semodule"),
    Format("pp", "sources", "policy packages for semodule"),
    Format("rpm", "rpm", "a spec file and its sources"),
    Format("deb", "deb", "the tree of a Debian package"),
    Format("ansible", "ansible", "a role that uses linux-system-roles.selinux"),
    Format("spo", "selinux_profile", "a SelinuxProfile of the security-profiles-operator"),
    Format("machineconfig", "node_config", "Butane for Fedora CoreOS, and a MachineConfig for OpenShift"),
    Format("containerfile", "bootc", "the build of a bootc image"),
)

FORMATS = {entry.name: entry for entry in _FORMATS}
"""Each format by its name."""

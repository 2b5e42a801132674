"""Export the tree of a Debian package, which `dpkg-deb --build` makes a package of.

The maintainer scripts are files of selab. dpkg gives them the package's name, and they find the modules in
its directory, so that they contain nothing of a policy.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from selab.export.files import Exported, ExportedFile
from selab.export.material import Material

SCRIPTS = ("preinst", "postinst", "prerm")
MODULES = "usr/share/selinux/packages"
TEMPLATES = "templates"
"""The directory beside the modules with those that stay if the package is removed."""


def deb(material: Material) -> Exported:
    """Return the package's tree: the control files, and the policy as CIL, which any semodule reads."""
    name = package_name(material.name)
    tree = f"{name}_{material.version}_all"
    templates = {f"{each.name}.cil" for each in material.module.all if each.is_template}
    modules = [
        ExportedFile(f"{tree}/{MODULES}/{name}/{_place(file.path, templates)}", file.data)
        for file in material.cil()
    ]
    control = "".join(f"{line}\n" for line in _control(name, material))
    files = [
        ExportedFile(f"{tree}/DEBIAN/control", control.encode()),
        *(ExportedFile(f"{tree}/DEBIAN/{script}", _script(script), 0o755) for script in SCRIPTS),
        *modules,
    ]
    build = f"dpkg-deb --root-owner-group --build {tree}"
    return Exported(files, (build,), ("Replace the Maintainer in DEBIAN/control by your address.",))


def package_name(policy: str) -> str:
    """Return the name of the package. Names of Debian's packages have no capitals and no `_`."""
    return re.sub(r"[^a-z0-9.-]", "-", f"{policy.lower().lstrip('_.-') or 'policy'}-selinux")


def _place(file: str, templates: set[str]) -> str:
    return f"{TEMPLATES}/{file}" if file in templates else file


def _control(name: str, material: Material) -> Iterator[str]:
    yield f"Package: {name}"
    yield f"Version: {material.version}"
    yield "Architecture: all"
    yield "Maintainer: root <root@localhost>"
    yield "Section: admin"
    yield "Priority: optional"
    yield "Depends: policycoreutils"
    yield "Recommends: selinux-policy-default"
    yield f"Description: SELinux policy module {material.name}"
    yield from (f" {line}" for line in material.proof.header)


def _script(name: str) -> bytes:
    return (Path(__file__).parent / "maintainer" / f"{name}.sh").read_bytes()

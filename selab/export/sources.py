"""Export what semodule and the policy's Makefile read: sources, CIL and policy packages."""

from __future__ import annotations

from selab.errors import InputError
from selab.export.files import Exported, ExportedFile
from selab.export.material import Material
from selab.policy.guest.module_store import PRIORITY


def te(material: Material) -> Exported:
    """Return all sources as their authors wrote them. Raises InputError for a policy in CIL."""
    _require_te(material, "Export it with `--as cil`.")
    make = f"make -f /usr/share/selinux/devel/Makefile {material.name}.pp"
    return Exported(material.sources(), (make,))


def cil(material: Material) -> Exported:
    """Return each module as CIL, with the templates that the policy needs."""
    files = material.cil()
    return Exported(files, (_install(files),))


def pp(material: Material) -> Exported:
    """Return a policy package of each .te. Raises InputError for a policy in CIL.

    A package has no room for a comment, so a text file beside it has the header.
    """
    _require_te(material, "semodule installs CIL as it is: export it with `--as cil`.")
    cil_modules = [each for each in material.module.all if each.language == "cil"]
    modules = [*material.packages(), *material.sources(cil_modules)]
    about = ExportedFile(f"{material.name}.pp.txt", material.header("").replace(b"\n ", b"\n").lstrip())
    version = (
        "The package has the version of this machine's checkmodule, which the target's semodule must know."
    )
    return Exported([*modules, about], (_install(modules),), (version,))


def _require_te(material: Material, hint: str) -> None:
    if material.module.language != "te":
        raise InputError(f"The policy '{material.name}' is not a .te.", str(material.module.path), hint)


def _install(files: list[ExportedFile]) -> str:
    return f"semodule -X {PRIORITY} -i {' '.join(file.path for file in files)}"

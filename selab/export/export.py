"""`selab export`: write a policy that an enforcing run has proven in one of the formats."""

from __future__ import annotations

import datetime
from dataclasses import replace
from pathlib import Path

from selab.analysis.offline import find_base, last_base
from selab.export.files import Exported, write_new
from selab.export.formats import Format
from selab.export.material import Material
from selab.export.proof import proof_of
from selab.policy.module import PolicyModule, load_module
from selab.policy.on_base import needs_base, on_base
from selab.progress import Progress
from selab.project import Project


def export(
    project: Project,
    policy: str,
    form: Format,
    directory: Path,
    progress: Progress,
    *,
    unproven: bool = False,
) -> Exported:
    """Write `policy` into `directory`, and return what was written.

    Raises InputError, without writing anything, if no enforcing run proves the policy's text and `unproven`
    is false, if the format cannot express the policy, or if a file exists.
    """
    proof = proof_of(project, load_module(project, policy))
    if not unproven:
        proof.require()
    if proof.run is None and proof.module.language == "cil":
        proof = replace(proof, module=_on_known_base(project, proof.module))
    material = Material(project, proof, progress, datetime.datetime.now(datetime.UTC))
    material.require_names()
    exported = form.export(material)
    write_new(directory, exported.files)
    return exported


def _on_known_base(project: Project, module: PolicyModule) -> PolicyModule:
    """Return the module as it is on the base policy that answers for the project.

    Raises SelabError if none is known and the module's rules depend on it.
    """
    find = last_base if needs_base(module) else find_base
    base = find(project, Progress(), module.replaced)
    return on_base(module, base) if base else module

"""`selab export`: write a policy that an enforcing run has proven in one of the formats."""

from __future__ import annotations

import datetime
from dataclasses import replace
from pathlib import Path

from selab.analysis.offline import find_base
from selab.export.files import Exported, write_new
from selab.export.formats import Format
from selab.export.material import Material
from selab.export.proof import proof_of
from selab.policy.guest_templates import on_base
from selab.policy.module import load_module
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
    if proof.run is None and proof.module.language == "cil" and (base := find_base(project, Progress())):
        proof = replace(proof, module=on_base(proof.module, base))
    material = Material(project, proof, progress, datetime.datetime.now(datetime.UTC))
    material.require_names()
    exported = form.export(material)
    write_new(directory, exported.files)
    return exported

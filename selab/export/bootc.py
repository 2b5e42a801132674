"""Export the build of an image for bootc, which has the policy in its module store."""

from __future__ import annotations

import json

from selab.export.files import Exported, ExportedFile
from selab.export.material import Material

DIRECTORY = "/usr/share/selinux/packages"
PRIORITY = 200
"""The priority of modules that come with the system but not with its policy; administrators' have 400."""


def containerfile(material: Material) -> Exported:
    """Return a Containerfile, whose base image is an argument, and the modules that it copies."""
    modules = material.cil()
    directory = f"{DIRECTORY}/{material.name}/"
    installed = [f"{directory}{file.path}" for file in modules]
    # The module store is built without a kernel with SELinux, so semodule loads nothing.
    command = ["semodule", "--noreload", "-X", str(PRIORITY), "-i", *installed]
    lines = (
        *(f"# {line}" for line in material.proof.header),
        "ARG BASE",
        "FROM ${BASE}",
        # A list of JSON has no shell: no name is split or expanded.
        f"COPY {json.dumps([*(file.path for file in modules), directory])}",
        f"RUN {json.dumps(command)}",
    )
    text = "".join(f"{line}\n" for line in lines)
    build = "podman build --build-arg BASE=IMAGE -t IMAGE-WITH-POLICY ."
    return Exported([ExportedFile("Containerfile", text.encode()), *modules], (build,))

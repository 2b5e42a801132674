"""What the formats are made from: the sources of a policy, its CIL and its policy packages."""

from __future__ import annotations

import datetime
import functools
from collections.abc import Iterable
from dataclasses import dataclass

from selab.analysis.offline import last_base
from selab.errors import InputError, SelabError
from selab.export.files import ExportedFile
from selab.export.proof import Proof
from selab.policy.base import BasePolicy
from selab.policy.candidate import compiled_all
from selab.policy.compile import CompiledModule, package
from selab.policy.module import PolicyModule, parsed
from selab.policy.module_files import PROFILE
from selab.policy.toolchain import Toolchain, host_toolchain
from selab.policy.udica_policy import KIND, laid_out
from selab.progress import Progress
from selab.project import IDENTIFIER, Project


@dataclass(frozen=True)
class Material:
    """A policy that is exported.

    project: the project of the policy.
    proof: the policy, and the run that proves it.
    progress: reports the steps.
    now: the time of the export, the version of an export without a proof.
    """

    project: Project
    proof: Proof
    progress: Progress
    now: datetime.datetime

    @property
    def module(self) -> PolicyModule:
        return self.proof.module

    @property
    def name(self) -> str:
        return self.module.name

    @property
    def version(self) -> str:
        return self.proof.version(self.now)

    def header(self, mark: str) -> bytes:
        """Return the header as comment lines that begin with `mark`."""
        return "".join(f"{mark} {line}\n" for line in self.proof.header).encode()

    def require_names(self) -> None:
        """Raise InputError if a template's name, which is only that of a file, cannot be a module's name."""
        for each in self.module.all:
            if not IDENTIFIER.fullmatch(each.name):
                raise InputError(
                    f"{ascii(each.name)} cannot be a module's name.",
                    str(each.path),
                    "Rename the file: use letters, digits, '_', '.' and '-', and begin with a letter.",
                )

    @functools.cached_property
    def base(self) -> BasePolicy:
        """The base policy of the run that proves the policy, or else the one that answers for the project.

        Raises SelabError if it is unknown, or if that of the run is no longer in the cache.
        """
        if self.proof.base:
            return self.proof.base
        if self.proof.is_proven and self.proof.run:
            raise SelabError(
                "The base policy of the run is no longer in the cache.",
                f"The run {self.proof.run.run} had the base policy {self.proof.run.base}.",
                "Run the scenario again, import the base policy, or export with `--as te`.",
            )
        return last_base(self.project, self.progress, self.module.replaced)

    @functools.cached_property
    def tools(self) -> Toolchain:
        workdir = self.project.own_directory("policy", "export")
        return host_toolchain(workdir, "An export", self.base.demands)

    @functools.cached_property
    def compiled(self) -> dict[str, CompiledModule]:
        """The modules as plain CIL, by their names. Raises InputError if one does not compile."""
        return {each.name: each for each in self.compiled_of(self.module)}

    def compiled_of(self, module: PolicyModule) -> list[CompiledModule]:
        with self.progress.step(f"Compiling {module.name}"):
            return compiled_all([module], self.base, self.tools, self.project.own_directory("compiled"))

    def sources(self, modules: Iterable[PolicyModule] | None = None) -> list[ExportedFile]:
        """Return all sources as their authors wrote them, each below the header."""
        return [
            ExportedFile(f"{each.name}.{ending}", self.header(";" if ending == "cil" else "#") + text)
            for each in (self.module.all if modules is None else modules)
            for ending, text in sorted((each.texts | _cil_text(each)).items())
            if ending != PROFILE  # its translation is there too
        ]

    def cil(self) -> list[ExportedFile]:
        """Return each module as CIL: as its author wrote it, or what the package of a .te gives."""
        return [
            ExportedFile(f"{each.name}.cil", self.header(";") + self._cil_of(each))
            for each in self.module.all
        ]

    def packages(self) -> list[ExportedFile]:
        """Return each .te as a policy package."""
        modules = [each for each in self.module.all if each.language == "te"]
        with self.progress.step(f"Building {self.name}.pp"):
            return [
                ExportedFile(f"{each.name}.pp", package(each, self.module, self.base, self.tools))
                for each in modules
            ]

    def _cil_of(self, module: PolicyModule) -> bytes:
        if module.language == "cil":
            # An export without a proof may be of a text that nothing has read yet.
            parsed(module)
            return _cil_text(module)["cil"]
        return self.compiled[module.name].cil.encode()


def _cil_text(module: PolicyModule) -> dict[str, bytes]:
    """Return the CIL of a module by its ending, that of a UdicaPolicy for people to read; none of a .te."""
    texts = {ending: text for ending, text in module.texts.items() if ending == "cil"}
    if module.yaml_kind == KIND:
        return {ending: laid_out(text.decode()).encode() for ending, text in texts.items()}
    return texts

"""The project: the directory with selab.yaml, and what lies where in it."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from selab.errors import InputError
from selab.yamlfile import load

CONFIG = "selab.yaml"


class BoxSource(BaseModel):
    """A box of the user's own: by `url` with its `sha256` (hex), or by `file`."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    url: str = ""
    sha256: Annotated[str, Field(pattern="^([0-9a-f]{64})?$")] = ""
    file: str = ""


class VmConfig(BaseModel):
    """The `vm:` part of selab.yaml. `memory` is in MiB."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    box: Literal["auto", "debian13", "centos9", "centos10"] = "auto"
    source: BoxSource | None = None
    provider: Literal["auto", "libvirt", "virtualbox"] = "auto"
    cpus: Annotated[int, Field(ge=1, le=64)] = 2
    memory: Annotated[int, Field(ge=1024, le=262144)] = 2048


class PolicyConfig(BaseModel):
    """A policy's entry below `policies:` in selab.yaml. `requires` are other policies of the project, compiled and linked with it."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    requires: tuple[str, ...] = ()


class ProjectConfig(BaseModel):
    """selab.yaml. Every key may be left out; `policies` is by the policy's name."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    vm: VmConfig = VmConfig()
    policies: dict[str, PolicyConfig] = {}


@dataclass(frozen=True)
class Project:
    """A project's directories. `vagrant_dir` holds the Vagrantfile; it is `root` unless the user points elsewhere. `drafts` is a directory
    of selab's own from which the policies are taken instead, while it works on them."""

    root: Path
    config: ProjectConfig
    vagrant_dir: Path
    drafts: Path | None = None

    @property
    def state(self) -> Path:
        """selab's own directory in the project: logs, history, what is known of the VM."""
        path = self.root / ".selab"
        path.mkdir(exist_ok=True)
        return path

    @property
    def policies(self) -> Path:
        return self.drafts or self.root / "policies"

    @property
    def scenarios(self) -> Path:
        return self.root / "scenarios"

    @property
    def images(self) -> Path:
        return self.root / "images"


def find_project(start: Path, vagrant_dir: Path | None = None) -> Project:
    """The project that `start` lies in: the nearest directory upwards with a selab.yaml. Raises InputError."""
    start = start.resolve()
    for root in (start, *start.parents):
        if (root / CONFIG).is_file():
            config = load(root / CONFIG, ProjectConfig)
            return Project(root, config, (vagrant_dir or root).resolve())
    raise InputError(f"There is no {CONFIG} in {start} or above it.", hint="Go to a selab project, or name one with --project.")


def nearest(name: str, known: list[str]) -> str:
    """A hint that names what the user may have meant, out of `known`."""
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    if close:
        return "Did you mean " + " or ".join(f"'{one}'" for one in close) + "?"
    return "There are: " + ", ".join(known) + "." if known else ""

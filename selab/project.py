"""The project: the directory with selab.yaml, and what lies where in it."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from selab.errors import InputError
from selab.host.tables import PROFILES, table
from selab.host.yamlfile import load

CONFIG = "selab.yaml"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
"""A scenario's or image's name: it becomes a file's name, a container's name and part of a tag."""
IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,127}")
"""A policy's name, and what a policy may declare: part of a command line and of make's rules."""

if TYPE_CHECKING:
    BoxName = str
else:
    BoxName = Literal[("auto", *table(PROFILES))]
PolicyName = Annotated[str, Field(pattern=f"^{IDENTIFIER.pattern}$")]


class BoxSource(BaseModel):
    """A box of the user's own: by `url` with its `sha256` (hex), or by `file`."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    url: Annotated[str, Field(pattern="^((https?|file)://[!-~]+)?$")] = ""
    sha256: Annotated[str, Field(pattern="^([0-9a-f]{64})?$")] = ""
    file: Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]*$")] = ""


class HostConfig(BaseModel):
    """An existing machine that selab reaches by SSH, as root or as a `user` with sudo and without a password.

    `address` may be an alias of your ~/.ssh/config, which gives everything that is not given here:
    `port` (else 22), `user` (else root), `key`, the private key's file (else ssh's default keys and the SSH
    agent's keys), and `known_hosts`, OpenSSH's file of host keys (else ~/.ssh/known_hosts).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    address: Annotated[str, Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9.:_-]*[A-Za-z0-9])?$", max_length=253)]
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    user: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_.-]{0,63}$")] | None = None
    key: Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]*$")] = ""
    known_hosts: Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]+$")] | None = None

    @field_validator("address")
    @classmethod
    def _has_no_port(cls, address: str) -> str:
        if address.count(":") == 1:  # two and more are an IPv6 address
            raise ValueError("give the port as `port:`, not in `address`")
        return address


class VmConfig(BaseModel):
    """The `vm:` part of selab.yaml. `memory` is in MiB. `box: host` takes the machine that `host` names, and makes no VM."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    box: BoxName | Literal["host"] = "auto"
    host: HostConfig | None = None
    source: BoxSource | None = None
    provider: Literal["auto", "libvirt", "virtualbox"] = "auto"
    cpus: Annotated[int, Field(ge=1, le=64)] = 2
    memory: Annotated[int, Field(ge=1024, le=262144)] = 2048

    @model_validator(mode="after")
    def _host_belongs_to_its_box(self) -> VmConfig:
        if (self.box == "host") is (self.host is None):
            raise ValueError("`box: host` goes with `host: {address: ...}`, and no other box does")
        return self


class PolicyConfig(BaseModel):
    """A policy's entry below `policies:` in selab.yaml. `requires` are other policies of the project, compiled and linked with it."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    requires: tuple[PolicyName, ...] = ()


class ProjectConfig(BaseModel):
    """selab.yaml. Every key may be left out; `policies` is by the policy's name."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    vm: VmConfig = VmConfig()
    policies: dict[PolicyName, PolicyConfig] = {}


@dataclass(frozen=True)
class Project:
    """A project's directories. `vagrant_dir` holds the Vagrantfile; it is `root` unless the user points elsewhere. `drafts` is a directory
    of selab's own from which the policies are taken instead, while it works on them. `waits`: for a VM that another selab uses."""

    root: Path
    config: ProjectConfig
    vagrant_dir: Path
    drafts: Path | None = None
    waits: bool = True

    @property
    def state(self) -> Path:
        """selab's own directory in the project: logs, history, what is known of the VM."""
        path = self.root / ".selab"
        path.mkdir(exist_ok=True)
        return path

    @property
    def store(self) -> Path:
        """What the guest has said of its policy store."""
        return self.state / "store.json"

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
    raise InputError(
        f"There is no {CONFIG} in {start} or above it.",
        hint="Go to a project, name one with --project, or make one: `selab init`.",
    )


def inside(directory: Path, path: Path, what: str) -> Path:
    """`path` with its links followed. Raises InputError where that leads out of `directory`: nobody has named what is there."""
    try:
        found, root = path.resolve(), directory.resolve()
    except (OSError, RuntimeError, ValueError) as error:
        raise InputError(f"{what} cannot be found.", f"{path}: {error}") from error
    if not found.is_relative_to(root):
        raise InputError(
            f"{what} lies outside of {root}.",
            f"{path} is {found}",
            "Copy it there; links and '..' are not followed out.",
        )
    return found


def nearest(name: str, known: list[str]) -> str:
    """A hint that names what the user may have meant, out of `known`."""
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    if close:
        return "Did you mean " + " or ".join(f"'{one}'" for one in close) + "?"
    return "There are: " + ", ".join(known) + "." if known else ""

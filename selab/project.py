"""Load the project: the directory with selab.yaml, and the paths in it."""

from __future__ import annotations

import difflib
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, field_validator, model_validator

from selab.errors import InputError, SelabError
from selab.host.binding import state_directory
from selab.host.private import private_directory
from selab.host.tables import PROFILES, table
from selab.host.trusted import directories, owner_is_trusted
from selab.host.yamlfile import UserModel, load

CONFIG = "selab.yaml"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
"""The name of a scenario or image, which becomes a file name, a container name and part of a tag."""
IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,127}")
"""The name of a policy, or a name that a policy declares; it is part of command lines and of make rules."""
NEW_POLICY = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
"""The name of a policy that selab writes: not every compiler accepts '.' and '-' in the name of a type."""

if TYPE_CHECKING:
    BoxName = str
else:
    BoxName = Literal[("auto", *table(PROFILES))]
PolicyName = Annotated[str, Field(pattern=f"^{IDENTIFIER.pattern}$")]


class BoxSource(UserModel):
    """A box of your own, by URL or by file.

    url: address of the box.
    sha256: digest of the box at `url`, in hex.
    file: path of the box.
    """

    url: Annotated[str, Field(pattern="^((https?|file)://[!-~]+)?$")] = ""
    sha256: Annotated[str, Field(pattern="^([0-9a-f]{64})?$")] = ""
    file: Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]*$")] = ""


class HostConfig(UserModel):
    """An existing machine, reached over SSH as root or as a user with passwordless sudo.

    address: name or address of the machine, or an alias of your ~/.ssh/config, which then gives what is
        missing here.
    port: SSH port, by default 22.
    user: user name, by default root.
    key: file of the private key, by default ssh's default keys and the SSH agent's keys.
    known_hosts: OpenSSH file of host keys, by default ~/.ssh/known_hosts.
    """

    address: Annotated[str, Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9.:_-]*[A-Za-z0-9])?$", max_length=253)]
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    user: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_.-]{0,63}$")] | None = None
    key: Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]*$")] = ""
    known_hosts: Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]+$")] | None = None

    @field_validator("address")
    @classmethod
    def _has_no_port(cls, address: str) -> str:
        if address.count(":") == 1:  # An IPv6 address has at least two.
            raise ValueError("give the port as `port:`, not in `address`")
        return address


class GuestSettings(UserModel):
    """Settings of a guest.

    box: box of the VM; `host` uses the machine that `host` describes, and no VM.
    host: existing machine.
    source: box of your own.
    provider: Vagrant provider.
    cpus: number of processors.
    memory: memory in MiB.
    """

    box: BoxName | Literal["host"] = "auto"
    host: HostConfig | None = None
    source: BoxSource | None = None
    provider: Literal["auto", "libvirt", "virtualbox"] = "auto"
    cpus: Annotated[int, Field(ge=1, le=64)] = 2
    memory: Annotated[int, Field(ge=1024, le=262144)] = 2048

    @model_validator(mode="after")
    def _host_belongs_to_its_box(self) -> GuestSettings:
        if (self.box == "host") is (self.host is None):
            raise ValueError("`box: host` requires `host: {address: ...}`, and no other box allows it")
        return self


class VmConfig(GuestSettings):
    """The `vm:` part of selab.yaml.

    base: base policy for the commands that use no VM (check, audit, replay, explain, suggest): its name or
        the beginning of its fingerprint, as `selab base list` prints them. By default that of the last run.
    """

    base: Annotated[str, Field(pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]{0,63})?$")] = ""


class PolicyConfig(UserModel):
    """The entry of a policy below `policies:` in selab.yaml.

    requires: other policies of the project to compile and link with it.
    """

    requires: tuple[PolicyName, ...] = ()


class ProjectConfig(UserModel):
    """The file selab.yaml, in which every key is optional.

    vm: settings of the VM.
    policies: settings of policies, by name.
    """

    vm: VmConfig = VmConfig()
    policies: dict[PolicyName, PolicyConfig] = {}


@dataclass(frozen=True)
class Project:
    """The directories of a project.

    root: directory with selab.yaml.
    config: settings in selab.yaml.
    vagrant_dir: directory of the Vagrantfile; `root` by default.
    drafts: selab's own directory with the policies that it is working on, used instead of `policies`, or
        None.
    waits: whether to wait for a VM that another selab process uses.
    """

    root: Path
    config: ProjectConfig
    vagrant_dir: Path
    drafts: Path | None = None
    waits: bool = True

    @property
    def state(self) -> Path:
        """Return selab's own directory in the project: logs, history, recorded state of the VM."""
        return state_directory(self.root / ".selab")

    def own_directory(self, *names: str) -> Path:
        """Return the private directory below `state` that `names` lead to; create it if it does not exist.

        Raises SelabError if one of them is a link or a file.
        """
        path = self.state
        for name in names:
            path /= name
            private_directory(path)
        return path

    @property
    def store(self) -> Path:
        """Return the file with what the guest reported about its policy store."""
        return self.state / "store.json"

    @property
    def policies(self) -> Path:
        return self.drafts or self.root / "policies"

    @property
    def templates(self) -> Path:
        """Return the directory with the files whose blocks a policy in CIL may inherit."""
        return self.root / "policies" / "templates"

    @property
    def scenarios(self) -> Path:
        return self.root / "scenarios"

    @property
    def images(self) -> Path:
        return self.root / "images"


def find_project(start: Path, vagrant_dir: Path | None = None) -> Project:
    """Find the project of `start`, in it or above it.

    Raises InputError if there is none, and SelabError if it belongs to another user.
    """
    start = start.resolve()
    root = root_above(start)
    if root is None:
        raise InputError(
            f"There is no {CONFIG} in {start} or above it.",
            hint="Change to a project, name one with --project, or create one with `selab init`.",
        )
    _require_owner(root)
    return Project(root, load(root / CONFIG, ProjectConfig), (vagrant_dir or root).resolve())


def root_above(start: Path) -> Path | None:
    """Return the nearest directory with selab.yaml, in `start` or above it, or None if there is none."""
    return next((root for root in (start, *start.parents) if (root / CONFIG).is_file()), None)


def belongs_to_user(root: Path) -> bool:
    """Return whether the project in `root` and its selab.yaml belong to this user."""
    return owner_is_trusted(root) and owner_is_trusted(root / CONFIG)


def _require_owner(root: Path) -> None:
    """Raise SelabError if the project in `root` belongs to another user, who could make selab run a program.

    As in git, a directory above the current one may be anybody's on a shared machine.
    """
    if belongs_to_user(root) or str(root) in directories():
        return
    raise SelabError(
        "This project belongs to another user.",
        f"selab would use it with your rights: {root}",
        f"If you trust its owner and what is in it, run `selab trust {shlex.quote(str(root))}`.",
    )


def inside(directory: Path, path: Path, what: str) -> Path:
    """Return `path` with its links resolved. Raises InputError if it is outside of `directory`."""
    try:
        target, root = path.resolve(), directory.resolve()
    except (OSError, RuntimeError, ValueError) as error:
        raise InputError(
            f"{what} cannot be found.", f"{path}: {error}", "Check the path and its links."
        ) from error
    if not target.is_relative_to(root):
        raise InputError(
            f"{what} is outside of {root}.",
            f"{path} is {target}",
            "Copy it into the directory; links and '..' that lead outside are not followed.",
        )
    return target


def new_policy_name(name: str) -> str:
    """Return `name`, or the most similar name that `selab new policy` accepts."""
    like = name if NEW_POLICY.fullmatch(name) else re.sub(r"\W", "_", name[:40], flags=re.ASCII)
    # `--policy none` means a run without a policy.
    return like if NEW_POLICY.fullmatch(like) and like != "none" else f"my_{like}"


def nearest(name: str, known: list[str]) -> str:
    """Suggest what the user may have meant out of `known`."""
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    if close:
        return "Did you mean " + " or ".join(f"'{match}'" for match in close) + "?"
    return "Available: " + ", ".join(known) + "." if known else ""

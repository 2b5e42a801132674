"""Read a policy that is written as what udica would be told: kind UdicaPolicy.

udica reads the ports, mounts and capabilities of a container from its inspection, takes options, and writes a
block of CIL. A UdicaPolicy has the same facts, and becomes the same block. The rules are those of udica
0.2.2, and those for devices of the versions that have the option --devices.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Literal, Protocol

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from selab.errors import InputError
from selab.host.yamlfile import UserModel, located
from selab.policy.language.cil_source import parse
from selab.policy.selinux_profile import CONTAINER, Lines
from selab.project import nearest

KIND = "UdicaPolicy"
MOST = 100
"""Entries of a list. Each path takes 20 ms, and may have the types of a whole policy."""
PLACES = {"/etc": "config", "/home": "home", "/tmp": "tmp", "/var/log": "log"}
"""Directories for which udica inherits a block, with the first word of its name."""
READING, WRITING = "ro", "rw"
OF_MOUNTS = {
    READING: {
        "dir": "getattr ioctl lock open read search",
        "file": "getattr ioctl lock open read",
        "sock_file": "getattr open read",
    },
    WRITING: {
        "dir": "add_name create getattr ioctl lock open read remove_name rmdir search setattr write",
        "file": "append create getattr ioctl lock map open read rename setattr unlink write",
        "sock_file": "append getattr open read write",
    },
}
"""What udica grants on the types of a mounted path, by the access and the class."""
OF_DEVICES = "append getattr ioctl lock open read write"
"""What udica grants on the types of a device, a block device or a character device."""
CAPABILITIES = {
    "capability": frozenset({
        "audit_control", "audit_write", "chown", "dac_override", "dac_read_search", "fowner", "fsetid",
        "ipc_lock", "ipc_owner", "kill", "lease", "linux_immutable", "mknod", "net_admin",
        "net_bind_service", "net_broadcast", "net_raw", "setfcap", "setgid", "setpcap", "setuid",
        "sys_admin", "sys_boot", "sys_chroot", "sys_module", "sys_nice", "sys_pacct", "sys_ptrace",
        "sys_rawio", "sys_resource", "sys_time", "sys_tty_config",
    }),
    "capability2": frozenset({
        "audit_read", "block_suspend", "bpf", "checkpoint_restore", "mac_admin", "mac_override", "perfmon",
        "syslog", "wake_alarm",
    }),
}  # fmt: skip
"""The capabilities by the class that has them (selinux/include/classmap.h).

udica writes those of capability2 into the class capability, which no policy accepts.
"""
OPTIONS = {
    "full_network_access": "net_container",
    "virt_access": "virt_container",
    "x_access": "x_container",
    "tty_access": "tty_container",
}
"""udica's options, each with the block that it inherits."""


def _normal(path: str) -> str:
    """Return an absolute path in the form in which container engines report it. Raises ValueError."""
    if posixpath.normpath(path) != path or path.startswith("//"):
        raise ValueError(f"write it as {posixpath.normpath(path)[:100]}")
    return path


AbsolutePath = Annotated[
    str, Field(pattern=r"^/[^\x00-\x1f\x7f]*$", max_length=4096), AfterValidator(_normal)
]
Block = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_.-]*$", max_length=256)]
Capability = Annotated[str, Field(pattern="^[A-Za-z0-9_]+$", max_length=64)]
Number = Annotated[int, Field(strict=True, ge=1, le=65535)]
Option = Annotated[bool, Field(strict=True)]


class Labels(Protocol):
    """What a base policy says about ports and paths."""

    def port_type(self, protocol: str, number: int) -> str:
        """Return the type of a port."""

    def types_of(self, path: str) -> tuple[str, ...]:
        """Return the types that udica finds for a path; none if the path itself has no context."""


class UdicaPort(UserModel):
    """A port on which the container listens.

    port: Number of the port. Write the container's, which SELinux checks; udica 0.2.2 takes the host's.
    protocol: Protocol of the port.
    """

    port: Number
    protocol: Literal["tcp", "udp", "sctp"] = "tcp"


class UdicaMount(UserModel):
    """A path of the host that the container mounts.

    path: Absolute path on the host.
    access: Whether the container may only read (`ro`) or also write (`rw`).
    """

    path: AbsolutePath
    access: Literal["ro", "rw"] = "ro"


class UdicaPolicy(UserModel):
    """A policy as what udica would be told: policies/NAME.yaml of this kind becomes the block NAME.

    kind: Kind of the file.
    templates: Blocks to inherit, besides `container` and those that the other keys bring.
    capabilities: Linux capabilities, such as `setuid` or `CAP_SETUID`.
    ports: Ports on which the container listens.
    mounts: Paths of the host that it mounts.
    devices: Paths of devices that it uses.
    stream_connect: Block whose socket it connects to, as for udica's --stream-connect.
    full_network_access: Whether it may use the whole network, as for udica's --full-network-access.
    virt_access: Whether it may use libvirt, as for udica's --virt-access.
    x_access: Whether it may use the X server, as for udica's --X-access.
    tty_access: Whether it may use the terminal, as for udica's --tty-access.
    """

    kind: Literal["UdicaPolicy"]
    templates: Annotated[tuple[Block, ...], Field(max_length=MOST)] = ()
    capabilities: Annotated[tuple[Capability, ...], Field(max_length=MOST)] = ()
    ports: Annotated[tuple[UdicaPort, ...], Field(max_length=MOST)] = ()
    mounts: Annotated[tuple[UdicaMount, ...], Field(max_length=MOST)] = ()
    devices: Annotated[tuple[AbsolutePath, ...], Field(max_length=MOST)] = ()
    stream_connect: Block | None = None
    full_network_access: Option = False
    virt_access: Option = False
    x_access: Option = False
    tty_access: Option = False


class _OfSomeKind(BaseModel):
    """The kind of a YAML file, if it has one."""

    model_config = ConfigDict(frozen=True)

    kind: object = None


Rule = tuple[int, str]
"""A rule in CIL, after the line of its source."""


def kind_of(text: str, path: Path) -> tuple[str, int]:
    """Return the kind that the YAML `text` names, or "", and the line of it.

    Raises InputError if the text is no object in YAML.
    """
    file, line_of = located(text, path, _OfSomeKind)
    return file.kind if isinstance(file.kind, str) else "", line_of("kind")


def translated(text: str, path: Path, labels: Labels | None = None) -> str:
    """Return the block that udica would write, from `text`, the content of the file `path`.

    Each statement is in the line of its source. Without `labels`, what depends on a base policy is left out.
    Raises InputError if the file is no UdicaPolicy, if a capability is unknown or if a path has no context.
    """
    policy, line_of = located(text, path, UdicaPolicy)
    lines = Lines()
    lines.add(1, f"(block {path.stem}")
    for block, line in _inherited(policy, line_of).items():
        lines.add(line, f"(blockinherit {block})")
    rules = _rules(policy, line_of, path)
    by_labels = _rules_by_labels(policy, line_of, path, labels) if labels else ()
    written: set[str] = set()
    for line, statement in (*rules, *by_labels):
        if statement not in written:
            written.add(statement)
            lines.add(line, statement)
    return f"{lines})\n"


def laid_out(cil: str) -> str:
    """Return a block that `translated` wrote with a line for each statement, as udica writes it."""
    (block,) = parse(cil)
    statements = "".join(f"    {cil[each.begin : each.end]}\n" for each in block.lists)
    return f"(block {block.name}\n{statements})\n"


def _inherited(policy: UdicaPolicy, line_of: Callable[..., int]) -> dict[str, int]:
    """Return the blocks to inherit, each once, with the line of the first key that brings it."""
    blocks = {CONTAINER: line_of("kind")}
    for key, block in OPTIONS.items():
        if getattr(policy, key):
            blocks.setdefault(block, line_of(key))
    if policy.ports:
        blocks.setdefault("restricted_net_container", line_of("ports"))
    for number, mount in enumerate(policy.mounts):
        if place := PLACES.get(mount.path):
            block = f"{place}_container" if mount.access == READING else f"{place}_rw_container"
            blocks.setdefault(block, line_of("mounts", number))
    for number, block in enumerate(policy.templates):
        blocks.setdefault(block, line_of("templates", number))
    return blocks


def _rules(policy: UdicaPolicy, line_of: Callable[..., int], path: Path) -> Iterator[Rule]:
    """Yield the rules that depend on no base policy."""
    for number, written in enumerate(policy.capabilities):
        line = line_of("capabilities", number)
        name = written.lower().removeprefix("cap_")
        tclass = next((tclass for tclass, names in CAPABILITIES.items() if name in names), "")
        if not tclass:
            every = sorted(frozenset[str]().union(*CAPABILITIES.values()))
            raise InputError(f"There is no capability '{written}'.", f"{path}:{line}", nearest(name, every))
        yield line, f"(allow process process ({tclass} ({name})))"
    if other := policy.stream_connect:
        line = line_of("stream_connect")
        yield line, f"(allow process {other}.process (unix_stream_socket (connectto)))"
        yield line, f"(allow process {other}.socket (sock_file (append getattr open write)))"


def _rules_by_labels(
    policy: UdicaPolicy, line_of: Callable[..., int], path: Path, labels: Labels
) -> Iterator[Rule]:
    """Yield the rules about the types that the base policy gives to ports and paths."""
    for number, port in enumerate(policy.ports):
        bound = labels.port_type(port.protocol, port.port)
        yield line_of("ports", number), f"(allow process {bound} ({port.protocol}_socket (name_bind)))"
    for number, mount in enumerate(policy.mounts):
        if mount.path not in PLACES:
            line = line_of("mounts", number)
            for name in _types(mount.path, labels, f"{path}:{line}"):
                for tclass, permissions in OF_MOUNTS[mount.access].items():
                    yield line, f"(allow process {name} ({tclass} ({permissions})))"
    for number, device in enumerate(policy.devices):
        line = line_of("devices", number)
        for name in _types(device, labels, f"{path}:{line}"):
            for tclass in ("blk_file", "chr_file"):
                yield line, f"(allow process {name} ({tclass} ({OF_DEVICES})))"


def _types(path: str, labels: Labels, place: str) -> tuple[str, ...]:
    types = labels.types_of(path)
    if not types:
        raise InputError(
            f"The base policy has no context for '{path}'.",
            place,
            "Check the path. For a path without a file context, write the rules as policies/NAME.cil.",
        )
    return types

"""The seam to what can provide a guest that is ready for a run: a managed VM, or an existing host."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, fields
from typing import Any, Protocol

from selab.guest import Guest
from selab.progress import Progress


def _optional(kind: type) -> Any:
    return field(default=None, metadata={"kind": kind})


@dataclass(frozen=True)
class VagrantParameters:
    """What selab passes to the Vagrantfile of a VM, as the JSON file `.selab/vm.json`.

    A parameter is None if the file does not have it; the Vagrantfile then uses its own default.

    `name`: the VM's name, without the suffix that Vagrant adds.
    `profile`: the kind of guest, from profiles.toml.
    `provider`: Vagrant's provider, `libvirt` or `virtualbox`.
    `box`: the name of the box in Vagrant's store.
    `urls`: the URL of the box by provider.
    `checksums`: the sha256 of the box by provider.
    `cpus`: the number of virtual CPUs.
    `memory`: the size of the memory in MiB.
    `port`: the port on the loopback interface that leads to the guest's SSH.
    `session`: whether libvirt's session daemon runs the VM, as it does for a plain user.
    `accel`: `kvm`, or `qemu` if the CPU is emulated.
    `cpu_features`: the features that an emulated CPU needs beside QEMU's basic ones.
    `agent`: whether QEMU's guest agent runs in the box.
    `close_loopback`: whether VirtualBox can close the guest's way to this machine's loopback interface.
    `kernel`, `initrd`: files of this machine from which a box without a boot loader boots.
    `cmdline`: the command line of that kernel.
    `other`: what else the file has, such as keys that the user added. It is written back unchanged.
    """

    name: str | None = _optional(str)
    profile: str | None = _optional(str)
    provider: str | None = _optional(str)
    box: str | None = _optional(str)
    urls: dict[str, str] | None = _optional(dict)
    checksums: dict[str, str] | None = _optional(dict)
    cpus: int | None = _optional(int)
    memory: int | None = _optional(int)
    port: int | None = _optional(int)
    session: bool | None = _optional(bool)
    accel: str | None = _optional(str)
    cpu_features: list[str] | None = _optional(list)
    agent: bool | None = _optional(bool)
    close_loopback: bool | None = _optional(bool)
    kernel: str | None = _optional(str)
    initrd: str | None = _optional(str)
    cmdline: str | None = _optional(str)
    other: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> VagrantParameters:
        """Read the file's object. A value of a type that selab does not write is kept in `other`."""
        kinds = {item.name: item.metadata["kind"] for item in fields(cls) if item.metadata}
        known = {key: value for key, value in data.items() if key in kinds and isinstance(value, kinds[key])}
        return cls(**known, other={key: value for key, value in data.items() if key not in known})

    def to_json(self) -> dict[str, Any]:
        """The file's object, without the parameters that are None."""
        values = {item.name: getattr(self, item.name) for item in fields(self) if item.metadata}
        known = {key: value for key, value in values.items() if value is not None}
        return known | {key: value for key, value in self.other.items() if key not in known}


class Machine(Protocol):
    """What a run needs from a machine.

    managed: whether selab creates and prepares the machine. On a machine that it does not manage, selab
        installs nothing unasked, accepts that there is no guard, and restores the base policy after each run.
    """

    managed: bool

    def ensure(self, progress: Progress) -> Guest:
        """Return a connection to the guest, which is up and has what a run needs. Raises SelabError."""

    def ensure_runtime(self, guest: Guest, runtime: str, progress: Progress) -> None:
        """Install the container runtime `runtime`, which `guest` lacks. Raises SelabError if this fails."""

    def online(self, guest: Guest, progress: Progress) -> AbstractContextManager[None]:
        """Return a context in which `guest` can download, if it is a VM whose network selab keeps closed."""

    def rescue(self, progress: Progress) -> str:
        """Restore the base policy if a new login or the guest's state shows that something is wrong.

        Returns what was done, or "" if nothing was wrong. Raises Unreachable if nothing helped.
        """

    def try_login(self) -> None:
        """Log in with a new connection and run a command. Raises SelabError if that fails."""


class MachineControl(Machine, Protocol):
    """What `selab vm` can do with a machine. Raises InputError for what the machine does not support."""

    def prepare(self, progress: Progress) -> list[str]: ...
    def status(self) -> str: ...
    def connect(self) -> Guest: ...
    def location(self) -> str: ...
    def shell(self) -> None: ...
    def network(self) -> str: ...
    def set_network(self, reach: str, progress: Progress) -> None: ...
    def suspend(self, progress: Progress) -> None: ...
    def halt(self, progress: Progress) -> None: ...
    def destroy(self, progress: Progress) -> None: ...
    def reset(self) -> None: ...
    def wait(self) -> Guest: ...
    def console_command(self) -> list[str]: ...
    def vagrant_parameters(self) -> VagrantParameters | None: ...
    def applied(self) -> list[str]: ...

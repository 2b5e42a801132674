"""What selab remembers of a project's VM, in `.selab/`: how to reach it, and Vagrant's parameters."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import socket
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from selab.host.files import read_json, write_json
from selab.machine import VagrantParameters
from selab.project import Project
from selab.vm.host_keys import pinned_key
from selab.vm.ssh_login import Address


@dataclass(frozen=True)
class Remembered:
    """How the guest was reached last. `key` is our copy of the private key; `domain` is libvirt's id of the VM, or empty."""

    host: str
    port: int
    user: str
    key: str
    domain: str = ""
    provider: str = ""


class State:
    """The files. A file that cannot be read counts as absent: everything in them can be found out again."""

    def __init__(self, project: Project) -> None:
        self.directory = project.state
        self._vagrant = project.vagrant_dir / ".vagrant"
        self.parameters = self.directory / "vm.json"
        self.known_hosts = self.directory / "known_hosts"
        self.key = self.directory / "key"
        self._console = self.directory / "console"
        self.vagrant_log = self.directory / "vagrant.log"
        self._guest = self.directory / "guest.json"
        stem = re.sub(r"[^A-Za-z0-9-]+", "-", project.root.name).strip("-") or "project"
        digest = hashlib.sha256(f"{project.root} {os.geteuid()}".encode()).hexdigest()[:8]
        self.name = f"selab-{stem[:32]}-{digest}"
        self._parameters_copy = self.directory / "vm.kept.json"
        self._applied = self.directory / "provisioned.json"
        self._mend()

    def _mend(self) -> None:
        """Remove damaged files: Vagrant would read `parameters`, and selab would keep an unreadable pin."""
        if self.known_hosts.exists() and pinned_key(self.known_hosts) is None:
            self.known_hosts.unlink()
        if not read_json(self.parameters):
            self.parameters.unlink(missing_ok=True)
            if copy := read_json(self._parameters_copy):
                write_json(self.parameters, copy)

    def address(self) -> Address | None:
        """Where the guest was reached last, if anything is known."""
        known = self.remembered()
        return (
            Address(known.host, known.port, known.user, Path(known.key), self.known_hosts) if known else None
        )

    def remembered(self) -> Remembered | None:
        """Nothing where it was written by another machine or for another directory: then it speaks of another project's VM."""
        data = read_json(self._guest)
        try:
            known = Remembered(**{field.name: data[field.name] for field in fields(Remembered)})
        except KeyError:
            return None
        right = isinstance(known.port, int) and all(
            isinstance(data[field.name], str) for field in fields(Remembered) if field.name != "port"
        )
        return (
            known if right and data.get("written_for") == self._place and _is_key(Path(known.key)) else None
        )

    def remember(self, known: Remembered) -> None:
        write_json(self._guest, {**asdict(known), "written_for": self._place})

    @property
    def _place(self) -> str:
        """This project on this machine (machine-id(5))."""
        with contextlib.suppress(OSError):
            return f"{self.name} on {Path('/etc/machine-id').read_text().strip()}"
        return f"{self.name} on {socket.gethostname()}"

    def keep_key(self, source: Path) -> Path:
        """Copy Vagrant's private key, so that the VM can be reached even when `.vagrant` is gone; the copy's path."""
        if source.resolve() != self.key.resolve():
            part = self.key.with_suffix(".part")
            part.touch(mode=0o600)
            shutil.copyfile(source, part)
            part.replace(self.key)
        return self.key

    def replace_key(self, private: str, provider: str) -> None:
        """Keep another private key as the VM's, here and where Vagrant looks for its own."""
        machine = self._vagrant / "machines" / "default" / provider
        for path in (self.key, *((machine / "private_key",) if machine.is_dir() else ())):
            part = path.with_suffix(".part")
            part.touch(mode=0o600)
            part.write_text(private)
            part.replace(path)

    def password(self) -> str:
        """Root's password on the serial console, or nothing where selab has not set one yet."""
        return self._console.read_text().strip() if self._console.is_file() else ""

    def keep_password(self, password: str) -> None:
        part = self._console.with_suffix(".part")
        part.touch(mode=0o600)
        part.write_text(password + "\n")
        part.replace(self._console)

    def vagrant_parameters(self) -> VagrantParameters | None:
        """The parameters of the VM, if it has any.

        Every operation that runs Vagrant calls this first, so that Vagrant never reads a damaged file.
        """
        self._mend()
        data = read_json(self.parameters)
        return VagrantParameters.from_json(data) if data else None

    def keep_vagrant_parameters(self, parameters: VagrantParameters) -> None:
        """Write the parameters for Vagrant, and a copy from which a damaged file is restored."""
        write_json(self.parameters, parameters.to_json())
        write_json(self._parameters_copy, parameters.to_json())

    def applied(self) -> list[str]:
        """The names of the provisioning's steps that selab had to do in this VM."""
        return [str(name) for name in read_json(self._applied).get("steps", [])]

    def keep_applied(self, names: list[str]) -> None:
        write_json(self._applied, {"steps": list(dict.fromkeys([*self.applied(), *names]))})

    def forget(self) -> None:
        """Drop everything about a VM that is gone."""
        for path in (
            self._guest,
            self.known_hosts,
            self.key,
            self._console,
            self.parameters,
            self._parameters_copy,
            self._applied,
        ):
            path.unlink(missing_ok=True)

    @property
    def domain(self) -> str:
        """libvirt's id of the VM as Vagrant knows it, else the name that it would get; "" for another provider's VM."""
        for path in sorted(self._vagrant.glob("machines/*/*/id")):
            return path.read_text().strip() if path.parent.name == "libvirt" else ""
        return self.domain_name

    @property
    def domain_name(self) -> str:
        return f"{self.name}_default"

    def adopt(self, uuid: str) -> None:
        """Tell Vagrant again of the libvirt domain `uuid`, whose `.vagrant` directory was lost."""
        machine = self._vagrant / "machines" / "default" / "libvirt"
        machine.mkdir(parents=True, exist_ok=True)
        (machine / "id").write_text(uuid)
        key = machine / "private_key"
        key.touch(mode=0o600)
        shutil.copyfile(self.key, key)


def _is_key(path: Path) -> bool:
    """Whether a private key's file is there, and ends as one does."""
    try:
        text = path.read_text().strip()
    except (OSError, ValueError):
        return False
    return text.startswith("-----BEGIN ") and text.endswith("-----")

"""Record a project's VM in `.selab/`: how to reach it, and Vagrant's parameters."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import stat
import uuid
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from selab.errors import SelabError
from selab.host.binding import is_bound, machine_id, state_directory
from selab.host.files import read_json, write_json
from selab.host.private import make_private, private_directory, read_private, remove, write_private
from selab.host.sealed import read_sealed, write_sealed
from selab.machine import VagrantParameters
from selab.project import Project
from selab.vm.host_keys import pinned_key
from selab.vm.ssh_login import Address

MAX_ID = 256
"""Bytes that selab reads of Vagrant's record of an id."""
MAX_SECRET = 1 << 16
"""Bytes that selab reads of a private key or a password."""
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


@dataclass(frozen=True)
class Remembered:
    """How selab reached the guest last.

    host: name or address.
    port: SSH port.
    user: login name.
    key: path of the copied private key.
    domain: libvirt's id of the VM, or "" for another provider.
    provider: Vagrant's provider.
    network: what the guest reaches, as selab verified or changed it last; a Reach of network.py.
    """

    host: str
    port: int
    user: str
    key: str
    domain: str = ""
    provider: str = ""
    network: str = "unknown"


class State:
    """The files with the records. A file that cannot be read counts as absent; selab can restore it."""

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
        self._repair()

    def _repair(self) -> None:
        """Remove or restore damaged files, and make the secrets private.

        Vagrant would read damaged parameters, and selab would keep an unreadable host key.
        """
        for secret in (self.key, self._console):
            make_private(secret)
        if not _is_regular(self.known_hosts) or pinned_key(self.known_hosts) is None:
            remove(self.known_hosts)
        if not read_sealed(self.parameters):
            remove(self.parameters)
            if copy := read_sealed(self._parameters_copy):
                write_sealed(self.parameters, copy)

    def address(self) -> Address | None:
        """Return the guest's last address, or None if none is recorded."""
        known = self.remembered()
        return (
            Address(known.host, known.port, known.user, Path(known.key), self.known_hosts) if known else None
        )

    def remembered(self) -> Remembered | None:
        """Return how the guest was reached last, or None if that is not recorded.

        A record that another machine wrote, or that belongs to another directory, is ignored: it describes
        another project's VM.
        """
        data = read_sealed(self._guest)
        try:
            # A selab that did not record the network wrote no `network`.
            data = {"network": Remembered.network, **data}
            known = Remembered(**{field.name: data[field.name] for field in fields(Remembered)})
        except KeyError:
            return None
        valid = isinstance(known.port, int) and all(
            isinstance(data[field.name], str) for field in fields(Remembered) if field.name != "port"
        )
        return (
            known if valid and data.get("written_for") == self._place and _is_key(Path(known.key)) else None
        )

    def remember(self, known: Remembered) -> None:
        write_sealed(self._guest, {**asdict(known), "written_for": self._place})

    @property
    def _place(self) -> str:
        """Identify this project on this machine (machine-id(5))."""
        return f"{self.name} on {machine_id()}"

    def keep_key(self, source: Path) -> Path:
        """Copy Vagrant's private key and return the copy's path: selab needs it if `.vagrant` is lost."""
        if source.resolve() != self.key.resolve():
            write_private(self.key, source.read_bytes())
        return self.key

    def replace_key(self, private: str, provider: str) -> None:
        """Replace the VM's private key, in selab's record and in Vagrant's."""
        machine = self._vagrant / "machines" / "default" / provider
        for path in (self.key, *((machine / "private_key",) if machine.is_dir() else ())):
            write_private(path, private.encode())

    def password(self) -> str:
        """Return root's password on the serial console, or "" if selab has set none yet."""
        return read_private(self._console, MAX_SECRET).decode().strip() if _is_regular(self._console) else ""

    def keep_password(self, password: str) -> None:
        write_private(self._console, f"{password}\n".encode())

    def vagrant_parameters(self) -> VagrantParameters | None:
        """Return the parameters of the VM, or None if it has none.

        Every operation that runs Vagrant calls this first, so that Vagrant never reads a damaged file.
        """
        self._repair()
        data = read_sealed(self.parameters)
        return VagrantParameters.from_json(data) if data else None

    def keep_vagrant_parameters(self, parameters: VagrantParameters) -> None:
        """Write the parameters for Vagrant, and a copy from which a damaged file is restored."""
        write_sealed(self.parameters, parameters.to_json())
        write_sealed(self._parameters_copy, parameters.to_json())

    def applied(self) -> list[str]:
        """Return the names of the provisioning steps that selab performed in this VM."""
        return [str(name) for name in read_json(self._applied).get("steps", [])]

    def keep_applied(self, names: list[str]) -> None:
        write_json(self._applied, {"steps": list(dict.fromkeys([*self.applied(), *names]))})

    def forget(self) -> None:
        """Remove the records of a VM that no longer exists."""
        for path in (
            self._guest,
            self.known_hosts,
            self.key,
            self._console,
            self.parameters,
            self._parameters_copy,
            self._applied,
        ):
            remove(path)

    @property
    def domain(self) -> str:
        """Return libvirt's id of the VM if selab recorded it, or the name that selab gives the VM.

        Vagrant's record is not believed: a repository can contain one, with the id of another project's VM.
        The result is "" for a VM of another provider.
        """
        if (known := self.remembered()) and known.domain:
            return known.domain
        return self.domain_name if self.vagrants_domain else ""

    @property
    def vagrants_domain(self) -> str:
        """Return libvirt's id of the VM from Vagrant's record, or the name that a new VM would get.

        It is "" for a VM of another provider. A link in the place of `.vagrant` or of the record is not
        followed.
        """
        records = [] if self._vagrant.is_symlink() else sorted(self._vagrant.glob("machines/*/*/id"))
        for path in records:
            if path.parent.name != "libvirt":
                return ""
            try:
                text = read_private(path, MAX_ID).decode("ascii").strip()
            except (OSError, ValueError, SelabError):
                break
            return text if _UUID.fullmatch(text) else self.domain_name
        return self.domain_name

    @property
    def domain_name(self) -> str:
        return f"{self.name}_default"

    def recorded_vms(self) -> list[tuple[str, str]]:
        """Return the provider and the id of each VM in a record of Vagrant that selab made.

        Raises SelabError if a file with an id is a link or a pipe. A text that is no UUID is left out: no
        provider has a VM for it.
        """
        vms = []
        for path in sorted(self._vagrant.glob("machines/*/*/id")) if is_bound(self._vagrant) else ():
            with contextlib.suppress(OSError, ValueError):
                text = read_private(path, MAX_ID).decode("ascii").strip()
                vms.append((path.parent.name, str(uuid.UUID(text))))
        return vms

    def claim_record(self) -> None:
        """Create `.vagrant` if it does not exist, so that selab recognises what Vagrant writes there.

        One that the user allowed, and selab did not make, stays as it is.
        """
        if is_bound(self._vagrant):
            state_directory(self._vagrant)

    def adopt(self, domain: str) -> None:
        """Restore Vagrant's record of the libvirt domain with the id `domain`, after `.vagrant` was lost."""
        self.claim_record()
        machine = self._vagrant
        private_directory(machine)
        for name in ("machines", "default", "libvirt"):
            machine /= name
            private_directory(machine)
        write_private(machine / "id", domain.encode())
        if _is_regular(self.key):
            write_private(machine / "private_key", read_private(self.key, MAX_SECRET))


def _is_regular(path: Path) -> bool:
    """Return whether `path` is a regular file, and no link to one."""
    return os.path.lexists(path) and stat.S_ISREG(path.lstat().st_mode)


def _is_key(path: Path) -> bool:
    """Return whether the file exists and begins and ends as a private key does."""
    try:
        text = read_private(path, MAX_SECRET).decode("ascii").strip()
    except (OSError, ValueError, SelabError):
        return False
    return text.startswith("-----BEGIN ") and text.endswith("-----")

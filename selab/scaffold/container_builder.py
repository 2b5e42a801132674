"""Build a container of a scenario from untrusted input: take over what it may contain, and list the rest."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path
from typing import Any

from selab.errors import InputError
from selab.host.tables import table
from selab.project import Project, inside
from selab.scaffold.image_config import quoted
from selab.scaffold.remarks import Remarks
from selab.scaffold.secret import has_secret, is_secret_name, is_secret_value
from selab.scenario.container import Member

MOST = 64
"""Ports, volumes or variables of one container; more are not written by hand."""
LONGEST = 8000
"""Characters of one value."""
SSH = 22
"""The guest's own SSH port, which no container can have."""
PORT_BASE = 8000
"""Added to a port below 1024: the container's port 80 becomes 8080 in the guest by default."""
_SECRET = "it looks like a secret: set it in the scenario if a test value is enough"
_DIGEST = re.compile(r"(sha256:)?[0-9a-f]{12,64}")

_FILES = table("scaffold/names.toml")["file"]


class ContainerBuilder(Remarks):
    """Collects the data of one container of a scenario.

    data: values so far, each accepted by the model.
    origins: what each volume of `data` is on its host: the path of a directory, the name of a volume, or an
        empty string.
    step: what the step of the container does, if the source says what shows that it works.
    """

    def __init__(self, taken_ports: set[int] | None = None) -> None:
        """Use no port of the guest that is in `taken_ports`, and add to it those that the container gets."""
        super().__init__()
        self.data: dict[str, Any] = {}
        self.origins: list[str] = []
        self.step: dict[str, Any] = {}
        self._taken = {SSH} if taken_ports is None else taken_ports

    def set(self, key: str, value: Any) -> None:
        """Set a key. Raises ValueError if the container cannot have the value."""
        self._require(key, value)
        self.data[key] = value

    def _require(self, key: str, value: Any) -> None:
        if len(str(value)) > LONGEST:
            raise ValueError("it is too long")
        image = {} if "service" in (key, *self.data) else {"image": "x"}
        Member.model_validate({**image, **self.data, key: value})

    def add(self, key: str, value: Any) -> None:
        """Add to a list. Raises ValueError if the container cannot have the value."""
        there = self.data.get(key, [])
        if len(there) >= MOST:
            raise ValueError(f"there are already {MOST}")
        self._require(key, [value])
        self.data[key] = [*there, value]

    def command(self, argv: list[str]) -> None:
        """Set the command. Raises ValueError if an argument looks like a secret."""
        if has_secret(argv):
            raise ValueError(_SECRET)
        self.set("command", argv)

    def variable(self, name: str, value: str) -> None:
        """Add a variable to the environment. Raises ValueError if it looks like a secret."""
        if is_secret_name(name) or is_secret_value(value):
            raise ValueError(_SECRET)
        there = self.data.get("environment", {})
        if len(there) >= MOST:
            raise ValueError(f"there are already {MOST}")
        self._require("environment", {name: value})
        self.data["environment"] = {**there, name: value}

    def image(self, reference: str) -> None:
        """Set the image, with a tag if it comes from a registry. Raises ValueError if it is only a digest."""
        if _DIGEST.fullmatch(reference):
            raise ValueError("it has no name that can be pulled")
        if ":" not in reference.rpartition("/")[2] and "@" not in reference:
            reference += ":latest"
        self.set("image", reference)

    def port(self, container: int, host_port: int | None) -> None:
        """Publish a port of the container, at `host_port` in the guest or at a free port."""
        usual = container if container >= 1024 else PORT_BASE + container
        candidates = (host_port, usual, *range(PORT_BASE, 65536))
        guest = next(port for port in candidates if port and port not in self._taken)
        self.add("ports", {"guest": guest, "container": container})
        self._taken.add(guest)
        if host_port and guest != host_port:
            self.leave(f"port {host_port} of the host", f"in the guest it is {guest}")

    def volume(
        self,
        project: Project,
        target: str,
        source: Path | None,
        *,
        read_only: bool = False,
        label: str = "",
        name: str = "",
    ) -> None:
        """Add a volume; a directory of the host is used only if it is in the project.

        `name` is the name of a volume that other containers may mount too. Raises ValueError if `source` is a
        file.
        """
        if source is not None and is_file(source, target):
            raise ValueError(
                "it is a file of the host, but volumes are directories: copy it into one, or into the image"
            )
        of_project = _within(project, source) if source is not None else ""
        volume = {"target": target, "source": of_project, "read_only": read_only, "label": label}
        self.add("volumes", {key: value for key, value in volume.items() if value})
        self.origins.append(os.path.normpath(source) if source is not None else name)
        if source is not None and not of_project:
            self.leave(
                f"the host's {quoted(source)}",
                f"it is not a directory of the project: {quoted(target)} is an empty volume instead",
            )

    def guest_directory(self, target: str, path: str) -> None:
        """Mount an existing directory of the guest, which the container cannot change."""
        self.add("volumes", {"target": target, "guest_path": path, "read_only": True})
        self.origins.append("")


def _within(project: Project, source: Path) -> str:
    """Return the directory's path below the project, or an empty string if it is outside."""
    try:
        directory = inside(project.root, source, "It")
        return str(directory.relative_to(project.root.resolve())) if directory.is_dir() else ""
    except (InputError, OSError):
        return ""


def is_file(source: Path, target: str) -> bool:
    """Return whether the mount is a file; one that does not exist here is recognised by its name."""
    with contextlib.suppress(OSError, ValueError):  # The name decides if the path cannot be looked up.
        if source.exists():
            return not source.is_dir()
    return any(
        path.suffix.lower() in _FILES["suffixes"] or path.name in _FILES["names"]
        for path in (source, Path(target))
    )


def label_of(options: str) -> str:
    """Return a scenario's name for Docker's `:Z` and `:z`."""
    words = options.split(",")
    return "private" if "Z" in words else "shared" if "z" in words else ""

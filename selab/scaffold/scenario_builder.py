"""A scenario in the making: it takes from strangers what a scenario may hold, and names the rest."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from selab.errors import InputError
from selab.project import Project, inside
from selab.scaffold.image_config import quoted
from selab.scenario import Scenario

MOST = 64
"""Ports, volumes, variables of one container; nobody writes more by hand."""
LONGEST = 8000
"""Characters of one value."""
MOST_LEFT = 50
"""Lines that say what was left out."""
SSH = 22
"""The guest's own: no container can have it."""
PORT_BASE = 8000
"""What makes 80 in the container 8080 in the guest, where nothing asks for another."""
_DIGEST = re.compile(r"(sha256:)?[0-9a-f]{12,64}")
_SECRET_NAME = re.compile(r"PASS|TOKEN|KEY|SECRET|CREDENTIAL", re.IGNORECASE)
_SECRET_VALUE = re.compile(r"://[^/\s]*:[^/\s]*@|-----BEGIN ")


class ScenarioBuilder:
    """`data` is what a scenario holds so far, each value accepted by the model; `left` has a line for each that is not carried over."""

    def __init__(self) -> None:
        self.data: dict[str, Any] = {}
        self.left: list[str] = []

    def leave(self, what: str, why: str) -> None:
        """Name what is not carried over."""
        if len(self.left) < MOST_LEFT:
            self.left.append(f"{what}: {why}")
        elif len(self.left) == MOST_LEFT:
            self.left.append("and more")

    @contextmanager
    def trying(self, what: str) -> Iterator[None]:
        """Carry something over in the block; what it cannot take is named as `what`."""
        try:
            yield
        except ValidationError as error:
            self.leave(
                what,
                error.errors(include_url=False, include_input=False)[0]["msg"]
                .removeprefix("Value error, ")
                .lower(),
            )
        except ValueError as error:
            self.leave(what, str(error))

    def set(self, key: str, value: Any) -> None:
        """Raises ValueError where a scenario cannot have it."""
        self._require(key, value)
        self.data[key] = value

    def _require(self, key: str, value: Any) -> None:
        if len(str(value)) > LONGEST:
            raise ValueError("it is too long")
        Scenario.model_validate({"image": "x", key: value})

    def add(self, key: str, value: Any) -> None:
        """Add to one of the lists. Raises ValueError where a scenario cannot have it."""
        there = self.data.get(key, [])
        if len(there) >= MOST:
            raise ValueError(f"there are {MOST} already")
        self._require(key, [value])
        self.data[key] = [*there, value]

    def variable(self, name: str, value: str) -> None:
        """Add to the environment, unless it looks like a secret."""
        if _SECRET_NAME.search(name) or _SECRET_VALUE.search(value):
            raise ValueError("it looks like a secret: set it in the scenario, if a test's value will do")
        there = self.data.get("environment", {})
        if len(there) >= MOST:
            raise ValueError(f"there are {MOST} already")
        self._require("environment", {name: value})
        self.data["environment"] = {**there, name: value}

    def image(self, reference: str) -> None:
        """The image; one of a registry needs a tag here. Raises ValueError where it is only a digest on somebody's machine."""
        if _DIGEST.fullmatch(reference):
            raise ValueError("it has no name that could be pulled")
        if ":" not in reference.rpartition("/")[2] and "@" not in reference:
            reference += ":latest"
        self.set("image", reference)

    def port(self, container: int, wanted: int | None) -> None:
        """Publish a port of the container: at `wanted` in the guest, or at one that is free there."""
        taken = {SSH, *(port["guest"] for port in self.data.get("ports", ()))}
        usual = container if container >= 1024 else PORT_BASE + container
        free = (port for port in (wanted, usual, *range(PORT_BASE, 65536)) if port and port not in taken)
        guest = next(free)
        self.add("ports", {"guest": guest, "container": container})
        if wanted and guest != wanted:
            self.leave(f"port {wanted} of the host", f"in the guest it is {guest}")

    def volume(
        self, project: Project, target: str, source: Path | None, *, read_only: bool = False, label: str = ""
    ) -> None:
        """A volume; of a directory of the host only where that lies in the project. Raises ValueError for what is no directory."""
        if source is not None and _is_file(source):
            raise ValueError(
                "it is a file of the host, and volumes are directories: copy it into one, or into the image"
            )
        of_project = _within(project, source) if source is not None else ""
        volume = {"target": target, "source": of_project, "read_only": read_only, "label": label}
        self.add("volumes", {key: value for key, value in volume.items() if value})
        if source is not None and not of_project:
            self.leave(
                f"the host's {quoted(source)}",
                f"it is no directory of the project: {quoted(target)} is an empty volume instead",
            )


def _within(project: Project, source: Path) -> str:
    """The directory's path below the project; nothing where it is none of the project's."""
    try:
        found = inside(project.root, source, "It")
        return str(found.relative_to(project.root.resolve())) if found.is_dir() else ""
    except (InputError, OSError):
        return ""


def _is_file(path: Path) -> bool:
    """Whether it is there and no directory, or is named as sockets are; what nobody may look at counts as a directory."""
    try:
        return path.suffix == ".sock" or (path.exists() and not path.is_dir())
    except OSError:
        return False


def label_of(options: str) -> str:
    """What Docker's `:Z` and `:z` are called in a scenario."""
    words = options.split(",")
    return "private" if "Z" in words else "shared" if "z" in words else ""

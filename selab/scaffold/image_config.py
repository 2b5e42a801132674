"""Read how an image is meant to be run: the ports it listens on, its volumes, its user."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic.alias_generators import to_pascal

from selab.container.image import Image, find_image
from selab.errors import InputError, SelabError
from selab.guest import Guest
from selab.progress import Progress
from selab.project import Project
from selab.scenario.container import Volume
from selab.scenario.fields import Reference, Word

MOST_PORTS = 64
"""Ports to take from one image or container; a larger range is listed as left out."""
INSPECT_LIMIT = 60.0
"""Seconds for `docker image inspect`: one or two in an emulated guest."""
_PORT = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?(?:/(\w{1,8}))?", re.ASCII)
_REFERENCE: TypeAdapter[str] = TypeAdapter(Reference)
_WORD: TypeAdapter[str] = TypeAdapter(Word)

Connect = Callable[[], AbstractContextManager[Guest]]


@dataclass(frozen=True)
class ImageConfig:
    """How an image is meant to be run.

    ports: pairs of protocol (`tcp` or `udp`) and number.
    volumes: paths in the container.
    user: name of the user, or empty for root.
    left: what was left out, one line each.
    """

    ports: tuple[tuple[str, int], ...] = ()
    volumes: tuple[str, ...] = ()
    user: str = ""
    left: tuple[str, ...] = ()


def quoted(value: object) -> str:
    """Quote an untrusted value for a line or a comment: short, in ASCII, on one line.

    The parts of a list are separated by blanks; anything else with parts is JSON.
    """
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        text = " ".join(value)
    else:
        text = json.dumps(value, default=str) if isinstance(value, dict | list) else str(value)
    return json.dumps(text[:80])


def image_config(project: Project, name: str, connect: Connect, progress: Progress) -> ImageConfig:
    """Read the settings of the image `name`: a directory of images/, or an image of the guest's Docker.

    Raises InputError for an invalid name, and SelabError if the guest is unreachable or lacks the image.
    """
    try:
        _REFERENCE.validate_python(name)
    except ValidationError as error:
        raise InputError(
            f"{quoted(name)} is not a valid image name.",
            hint="Name a directory of images/, or a reference with its tag.",
        ) from error
    image = find_image(project, name)
    if image.source:
        return of_instructions(image.source.changes)
    with progress.step(f"Inspecting {name} with the guest's Docker"):
        return _of_guest(image, connect)


def _of_guest(image: Image, connect: Connect) -> ImageConfig:
    try:
        with connect() as guest:
            done = guest.run(["docker", "image", "inspect", image.reference], timeout=INSPECT_LIMIT)
    except SelabError as error:
        hint = "Start the VM with `selab vm up`, or omit --for."
        raise SelabError(
            f"The guest's Docker cannot inspect {image.reference}: the VM is unreachable.",
            error.what,
            hint,
        ) from error
    done.expect(
        f"The guest's Docker cannot inspect {image.reference}.",
        hint=f"Pull the image: `selab vm ssh -- docker pull {image.reference}`.",
    )
    return of_inspect(done.text)


class InspectModel(BaseModel):
    """A part of the output of `inspect`, with the keys of Docker's API: `ExposedPorts`."""

    model_config = ConfigDict(alias_generator=to_pascal, populate_by_name=True)


class _Config(InspectModel):
    exposed_ports: dict[str, object] | None = None
    volumes: dict[str, object] | None = None
    user: str | None = None


class _Inspected(InspectModel):
    config: _Config | None = None


def of_inspect(text: str) -> ImageConfig:
    """Parse the output of `docker image inspect`. Raises SelabError if it is invalid."""
    try:
        inspected, *_ = TypeAdapter(list[_Inspected]).validate_json(text)
    except ValueError as error:
        raise SelabError(
            "The output of `docker image inspect` is invalid.",
            quoted(text[:80]),
            "Run `selab doctor` to check the guest's Docker.",
        ) from error
    config = inspected.config or _Config()
    return _config(config.exposed_ports or (), config.volumes or (), config.user or "")


def of_instructions(lines: Iterable[str]) -> ImageConfig:
    """Read the instructions EXPOSE, VOLUME and USER of a Dockerfile, one per line."""
    words: dict[str, list[str]] = {"EXPOSE": [], "VOLUME": [], "USER": []}
    for line in lines:
        instruction, _, rest = line.partition(" ")
        if instruction in words:
            words[instruction] += _words(rest)
    return _config(words["EXPOSE"], words["VOLUME"], (words["USER"] or [""])[-1])


def _words(text: str) -> list[str]:
    """Split an instruction into words: a JSON list, or words separated by spaces."""
    try:
        listed = json.loads(text)
    except (ValueError, RecursionError):
        listed = None
    if isinstance(listed, list):
        return [str(word) for word in listed]
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()


def _config(exposed: Iterable[str], volumes: Iterable[str], user: str) -> ImageConfig:
    ports: dict[tuple[str, int], None] = {}
    paths: dict[str, None] = {}
    left: list[str] = []
    for word in exposed:
        port_numbers = port_range(word, MOST_PORTS - len(ports))
        ports |= dict.fromkeys(port_numbers)
        left += [] if port_numbers else [f"the port {quoted(word)} is left out"]
    for path in volumes:
        try:
            paths[Volume(target=path).target] = None
        except ValidationError:
            left.append(f"the volume {quoted(path)} is left out")
    try:
        user = _WORD.validate_python(user) if user else ""
    except ValidationError:
        left.append(f"the user {quoted(user)} is left out")
        user = ""
    return ImageConfig(
        tuple(ports), tuple(paths), "" if user.partition(":")[0] in ("root", "0") else user, tuple(left)
    )


def port_range(text: str, most: int) -> list[tuple[str, int]]:
    """Parse `80` or `8000-8010/udp` to pairs of protocol and number.

    The result is empty if the text is no TCP or UDP port, or if it has more than `most` ports.
    """
    match = _PORT.fullmatch(text)
    if match is None or (protocol := (match[3] or "tcp").lower()) not in ("tcp", "udp"):
        return []
    low, high = int(match[1]), int(match[2] or match[1])
    return (
        [(protocol, number) for number in range(low, high + 1)]
        if 0 < low <= high <= 65535 and high - low < most
        else []
    )

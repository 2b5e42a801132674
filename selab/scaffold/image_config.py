"""What an image says of how it wants to be run: the ports it listens on, its volumes, its user."""

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
from selab.scenario import Reference, Volume, Word

MOST_PORTS = 64
"""Ports of one image, or of one container, that are spoken of; a larger range is named as left out."""
INSPECT_LIMIT = 60.0
"""Seconds for `docker image inspect`: one or two in an emulated guest."""
_PORT = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?(?:/(\w{1,8}))?", re.ASCII)
_REFERENCE: TypeAdapter[str] = TypeAdapter(Reference)
_WORD: TypeAdapter[str] = TypeAdapter(Word)

Connect = Callable[[], AbstractContextManager[Guest]]


@dataclass(frozen=True)
class ImageConfig:
    """`ports` are (`tcp` or `udp`, number); `volumes` paths of the container; `user` is empty for root. `left` says what was not taken, one
    line each."""

    ports: tuple[tuple[str, int], ...] = ()
    volumes: tuple[str, ...] = ()
    user: str = ""
    left: tuple[str, ...] = ()


def quoted(value: object) -> str:
    """A stranger's value within a line or a comment: in ASCII, short, on one line."""
    return json.dumps(str(value)[:80])


def image_config(project: Project, name: str, connect: Connect, progress: Progress) -> ImageConfig:
    """What the image `name` says: a directory of images/ by its Dockerfile, any other as the guest's Docker knows it.

    Raises InputError for an image that is none, and SelabError where the guest cannot be asked or lacks it.
    """
    try:
        _REFERENCE.validate_python(name)
    except ValidationError as error:
        raise InputError(
            f"{quoted(name)} is not an image's name.",
            hint="Name a directory of images/, or a reference with its tag.",
        ) from error
    image = find_image(project, name)
    if image.source:
        return of_instructions(image.source.changes)
    with progress.step(f"Asking the guest's Docker about {name}"):
        return _of_guest(image, connect)


def _of_guest(image: Image, connect: Connect) -> ImageConfig:
    try:
        with connect() as guest:
            done = guest.run(["docker", "image", "inspect", image.reference], timeout=INSPECT_LIMIT)
    except SelabError as error:
        hint = "Start it with `selab vm up`, or leave --for out."
        raise SelabError(
            f"What {image.reference} needs is asked of the guest's Docker, and the VM is not up.",
            error.what,
            hint,
        ) from error
    done.expect(
        f"The guest's Docker cannot say what {image.reference} needs.",
        hint=f"Is it there? `selab vm ssh -- docker pull {image.reference}`",
    )
    return of_inspect(done.text)


class Told(BaseModel):
    """A part of what `inspect` says: its keys are those of Docker's API, `ExposedPorts` for `exposed_ports`."""

    model_config = ConfigDict(alias_generator=to_pascal, populate_by_name=True)


class _Config(Told):
    exposed_ports: dict[str, object] | None = None
    volumes: dict[str, object] | None = None
    user: str | None = None


class _Inspected(Told):
    config: _Config | None = None


def of_inspect(text: str) -> ImageConfig:
    """The answer of `docker image inspect`. Raises SelabError where it is none."""
    try:
        found, *_ = TypeAdapter(list[_Inspected]).validate_json(text)
    except ValueError as error:
        raise SelabError("Docker's answer about the image cannot be read.", quoted(text[:80])) from error
    config = found.config or _Config()
    return _config(config.exposed_ports or (), config.volumes or (), config.user or "")


def of_instructions(lines: Iterable[str]) -> ImageConfig:
    """The instructions EXPOSE, VOLUME and USER of a Dockerfile, one a line."""
    words: dict[str, list[str]] = {"EXPOSE": [], "VOLUME": [], "USER": []}
    for line in lines:
        instruction, _, rest = line.partition(" ")
        if instruction in words:
            words[instruction] += _words(rest)
    return _config(words["EXPOSE"], words["VOLUME"], (words["USER"] or [""])[-1])


def _words(text: str) -> list[str]:
    """The words of an instruction: a JSON list, or separated by spaces."""
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
        found = port_range(word, MOST_PORTS - len(ports))
        ports |= dict.fromkeys(found)
        left += [] if found else [f"the port {quoted(word)} is left out"]
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
    """`80`, `8000-8010/udp`: (protocol, number) of each; none where it is no port of TCP or UDP, or they are more than `most`."""
    found = _PORT.fullmatch(text)
    if found is None or (protocol := (found[3] or "tcp").lower()) not in ("tcp", "udp"):
        return []
    low, high = int(found[1]), int(found[2] or found[1])
    return (
        [(protocol, number) for number in range(low, high + 1)]
        if 0 < low <= high <= 65535 and high - low < most
        else []
    )

"""A container of a scenario, or a service in its place: label, ports, volumes, and what it waits for."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from selab.host.yamlfile import UserModel
from selab.scenario.fields import (
    GuestPath,
    Identifier,
    Level,
    Name,
    Namespace,
    Reference,
    Seconds,
    Text,
    Word,
    downward,
)
from selab.scenario.service import Service

VolumeLabel = Identifier | Literal["private", "shared", "contexts", "keep"]
HEALTH_TIMEOUT = 60.0
"""Seconds in which a container must become healthy by default, as a step's."""


class Label(UserModel):
    """The SELinux label of the container's processes.

    type: type of the processes; by default NAME_t of the policy.
    level: MCS level; by default two random categories, and `s0` for a service.
    """

    type: Identifier | None = None
    level: Level | None = None


class Port(UserModel):
    """A port of the container, reachable in the guest at 127.0.0.1.

    guest: port in the guest.
    container: port of the container.
    """

    guest: Annotated[int, Field(ge=1, le=65535)]
    container: Annotated[int, Field(ge=1, le=65535)]


class Volume(UserModel):
    """A directory of the guest that is mounted in the container.

    target: path in the container.
    name: one of the scenario's `named_volumes`, which several containers can mount.
    source: directory below the scenario's project, whose files are copied into the guest; empty volume by
        default.
    guest_path: existing directory of the guest to mount instead.
    label: `private` (Docker's :Z), `shared` (:z), `contexts` (as the file contexts of the base policy and the
        candidate label `target`), a type, or `keep`. By default a copy is labelled by the file contexts if
        the candidate's .fc names `target`, otherwise `private`; a directory of the guest keeps its label.
    read_only: whether the container cannot write to it.
    """

    target: Annotated[GuestPath, AfterValidator(downward)]
    name: Name | None = None
    source: Word | None = None
    guest_path: GuestPath | None = None
    label: VolumeLabel | None = None
    read_only: bool = False

    @model_validator(mode="after")
    def _one_source(self) -> Volume:
        if self.name and (self.source or self.guest_path or self.label):
            raise ValueError("`named_volumes` says what a named volume contains and how it is labelled")
        _check_content(self)
        return self


class NamedVolume(UserModel):
    """A directory of the guest that several containers of a scenario mount.

    source: directory below the scenario's project, whose files are copied into the guest; empty volume by
        default.
    guest_path: existing directory of the guest to mount instead.
    label: `shared` (any container may use it, if its type may), `private` (with the level of the containers
        that mount it, which must be the same), `contexts` (as the file contexts of the base policy and the
        candidates label its target), a type, or `keep`. By default a copy is labelled by the file contexts if
        the .fc of a candidate names its target, otherwise `shared`; a directory of the guest keeps its label.
    """

    source: Word | None = None
    guest_path: GuestPath | None = None
    label: VolumeLabel | None = None

    @model_validator(mode="after")
    def _one_source(self) -> NamedVolume:
        _check_content(self)
        return self


def _check_content(volume: Volume | NamedVolume) -> None:
    """Raise ValueError if what the volume contains, or how it is labelled, contradicts itself."""
    if volume.source and volume.guest_path:
        raise ValueError("a volume has either a source or a guest_path")
    if volume.guest_path and volume.label == "contexts":
        raise ValueError("the candidate's .fc labels a directory of the guest, by its path in the guest")


class Health(UserModel):
    """How selab finds out whether a container is healthy.

    command: command that succeeds in a healthy container; by default the check of the image, which must have
        one.
    timeout: seconds in which the container must become healthy.
    """

    command: tuple[Text, ...] = ()
    timeout: Seconds = HEALTH_TIMEOUT


OF_BOTH = frozenset({"policy", "label", "service", "init", "after"})
"""The keys of a container that a service may have as well."""


class Container(UserModel):
    """A container of a scenario, or a service of the guest in its place.

    policy: name of the candidate, or `none` for the base policy's own container domain.
    image: directory below images/, or an image reference.
    service: service of the guest to run instead of an image. Of the other keys, it can have `policy`,
        `label`, `init` and `after`.
    label: SELinux label of the container's processes.
    command: command of the container; by default the image's own.
    ports: published ports.
    volumes: mounted directories.
    cap_add: capabilities to add.
    cap_drop: capabilities to remove.
    user: user in the container; by default the image's own.
    environment: environment variables.
    read_only: whether the container's root file system is read-only.
    network: `host`, `none`, the network of another container (`container:NAME`), or `pod` (one for all
        containers that say so). By default several containers have a network of their own, in which their
        names resolve, and a single one has the runtime's.
    pid: process namespace: `host`, `container:NAME` or `pod`; by default its own.
    ipc: namespace of shared memory: `host`, `container:NAME` or `pod`; by default its own.
    """

    policy: Identifier = "none"
    image: Reference | None = None
    service: Service | None = None
    label: Label = Label()
    command: tuple[Text, ...] = ()
    ports: tuple[Port, ...] = ()
    volumes: tuple[Volume, ...] = ()
    cap_add: tuple[Identifier, ...] = ()
    cap_drop: tuple[Identifier, ...] = ()
    user: Word | None = None
    environment: dict[Identifier, Text] = {}
    read_only: bool = False
    network: Namespace | None = None
    pid: Namespace | None = None
    ipc: Namespace | None = None

    @model_validator(mode="after")
    def _ports_need_a_network(self) -> Container:
        if self.ports and self.network not in (None, "pod"):
            raise ValueError(f"a container with `network: {self.network}` publishes no ports")
        return self

    @model_validator(mode="after")
    def _service_is_no_container(self) -> Container:
        if self.service is None:
            return self
        for key in sorted(self.model_fields_set & (Member.model_fields.keys() - OF_BOTH)):
            hint = ": write it below `service`" if key in Service.model_fields else ""
            raise ValueError(f"`{key}` belongs to a container, not to a service{hint}")
        return self


class Member(Container):
    """One of several containers of a scenario.

    health: check that tells whether the container is healthy.
    init: whether the container ends, with exit status 0, before the containers after it start.
    after: other containers that must be `started`, `healthy` or `exited` (with exit status 0) before this one
        starts.
    """

    health: Health | None = None
    init: bool = False
    after: dict[Name, Literal["started", "healthy", "exited"]] = {}

    @model_validator(mode="after")
    def _needs_an_image(self) -> Member:
        if self.image is None and self.service is None:
            raise ValueError("`image` or `service` is required")
        return self

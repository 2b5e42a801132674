"""A container of a scenario: its label, ports and volumes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from selab.host.yamlfile import UserModel
from selab.scenario.fields import GuestPath, Identifier, Word, downward


class Label(UserModel):
    """The SELinux label of the container's processes.

    type: type of the processes; by default NAME_t of the policy.
    level: MCS level; by default two random categories.
    """

    type: Identifier | None = None
    level: Annotated[str, Field(pattern=r"^s\d+(:c\d+([.,]c\d+)*)?$")] | None = None


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
    source: directory below the scenario's project, whose files are copied into the guest; empty volume by
        default.
    guest_path: existing directory of the guest to mount instead.
    label: `private` (Docker's :Z), `shared` (:z), `contexts` (as the file contexts of the base policy and the
        candidate label `target`), a type, or `keep`. By default a copy is labelled by the file contexts if
        the candidate's .fc names `target`, otherwise `private`; a directory of the guest keeps its label.
    read_only: whether the container cannot write to it.
    """

    target: Annotated[GuestPath, AfterValidator(downward)]
    source: Word | None = None
    guest_path: GuestPath | None = None
    label: Identifier | Literal["private", "shared", "contexts", "keep"] | None = None
    read_only: bool = False

    @model_validator(mode="after")
    def _one_source(self) -> Volume:
        if self.source and self.guest_path:
            raise ValueError("a volume has either a source or a guest_path")
        if self.guest_path and self.label == "contexts":
            raise ValueError("the candidate's .fc labels a directory of the guest, by its path in the guest")
        return self

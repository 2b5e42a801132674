"""Load the scenario that the user wrote: a container workload with its label, steps and expectations."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, Field, PrivateAttr, model_validator

from selab.errors import InputError
from selab.host.tables import RUNTIMES, table
from selab.host.yamlfile import UserModel, load
from selab.project import IDENTIFIER, NAME, Project, inside, nearest

STEP_TIMEOUT = 60.0
"""Seconds that a step may take by default: Apache takes about ten in an emulated guest."""
STANDARD_RUNTIME = next(name for name, fields in table(RUNTIMES).items() if fields["standard"])
"""The container runtime that every VM has, and that runs a scenario that names none."""
if TYPE_CHECKING:
    RuntimeName = str
else:
    RuntimeName = Literal[tuple(table(RUNTIMES))]


def _printable(text: str) -> str:
    if any(unicodedata.category(char) in ("Cc", "Cs") and char not in "\n\t" for char in text):
        raise ValueError("must not contain control characters")
    return text


def _word(text: str) -> str:
    """Accept a value that is one argument of a command, without control characters, and not an option."""
    if not text or text.startswith("-") or "\n" in text:
        raise ValueError("must be one line that does not begin with '-'")
    return _printable(text)


def _line(text: str) -> str:
    if "\n" in text:
        raise ValueError("must be one line")
    return _printable(text)


def _reference(text: str) -> str:
    """Accept an image below images/, or a reference (github.com/distribution/reference)."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.:/@-]{0,254}", text) or ".." in text:
        raise ValueError("must be an image's name, or a reference such as registry/name:tag")
    return text


def _downward(path: str) -> str:
    """Accept a path in the container that is appended to a path of the guest."""
    if ".." in path.split("/") or not path.strip("/"):
        raise ValueError("must name a directory below /, without '..'")
    return "/" + "/".join(part for part in path.split("/") if part not in ("", "."))


Text = Annotated[str, AfterValidator(_printable)]
Word = Annotated[str, AfterValidator(_word)]
Line = Annotated[str, AfterValidator(_line)]
Seconds = Annotated[float, Field(gt=0, le=3600)]
Identifier = Annotated[str, Field(pattern=f"^{IDENTIFIER.pattern}$")]
Reference = Annotated[str, AfterValidator(_reference)]
GuestPath = Annotated[str, Field(pattern=r"^/[^:]*$"), AfterValidator(_line)]


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

    target: Annotated[GuestPath, AfterValidator(_downward)]
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


class HttpStep(UserModel):
    """A request from the guest to 127.0.0.1.

    port: port in the guest.
    path: path of the request.
    status: expected status.
    contains: text that the answer must contain.
    wait: whether to repeat the request until it is answered as expected or the time is up.
    timeout: seconds to wait.
    """

    port: Annotated[int, Field(ge=1, le=65535)]
    path: Annotated[str, Field(pattern=r"^/[!-~]*$")] = "/"
    status: Annotated[int, Field(ge=100, le=599)] = 200
    contains: Line = ""
    wait: bool = False
    timeout: Seconds = STEP_TIMEOUT


class ExecStep(UserModel):
    """A command to execute.

    argv: command as a list.
    exit: expected exit status.
    contains: text that the output must contain.
    timeout: seconds to wait.
    """

    argv: Annotated[tuple[Text, ...], Field(min_length=1)]
    exit: Annotated[int, Field(ge=0, le=255)] = 0
    contains: Text = ""
    timeout: Seconds = STEP_TIMEOUT


class LogStep(UserModel):
    """A pattern that the container's output must match.

    pattern: regular expression, as in Python.
    timeout: seconds to wait.
    """

    pattern: Text
    timeout: Seconds = STEP_TIMEOUT

    @model_validator(mode="after")
    def _compiles(self) -> LogStep:
        try:
            re.compile(self.pattern)
        except re.error as error:
            raise ValueError(f"is not a valid regular expression: {error}") from error
        return self


class ExitStep(UserModel):
    """The exit of the container without being stopped.

    code: expected exit status.
    timeout: seconds to wait.
    """

    code: Annotated[int, Field(ge=0, le=255)] = 0
    timeout: Seconds = STEP_TIMEOUT


class Step(UserModel):
    """A step while the container runs, of exactly one kind.

    name: title of the step.
    http: HTTP request from the guest.
    exec: command in the container.
    guest: command in the guest, outside the container.
    log: pattern in the container's output.
    exit: end of the container.
    """

    name: Text = ""
    http: HttpStep | None = None
    exec: ExecStep | None = None
    guest: ExecStep | None = None
    log: LogStep | None = None
    exit: ExitStep | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Step:
        if sum(part is not None for part in (self.http, self.exec, self.guest, self.log, self.exit)) != 1:
            raise ValueError("a step must have exactly one of http, exec, guest, log, exit")
        return self

    @property
    def action(self) -> HttpStep | ExecStep | LogStep | ExitStep:
        action = self.http or self.exec or self.guest or self.log or self.exit
        assert action is not None
        return action

    @property
    def title(self) -> str:
        """Return the step's name, or a short description of it."""
        if self.name:
            return self.name
        match self.action:
            case HttpStep() as http:
                return f"{'wait for' if http.wait else 'get'} http :{http.port}{http.path}"
            case ExecStep() as command:
                return f"{'exec' if self.exec else 'guest'} {' '.join(command.argv)}"[:60]
            case LogStep() as log:
                return f"log /{log.pattern}/"[:60]
            case ExitStep() as end:
                return f"exit {end.code}"


class ExpectedDenial(UserModel):
    """A denial that may or must happen. A missing field matches everything.

    source: type of the process.
    target: type of the object.
    class: object class.
    permissions: permissions.
    path: path of the object.
    as: `tolerate` if the denial may happen, `expect` if it must.
    reason: why it is expected.
    """

    source: Identifier | None = None
    target: Identifier | None = None
    tclass: Identifier | None = Field(default=None, alias="class")
    permissions: tuple[Identifier, ...] = ()
    path: Text = ""
    as_: Literal["tolerate", "expect"] = Field(default="tolerate", alias="as")
    reason: Annotated[str, Field(min_length=3), AfterValidator(_printable)]


class Expect(UserModel):
    """The expectations of a scenario besides its steps.

    denials: `none`, `any`, or the denials that may or must happen.
    """

    denials: Literal["none", "any"] | tuple[ExpectedDenial, ...] = "none"


class Scenario(UserModel):
    """A scenario file.

    description: what the scenario does.
    policy: name of the candidate, or `none` for the base policy's own container domain.
    image: directory below images/, or an image reference.
    runtime: container runtime in the guest.
    label: SELinux label of the container's processes.
    command: command of the container; by default the image's own.
    ports: published ports.
    volumes: mounted directories.
    cap_add: capabilities to add.
    cap_drop: capabilities to remove.
    user: user in the container; by default the image's own.
    environment: environment variables.
    read_only: whether the container's root file system is read-only.
    steps: steps to execute, in order.
    expect: expected denials.
    """

    description: Text = ""
    policy: Identifier = "none"
    image: Reference
    runtime: RuntimeName = STANDARD_RUNTIME
    label: Label = Label()
    command: tuple[Text, ...] = ()
    ports: tuple[Port, ...] = ()
    volumes: tuple[Volume, ...] = ()
    cap_add: tuple[Identifier, ...] = ()
    cap_drop: tuple[Identifier, ...] = ()
    user: Word | None = None
    environment: dict[Identifier, Text] = {}
    read_only: bool = False
    steps: tuple[Step, ...] = ()
    expect: Expect = Expect()
    _name: str = PrivateAttr(default="")

    @property
    def name(self) -> str:
        """Return the file's name without its ending."""
        return self._name

    def as_written(self) -> dict[str, Any]:
        """Return the scenario as plain data, for the history."""
        return self.model_dump(mode="json", by_alias=True, exclude_defaults=True)


def scenario_names(project: Project) -> list[str]:
    return sorted({path.stem for path in _scenario_files(project)})


def _scenario_files(project: Project) -> Iterator[Path]:
    for path in project.scenarios.glob("*.y*ml"):
        if path.suffix in (".yaml", ".yml"):
            yield path


def load_scenario(project: Project, name: str) -> Scenario:
    """Load the scenario `name` of the project. Raises InputError, with similar names, if it is unknown."""
    paths = sorted(path for path in _scenario_files(project) if path.stem == name)
    if not paths:
        hint = (
            f"{nearest(name, scenario_names(project))} To create it, run `selab new scenario {name}`.".strip()
        )
        raise InputError(f"There is no scenario '{name}'.", f"Looked in {project.scenarios}.", hint)
    if len(paths) > 1:
        raise InputError(
            f"The scenario '{name}' has more than one file.",
            ", ".join(map(str, paths)),
            "Remove or rename all but one.",
        )
    path = paths[0]
    if not NAME.fullmatch(path.stem):
        raise InputError(
            f"'{path.stem}' cannot be a scenario's name.", str(path), "Use letters, digits, '_', '.' and '-'."
        )
    inside(project.root, path, f"The scenario '{name}'")
    scenario = load(path, Scenario)
    scenario._name = path.stem
    _refuse_paths_outside(project, scenario, path)
    return scenario


def _refuse_paths_outside(project: Project, scenario: Scenario, path: Path) -> None:
    for volume in scenario.volumes:
        if volume.source is None:
            continue
        source = inside(
            project.root, project.root / volume.source, f"{path.name}: the volume '{volume.source}'"
        )
        if not source.is_dir():
            hint = "Create it, or omit `source` for an empty volume."
            raise InputError(f"The volume '{volume.source}' is not a directory.", f"{path}: {source}", hint)

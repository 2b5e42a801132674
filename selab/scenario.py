"""The scenario: a container workload with its label, its steps and what is expected of it, as the user wrote it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PrivateAttr, model_validator

from selab.errors import InputError
from selab.host.tables import RUNTIMES, table
from selab.host.yamlfile import load
from selab.project import IDENTIFIER, NAME, Project, inside, nearest

STEP_TIMEOUT = 60.0
"""Seconds a step may take unless it says otherwise: Apache needs about ten of them in an emulated guest."""
STANDARD_RUNTIME = next(name for name, fields in table(RUNTIMES).items() if fields["standard"])
"""The container runtime that every VM has, and that runs a scenario which names none."""
if TYPE_CHECKING:
    RuntimeName = str
else:
    RuntimeName = Literal[tuple(table(RUNTIMES))]


def _printable(text: str) -> str:
    if any(unicodedata.category(char) in ("Cc", "Cs") and char not in "\n\t" for char in text):
        raise ValueError("must not hold control characters")
    return text


def _word(text: str) -> str:
    """A value that a command line of the guest carries in one place: no control characters, and never read as an option."""
    if not text or text.startswith("-") or "\n" in text:
        raise ValueError("must be one line that does not begin with '-'")
    return _printable(text)


def _line(text: str) -> str:
    if "\n" in text:
        raise ValueError("must be one line")
    return _printable(text)


def _reference(text: str) -> str:
    """An image's name below images/, or one that Docker can pull (github.com/distribution/reference has the whole grammar)."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.:/@-]{0,254}", text) or ".." in text:
        raise ValueError("must be an image's name, or a reference such as registry/name:tag")
    return text


def _downward(path: str) -> str:
    """A path of the container that is appended to one of the guest."""
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


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Label(_Part):
    """`type` of the container's processes: by default NAME_t of the policy. `level` is an MCS range: by default a random pair."""

    type: Identifier | None = None
    level: Annotated[str, Field(pattern=r"^s\d+(:c\d+([.,]c\d+)*)?$")] | None = None


class Port(_Part):
    """A port of the container, reachable in the guest at 127.0.0.1:`guest`."""

    guest: Annotated[int, Field(ge=1, le=65535)]
    container: Annotated[int, Field(ge=1, le=65535)]


class Volume(_Part):
    """A directory of the guest in the container.

    `source`: a directory below the scenario's project, whose files are copied into the guest; or nothing for an empty one; `guest_path`
    instead names a directory that the guest has. `label`: `private` (Docker's :Z), `shared` (:z), `contexts` (by the file contexts of the
    base policy and the candidate, as if it lay at `target`), a type for the directory, or `keep`. By default a copy is labelled by the
    contexts where the candidate's .fc speaks of `target`, otherwise `private`; a directory of the guest keeps its label.
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
            raise ValueError(
                "a directory of the guest is labelled by the candidate's .fc, for the path that it has there"
            )
        return self


class HttpStep(_Part):
    """A request from the guest to 127.0.0.1:`port`; with `wait`, repeated until it is answered as expected or the time is up."""

    port: Annotated[int, Field(ge=1, le=65535)]
    path: Annotated[str, Field(pattern=r"^/[!-~]*$")] = "/"
    status: Annotated[int, Field(ge=100, le=599)] = 200
    contains: Line = ""
    wait: bool = False
    timeout: Seconds = STEP_TIMEOUT


class ExecStep(_Part):
    """A command, given as a list, that must end with `exit` and whose output must hold `contains`."""

    argv: Annotated[tuple[Text, ...], Field(min_length=1)]
    exit: Annotated[int, Field(ge=0, le=255)] = 0
    contains: Text = ""
    timeout: Seconds = STEP_TIMEOUT


class LogStep(_Part):
    """A pattern (Python's regular expressions) that the container's output must show within `timeout` seconds."""

    pattern: Text
    timeout: Seconds = STEP_TIMEOUT

    @model_validator(mode="after")
    def _compiles(self) -> LogStep:
        try:
            re.compile(self.pattern)
        except re.error as error:
            raise ValueError(f"is not a regular expression: {error}") from error
        return self


class ExitStep(_Part):
    """The container ends by itself within `timeout` seconds, with `code`."""

    code: Annotated[int, Field(ge=0, le=255)] = 0
    timeout: Seconds = STEP_TIMEOUT


class Step(_Part):
    """One thing to do while the container runs; exactly one of the kinds."""

    name: Text = ""
    http: HttpStep | None = None
    exec: ExecStep | None = None
    guest: ExecStep | None = None
    log: LogStep | None = None
    exit: ExitStep | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Step:
        if sum(part is not None for part in (self.http, self.exec, self.guest, self.log, self.exit)) != 1:
            raise ValueError("a step has exactly one of http, exec, guest, log, exit")
        return self

    @property
    def action(self) -> HttpStep | ExecStep | LogStep | ExitStep:
        action = self.http or self.exec or self.guest or self.log or self.exit
        assert action is not None
        return action

    @property
    def title(self) -> str:
        """The step's name, or what it does in few words."""
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


class ExpectedDenial(_Part):
    """A denial that may (`tolerate`) or must (`expect`) come. A field that is left out matches everything."""

    source: Identifier | None = None
    target: Identifier | None = None
    tclass: Identifier | None = Field(default=None, alias="class")
    permissions: tuple[Identifier, ...] = ()
    path: Text = ""
    as_: Literal["tolerate", "expect"] = Field(default="tolerate", alias="as")
    reason: Annotated[str, Field(min_length=3), AfterValidator(_printable)]


class Expect(_Part):
    """What makes the run a PASS beside its steps."""

    denials: Literal["none", "any"] | tuple[ExpectedDenial, ...] = "none"


class Scenario(_Part):
    """A scenario file. `policy` is the candidate's name, or `none` for the base policy's own container domain; `runtime` is what runs the
    container in the guest."""

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
        """The file's name without its ending."""
        return self._name

    def as_written(self) -> dict[str, Any]:
        """The scenario as plain data, for the history."""
        return self.model_dump(mode="json", by_alias=True, exclude_defaults=True)


def scenario_names(project: Project) -> list[str]:
    return sorted(path.stem for path in _scenario_files(project))


def _scenario_files(project: Project) -> Iterator[Path]:
    for path in project.scenarios.glob("*.y*ml"):
        if path.suffix in (".yaml", ".yml"):
            yield path


def load_scenario(project: Project, name: str) -> Scenario:
    """The scenario `name` of the project. Raises InputError, with the nearest names where there is none."""
    path = next((path for path in _scenario_files(project) if path.stem == name), None)
    if path is None:
        hint = f"{nearest(name, scenario_names(project))} `selab new scenario {name}` writes one to begin with.".strip()
        raise InputError(f"There is no scenario '{name}'.", f"Looked in {project.scenarios}.", hint)
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
            hint = "Make it, or leave `source` out for an empty volume."
            raise InputError(f"The volume '{volume.source}' is not a directory.", f"{path}: {source}", hint)

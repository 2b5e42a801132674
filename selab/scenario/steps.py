"""The steps of a scenario, each with what it expects."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)

from selab.host.yamlfile import UserModel
from selab.scenario.fields import GuestPath, Line, Name, Seconds, Text, Word, downward

STEP_TIMEOUT = 60.0
"""Seconds that a step may take by default: Apache takes about ten in an emulated guest."""
UP_SECONDS = 3.0
"""Seconds that a container must run by default: a program that cannot start usually ends within one."""
ANY_STATUS = "any"
"""The status of an HTTP step that every answer meets."""


def _status(value: object, accept: ValidatorFunctionWrapHandler) -> int | str:
    try:
        status: int | str = accept(value)
        return status
    except ValidationError as error:
        raise ValueError(f"must be a status from 100 to 599, or `{ANY_STATUS}`") from error


PortNumber = Annotated[int, Field(ge=1, le=65535)]


class HttpStep(UserModel):
    """A request from the guest to 127.0.0.1.

    port: port in the guest.
    path: path of the request.
    status: expected status, or `any` if every answer is one that a working server may give.
    contains: text that the answer must contain.
    wait: whether to repeat the request until it is answered as expected or the time is up.
    timeout: seconds to wait.
    """

    port: PortNumber
    path: Annotated[str, Field(pattern=r"^/[!-~]*$")] = "/"
    status: Annotated[Annotated[int, Field(ge=100, le=599)] | Literal["any"], WrapValidator(_status)] = 200
    contains: Line = ""
    wait: bool = False
    timeout: Seconds = STEP_TIMEOUT


class TcpStep(UserModel):
    """A TCP connection from the guest to 127.0.0.1, over which selab sends nothing.

    A process of the container must listen on the port, and the connection must reach it: Docker's proxy
    accepts a connection also if nothing listens in the container.

    port: port in the guest.
    wait: whether to try again until the connection is accepted, the container has ended or the time is up.
    timeout: seconds to wait.
    """

    port: PortNumber
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
    """A pattern that the output of the container or service must match.

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
    """The end of the container, or of the service's main process, without being stopped.

    code: expected exit status.
    timeout: seconds to wait.
    """

    code: Annotated[int, Field(ge=0, le=255)] = 0
    timeout: Seconds = STEP_TIMEOUT


class UpStep(UserModel):
    """A time for which the container must keep running.

    seconds: seconds from the start of the step.
    """

    seconds: Seconds = UP_SECONDS


def _target(path: str) -> str:
    if path.endswith("/"):
        raise ValueError("must be the path that the copy gets, without '/' at its end")
    return downward(path)


class CopyStep(UserModel):
    """A copy of a file or directory of the project in the container; links in it are left out.

    source: path below the scenario's project.
    target: path that the copy gets in the container. Its parent directory must exist; a file of that path is
        replaced, and the content of a directory is added to one of that path.
    timeout: seconds to wait.
    """

    source: Word
    target: Annotated[GuestPath, AfterValidator(_target)]
    timeout: Seconds = STEP_TIMEOUT


Action = HttpStep | TcpStep | ExecStep | LogStep | ExitStep | UpStep | CopyStep
KINDS = ("http", "tcp", "exec", "guest", "log", "exit", "up", "copy")
"""The kinds of steps, as a scenario names them."""


class Step(UserModel):
    """A step while the container runs, of exactly one kind.

    name: title of the step.
    container: container or service that the step is about, if the scenario has several; by default the one
        that publishes the port of the step.
    http: HTTP request from the guest.
    tcp: TCP connection from the guest.
    exec: command in the container; a service has none.
    guest: command in the guest, outside the container.
    log: pattern in the container's output.
    exit: end of the container.
    up: container that keeps running.
    copy: copy of a part of the project in the container.
    """

    name: Text = ""
    container: Name | None = None
    http: HttpStep | None = None
    tcp: TcpStep | None = None
    exec: ExecStep | None = None
    guest: ExecStep | None = None
    log: LogStep | None = None
    exit: ExitStep | None = None
    up: UpStep | None = None
    copy_: CopyStep | None = Field(default=None, alias="copy")

    @model_validator(mode="after")
    def _one_kind(self) -> Step:
        if len(self._actions()) != 1:
            raise ValueError(f"a step must have exactly one of {', '.join(KINDS)}")
        return self

    def _actions(self) -> list[Action]:
        actions = (self.http, self.tcp, self.exec, self.guest, self.log, self.exit, self.up, self.copy_)
        return [action for action in actions if action is not None]

    @property
    def action(self) -> Action:
        return self._actions()[0]

    @property
    def title(self) -> str:
        """Return the step's name, or a short description of it."""
        if self.name:
            return self.name
        match self.action:
            case HttpStep() as http:
                return f"{'wait for' if http.wait else 'get'} http :{http.port}{http.path}"
            case TcpStep() as tcp:
                return f"{'wait for' if tcp.wait else 'connect to'} tcp :{tcp.port}"
            case ExecStep() as command:
                return f"{'exec' if self.exec else 'guest'} {' '.join(command.argv)}"[:60]
            case LogStep() as log:
                return f"log /{log.pattern}/"[:60]
            case ExitStep() as end:
                return f"exit {end.code}"
            case UpStep() as up:
                return f"up for {up.seconds:g} s"
            case CopyStep() as copy:
                return f"copy {copy.source} to {copy.target}"[:60]

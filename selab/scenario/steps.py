"""The steps of a scenario, each with what it expects."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import Field, model_validator

from selab.host.yamlfile import UserModel
from selab.scenario.fields import Line, Name, Seconds, Text

STEP_TIMEOUT = 60.0
"""Seconds that a step may take by default: Apache takes about ten in an emulated guest."""


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
    container: container that the step is about, if the scenario has several; by default the one that
        publishes the port of the step.
    http: HTTP request from the guest.
    exec: command in the container.
    guest: command in the guest, outside the container.
    log: pattern in the container's output.
    exit: end of the container.
    """

    name: Text = ""
    container: Name | None = None
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

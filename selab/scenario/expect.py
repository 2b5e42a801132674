"""What a scenario expects besides the success of its steps."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from selab.host.yamlfile import UserModel
from selab.scenario.fields import Identifier, Text, printable


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
    reason: Annotated[str, Field(min_length=3), AfterValidator(printable)]


class Expect(UserModel):
    """The expectations of a scenario besides its steps.

    denials: `none`, `any`, or the denials that may or must happen.
    """

    denials: Literal["none", "any"] | tuple[ExpectedDenial, ...] = "none"

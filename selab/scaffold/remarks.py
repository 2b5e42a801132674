"""List what a new scenario does not take over from its source."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pydantic import ValidationError

from selab.host.yamlfile import first_problem

MOST_LEFT = 50
"""Lines that list what was left out of one container."""


class Remarks:
    """Collects what is not carried over.

    left: one line for each value that is not carried over.
    """

    def __init__(self) -> None:
        self.left: list[str] = []

    def leave(self, what: str, why: str) -> None:
        """List a value that is not carried over, once."""
        line = f"{what}: {why}"
        if line in self.left:
            return
        if len(self.left) < MOST_LEFT:
            self.left.append(line)
        elif len(self.left) == MOST_LEFT:
            self.left.append("and more")

    @contextmanager
    def trying(self, what: str) -> Iterator[None]:
        """Carry a value over in the block; if the scenario cannot have it, list it as `what`."""
        try:
            yield
        except ValidationError as error:
            self.leave(what, first_problem(error)[1])
        except ValueError as error:
            self.leave(what, str(error))

"""selab tries each way back into a guest in turn, and a new login proves that it worked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from selab.errors import Unreachable
from selab.guest import RUN_TIMEOUT, Completed, script
from selab.progress import Progress
from selab.vm import rescue


@dataclass
class World:
    """A guest that is in order after `helps`: "SSH", "console", "guard" or "reset".

    `logins` is whether a login works before that.
    """

    helps: str
    logins: bool = False
    tried: list[str] = field(default_factory=list)
    looks: int = 0

    @property
    def fine(self) -> bool:
        return self.helps in self.tried or (self.helps == "guard" and self.looks > 1)

    def login(self) -> Any:
        self.looks += 1
        if not (self.fine or self.logins):
            raise Unreachable("Logging in to the guest failed.")
        return self

    def run(
        self, argv: Sequence[str], *, timeout: float = RUN_TIMEOUT, limit: int | None = None
    ) -> Completed:
        if argv[2] == script("vm/restore-base"):
            self.tried.append("SSH")
            return Completed(tuple(argv), 0, b"", b"")
        if argv[2] == script("vm/check-guest"):
            out = b"" if self.fine else b"Docker does not run\n"
            return Completed(tuple(argv), 0 if self.fine else 1, out, b"")
        raise AssertionError(f"this guest has no configured answer for {argv!r}")

    def console(self, domain: str, password: str) -> None:
        self.tried.append("console")
        if self.helps != "console":
            raise Unreachable("The guest's console does not answer.")

    def reset(self) -> Any:
        self.tried.append("reset")
        return self

    def close(self) -> None: ...
    def __enter__(self) -> World:
        return self

    def __exit__(self, *_: object) -> None: ...


def outcome(world: World, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(rescue, "by_console", world.console)
    monkeypatch.setattr(rescue, "PATIENCE", 0.0)
    monkeypatch.setattr(rescue, "BOOTED", 0.0)
    return rescue.rescue(rescue.Ways(world.login, world.reset, "domain", "secret"), Progress())


@pytest.mark.parametrize(
    ("helps", "logins", "tried", "way"),
    [
        ("SSH", True, ["SSH"], "by SSH"),
        ("console", False, ["console"], "through the serial console"),
        ("guard", False, ["console"], "by the guard"),
        ("reset", False, ["console", "reset"], "by a reset"),
    ],
)
def test_the_first_way_that_helps_is_the_last_that_is_tried(
    helps: str, logins: bool, tried: list[str], way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(helps, logins)
    assert way in outcome(world, monkeypatch)
    assert world.tried == tried


def test_a_guest_in_order_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World("guard", looks=1)
    assert (outcome(world, monkeypatch), world.tried) == ("", [])


def test_a_guest_that_nothing_helps_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Unreachable, match="could not be restored"):
        outcome(World("nothing"), monkeypatch)

"""The container runtimes: Docker and Podman, whose differences are data (runtimes.toml)."""

from __future__ import annotations

import functools
import importlib.resources
import tomllib
from dataclasses import dataclass
from typing import Any

from selab.guest import Guest, script_argv

NOT_INSTALLED = "is not installed in the guest"
"""What container/scripts/start.sh reports if the guest has no such program."""


@dataclass(frozen=True)
class Runtime:
    """One of them; runtimes.toml says what the fields are. `name` is the program, and the scenario's word for it."""

    name: str
    title: str
    service: str
    no_daemon: str
    no_image: tuple[str, ...]
    in_the_way: tuple[str, ...]
    pid_file: str
    cgroups: tuple[str, ...]
    read_only: tuple[str, ...]
    registry: str
    settings: str
    labels: tuple[str, ...]
    labelled: str
    unlabelled: str

    def argv(self, *words: str) -> list[str]:
        """The command `words` of this runtime."""
        return [self.name, *words]

    def is_silent(self, text: str) -> bool:
        """Whether `text` says that its daemon does not answer, or (by the script that starts a container) that it hangs."""
        return bool(self.no_daemon) and (self.no_daemon in text or f"{self.name} hangs" in text)

    def lacks(self, text: str) -> bool:
        """Whether `text` says that it is not installed."""
        return f"{self.name} {NOT_INSTALLED}" in text

    def reference(self, name: str) -> str:
        """The `name` of an image that is pulled, in full: a first part with a dot or a port is a registry (distribution/reference)."""
        first, slash, _ = name.partition("/")
        return (
            name
            if slash and ("." in first or ":" in first or first == "localhost")
            else f"{self.registry}{name}"
        )

    def sets_labels(self, guest: Guest) -> bool:
        """Whether it sets SELinux labels in `guest`. One that does not ignores them in silence."""
        done = guest.run(self.argv(*self.labels)).expect(f"{self.title} does not answer in the guest.")
        return self.labelled in done.text

    def is_in(self, guest: Guest) -> bool:
        return guest.run(script_argv("container/has-program", self.name)).ok


@functools.cache
def runtimes() -> dict[str, Runtime]:
    """All of them, by their names."""
    data = tomllib.loads(importlib.resources.files("selab.container").joinpath("runtimes.toml").read_text())
    return {name: Runtime(name, **_values(one)) for name, one in data.items()}


def _values(one: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in one.items()}

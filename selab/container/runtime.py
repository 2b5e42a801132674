"""The container runtimes, such as Docker and Podman. What differs between them is data: runtimes.toml."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from selab.guest import Guest, complete_line, reading, script_argv
from selab.host.tables import RUNTIMES, table

NOT_INSTALLED = "is not installed in the guest"
"""What container/scripts/start.sh prints if the guest has no such program."""


NO_PROGRAM = (1, 127)
"""Exit codes of `command -v` for a program that is not installed: bash's and dash's."""


@dataclass(frozen=True)
class Runtime:
    """A container runtime. `name` is its program; runtimes.toml describes the other fields."""

    name: str
    title: str
    standard: bool
    service: str
    no_daemon: str
    no_image: tuple[str, ...]
    in_the_way: tuple[str, ...]
    usage: tuple[str, ...]
    pid_file: str
    cgroups: tuple[str, ...]
    read_only: tuple[str, ...]
    remove: tuple[str, ...]
    copy: tuple[str, ...]
    registry: str
    settings: str
    labels: tuple[str, ...]
    labelled: str
    unlabelled: str
    domains: tuple[str, ...]
    programs: tuple[str, ...]
    packages: tuple[str, ...]
    facts: Mapping[str, tuple[str, ...]]

    def argv(self, *words: str) -> list[str]:
        """Return the command `words` of this runtime."""
        return [self.name, *words]

    def is_silent(self, text: str) -> bool:
        """Return whether `text` reports that the daemon does not answer, or that the runtime hangs.

        The script that starts a container reports the latter.
        """
        return bool(self.no_daemon) and (self.no_daemon in text or f"{self.name} hangs" in text)

    def lacks(self, text: str) -> bool:
        """Return whether `text` reports that the runtime is not installed."""
        return f"{self.name} {NOT_INSTALLED}" in text

    def without_usage(self, text: str) -> str:
        """Return the error message `text` without the lines that explain the runtime's usage."""
        lines = (line for line in text.splitlines() if line.strip())
        return "\n".join(line for line in lines if not line.startswith(self.usage))

    def reference(self, name: str) -> str:
        """Return the full reference of the image `name`, for a pull.

        Its first part is a registry if it has a dot or a port, or is localhost (distribution/reference).
        """
        first, slash, _ = name.partition("/")
        has_registry = slash and ("." in first or ":" in first or first == "localhost")
        return name if has_registry else f"{self.registry}{name}"

    def sets_labels(self, guest: Guest) -> bool:
        """Return whether the runtime sets SELinux labels in `guest`. If not, it ignores them silently."""
        done = guest.run(self.argv(*self.labels)).expect(f"{self.title} does not answer in the guest.")
        with reading(done):
            return self.labelled in complete_line(done.text)

    def is_in(self, guest: Guest) -> bool:
        """Return whether the runtime is installed in `guest`."""
        done = guest.run(script_argv("container/has-program", self.name))
        return done.expect(f"It is unknown whether the guest has {self.title}.", 0, *NO_PROGRAM).ok


@functools.cache
def runtimes() -> dict[str, Runtime]:
    """Return the runtimes by name."""
    names = {field.name for field in fields(Runtime)}
    return {
        name: Runtime(name, **{key: _frozen(value) for key, value in entry.items() if key in names})
        for name, entry in table(RUNTIMES).items()
    }


def _frozen(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _frozen(entry) for key, entry in value.items()}
    return tuple(value) if isinstance(value, list) else value

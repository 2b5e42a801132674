"""The seam to what can provide a guest that is ready for a run: a VM that selab manages, or an existing host."""

from __future__ import annotations

from typing import Any, Protocol

from selab.guest import Guest
from selab.progress import Progress


class Machine(Protocol):
    """What a run needs from a machine.

    `managed`: selab creates and prepares the machine. On a machine that it does not manage, selab installs nothing unasked, accepts that
    there is no guard, and restores the base policy after each run.
    """

    managed: bool

    def ensure(self, progress: Progress) -> Guest:
        """Return a connection to the guest, which is up and has what a run needs. Raises SelabError."""

    def ensure_runtime(self, guest: Guest, runtime: str, progress: Progress) -> None:
        """Install the container runtime `runtime`, which `guest` lacks. Raises SelabError if selab may not install it."""

    def rescue(self, progress: Progress) -> str:
        """Restore the base policy if a new login or the guest's state shows that something is wrong.

        Returns what was done, or "" if nothing was wrong. Raises Unreachable if nothing helped.
        """

    def try_login(self) -> None:
        """Log in with a new connection and run a command. Raises SelabError if that fails."""


class MachineControl(Machine, Protocol):
    """What `selab vm` can do with a machine. An operation that a machine does not support raises InputError."""

    def prepare(self, progress: Progress) -> list[str]: ...
    def status(self) -> str: ...
    def connect(self) -> Guest: ...
    def location(self) -> str: ...
    def shell(self) -> None: ...
    def suspend(self, progress: Progress) -> None: ...
    def halt(self, progress: Progress) -> None: ...
    def destroy(self, progress: Progress) -> None: ...
    def reset(self) -> None: ...
    def wait(self) -> Guest: ...
    def console_command(self) -> list[str]: ...
    def vagrant_parameters(self) -> dict[str, Any]: ...
    def applied(self) -> list[str]: ...

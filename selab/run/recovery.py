"""A candidate that locks selab out of the guest: how selab notices it, undoes it and reports it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from selab.errors import InputError, SelabError
from selab.machine import Machine
from selab.policy.guest.load import Mode
from selab.progress import Progress


class LockedOut(SelabError):
    """The candidate made the guest unusable while it was enforced. selab has undone it from outside."""


def verify_login(machine: Machine, policy: str, cause: str, progress: Progress) -> None:
    """Verify that a new login to the guest still works. The existing connection does not show that.

    `cause` is the statement by which the candidate affects more than its own types. Raises LockedOut.
    """
    progress.note("The candidate affects more than its own types: trying a new login.")
    try:
        machine.try_login()
    except SelabError as error:
        what = f"A new login to the guest fails while the policy '{policy}' is enforced."
        hint = "The run was stopped and undone. Run it with `--setenforce no` to see what the policy denies."
        raise LockedOut(what, f"{error.what} The likely cause: {cause}", hint) from error


@contextmanager
def recover_on_failure(machine: Machine, policy: str, mode: Mode, progress: Progress) -> Iterator[None]:
    """If the block fails while its candidate may be enforced, check the guest and recover it if needed.

    Raises LockedOut if the guest had to be recovered, and otherwise the block's own error.
    """
    try:
        yield
    except InputError:
        raise
    except SelabError as error:
        if mode is Mode.PERMISSIVE:
            raise
        with progress.step("Checking whether the candidate has locked selab out of the guest", "rescue"):
            action = machine.rescue(progress)
        if not action or isinstance(error, LockedOut):
            raise
        raise LockedOut(
            f"The policy '{policy}' locked selab out of the guest while it was enforced.",
            _first(error).what,
            f"{action} Run it with `--setenforce no` or `domain` to see what it denies.",
        ) from error


def _first(error: SelabError) -> SelabError:
    """Return what went wrong first. The errors after it come from undoing things in an unresponsive guest."""
    first = error
    cause: BaseException | None = error
    while cause is not None:
        first = cause if isinstance(cause, SelabError) else first
        cause = cause.__context__
    return first

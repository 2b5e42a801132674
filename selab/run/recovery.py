"""A candidate that locks everybody out: noticed when the guest fails, undone, and told as what it is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from selab.errors import InputError, SelabError
from selab.machine import Machine
from selab.policy.guest.load import Mode
from selab.progress import Progress


class LockedOut(SelabError):
    """The candidate, while it enforced, left the guest so that selab had to undo it from outside; that is done."""


def verify_login(machine: Machine, policy: str, reach: str, progress: Progress) -> None:
    """See that the guest can still be logged in to, where a candidate reaches further than its own types by `reach`: the connection that
    there is shows nothing of that. Raises LockedOut."""
    progress.note("The candidate reaches beyond its own types: trying a new login.")
    try:
        machine.try_login()
    except SelabError as error:
        what = f"Nobody can log in to the guest while '{policy}' is enforced."
        hint = "The run was ended, and the guest is as before. `--setenforce no` shows what the policy takes away."
        raise LockedOut(what, f"{error.what} Look at: {reach}", hint) from error


@contextmanager
def recover_on_failure(machine: Machine, policy: str, mode: Mode, progress: Progress) -> Iterator[None]:
    """Where the block fails and its candidate may have enforced, look whether the guest is still in order, and bring it back. Raises
    LockedOut where that was needed, and the error itself where it was not."""
    try:
        yield
    except InputError:
        raise
    except SelabError as error:
        if mode is Mode.PERMISSIVE:
            raise
        with progress.step("Looking whether the candidate has locked the guest", "rescue"):
            said = machine.rescue(progress)
        if not said or isinstance(error, LockedOut):
            raise
        raise LockedOut(
            f"The policy '{policy}' locked selab out of the guest while it was enforced.",
            _first(error).what,
            f"{said} Try it with `--setenforce no` or `domain`: the denials say what it took away.",
        ) from error


def _first(error: SelabError) -> SelabError:
    """What went wrong first: the errors after it come from undoing things in a guest that no longer answers."""
    found = error
    cause: BaseException | None = error
    while cause is not None:
        found = cause if isinstance(cause, SelabError) else found
        cause = cause.__context__
    return found

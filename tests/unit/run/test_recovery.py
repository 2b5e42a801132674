"""A guest that fails under a candidate is checked, and only one that had to be recovered counts as locked."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from selab.errors import InputError, SelabError, Unreachable
from selab.policy.guest.load import Mode
from selab.progress import Progress
from selab.run.recovery import LockedOut, recover_on_failure, verify_login


@dataclass
class Machine:
    action: str = ""
    refused: bool = False
    rescues: int = 0

    def rescue(self, progress: Progress) -> str:
        self.rescues += 1
        return self.action

    def try_login(self) -> None:
        if self.refused:
            raise Unreachable("Logging in to the guest failed.")


def test_a_lockout_is_reported_with_what_went_wrong_first() -> None:
    with (
        pytest.raises(LockedOut) as caught,
        recover_on_failure(Machine("Given back."), "web", Mode.ENFORCING, Progress()),
    ):
        try:
            raise Unreachable("The connection broke.", "during `true`")
        finally:
            raise SelabError("The mode could not be set.")
    assert "'web'" in caught.value.what and caught.value.detail == "The connection broke."


def test_what_went_wrong_first_is_the_first_error_that_selab_explains() -> None:
    with (
        pytest.raises(LockedOut) as caught,
        recover_on_failure(Machine("Given back."), "web", Mode.ENFORCING, Progress()),
    ):
        try:
            raise OSError("a broken pipe")
        except OSError:
            raise Unreachable("The connection broke.")  # noqa: B904
    assert caught.value.detail == "The connection broke."


def test_a_guest_in_order_leaves_the_error_as_it_is() -> None:
    machine = Machine()
    with (
        pytest.raises(Unreachable, match="broke"),
        recover_on_failure(machine, "web", Mode.DOMAIN, Progress()),
    ):
        raise Unreachable("The connection broke.")
    assert machine.rescues == 1


@pytest.mark.parametrize(
    ("error", "mode"), [(InputError("no"), Mode.ENFORCING), (Unreachable("no"), Mode.PERMISSIVE)]
)
def test_an_error_that_no_candidate_caused_is_not_a_lockout(error: SelabError, mode: Mode) -> None:
    machine = Machine("Given back.")
    with pytest.raises(type(error)), recover_on_failure(machine, "web", mode, Progress()):
        raise error
    assert machine.rescues == 0


def test_a_login_that_is_refused_names_the_statement() -> None:
    with pytest.raises(LockedOut) as caught:
        verify_login(Machine(refused=True), "web", "(typetransition sshd_t a b)", Progress())
    error = caught.value
    assert "(typetransition sshd_t a b)" in error.detail
    assert "'web'" in error.what and "--setenforce no" in error.hint

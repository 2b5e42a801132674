"""The module store: the scripts run on this machine with a fake semodule and restorecon."""

from __future__ import annotations

from pathlib import Path

import pytest

from selab.errors import EXIT_ERROR, CommandFailed, InputError
from selab.policy.guest.module_store import PACKAGES, install, is_installed, relabel, uninstall
from tests.unit.fakes import FakeGuest
from tests.unit.policy.sandbox import LOADED, PolicyGuest

STORE = "/var/lib/selinux"
REASON = "Failed to resolve allow statement at /var/lib/selinux/default/tmp/modules/400/web/cil:3"
REFUSED = f"echo 'libsemanage.x: y' >&2; echo '{REASON}' >&2; echo 'semodule:  Failed!' >&2; exit 1"
FAILURES = {
    "it does not say why": "exit 1",
    "it is missing": "echo 'sh: 1: semodule: not found' >&2; exit 127",
    "it was killed": f"echo '{REASON}' >&2; echo 'semodule:  Failed!' >&2; exit 137",
    "the disk is full": (
        f"echo '{REASON}: No space left on device' >&2; echo 'semodule:  Failed!' >&2; exit 1"
    ),
    "it could not begin": "echo 'semodule: Could not begin transaction:  Success' >&2; exit 1",
    "it could not read a package": "echo 'semodule:  Failed on web.pp!' >&2; exit 1",
    "only its own work failed": (
        "echo 'libsemanage.semanage_pipe_data: Child process /pp failed with code: 2.' >&2; "
        "echo 'semodule:  Failed!' >&2; exit 1"
    ),
}
"""Ways in which semodule fails that are not a refusal of the policy."""


@pytest.fixture
def guest(tmp_path: Path) -> PolicyGuest:
    """A guest with the policy `default`, whose loaded policy is selab's."""
    guest = PolicyGuest(tmp_path)
    guest.path(f"{STORE}/default/active/modules").mkdir(parents=True)
    guest.path("/etc/selinux").mkdir()
    guest.path("/etc/selinux/config").write_text("SELINUX=enforcing\nSELINUXTYPE=default\n")
    guest.path(LOADED).touch()
    return guest


@pytest.mark.parametrize(
    ("place", "installed"),
    [
        ("default/active/modules/400/web", True),
        ("default/active/modules/100/web", False),
        ("targeted/active/modules/400/web", False),
        ("default/active/modules/400/webmail", False),
    ],
)
def test_a_module_is_installed_at_its_own_priority_in_the_store_in_use(
    guest: PolicyGuest, place: str, installed: bool
) -> None:
    guest.path(f"{STORE}/{place}").mkdir(parents=True)
    assert is_installed(guest, "web") is installed


def test_the_store_is_that_of_the_last_type_in_the_configuration(guest: PolicyGuest) -> None:
    guest.path("/etc/selinux/config").write_text("SELINUXTYPE=old\nSELINUXTYPE=default\n# The end.\n")
    guest.path(f"{STORE}/default/active/modules/400/web").mkdir(parents=True)
    assert is_installed(guest, "web")


def test_semodule_reports_in_english_why_it_does_not_remove_a_module(guest: PolicyGuest) -> None:
    guest.program("semodule", 'echo "language: $LC_ALL" >&2; exit 1')
    with pytest.raises(CommandFailed) as caught:
        uninstall(guest, "web")
    assert "language: C" in caught.value.detail


def test_a_store_that_cannot_be_read_is_an_error() -> None:
    guest = FakeGuest()
    guest.answer("sh", code=2, err="Permission denied")
    with pytest.raises(CommandFailed, match="cannot be read"):
        is_installed(guest, "web")


@pytest.mark.parametrize("config", ["SELINUXTYPE=absent\n", ""])
def test_a_store_that_does_not_exist_is_an_error(guest: PolicyGuest, config: str) -> None:
    guest.path("/etc/selinux/config").write_text(config)
    with pytest.raises(CommandFailed, match="cannot be read"):
        is_installed(guest, "web")


def test_packages_are_installed_in_one_transaction_and_then_removed(guest: PolicyGuest) -> None:
    guest.program("semodule", f'shift 3; cat "$@" >{guest.root}/content')
    install(guest, {"common.pp": b"first ", "web.cil": b"second"})
    assert guest.called == ["semodule -X 400 -i common.pp web.cil"]
    assert (guest.root / "content").read_text() == "first second"
    assert not guest.path(PACKAGES).exists()


def test_a_refused_package_is_an_error_with_the_first_message_and_is_removed(guest: PolicyGuest) -> None:
    guest.program("semodule", REFUSED)
    with pytest.raises(InputError, match="was not installed") as caught:
        install(guest, {"web": b"x"})
    assert caught.value.detail == REASON
    assert not guest.path(PACKAGES).exists()


def test_uninstalling_removes_the_module_at_the_priority_of_install(guest: PolicyGuest) -> None:
    guest.program("semodule")
    uninstall(guest, "web")
    assert guest.called == ["semodule -X 400 -r web"]


def test_a_refused_removal_is_an_error_with_the_first_message(guest: PolicyGuest) -> None:
    guest.program("semodule", REFUSED)
    with pytest.raises(InputError, match="was not uninstalled") as caught:
        uninstall(guest, "web")
    assert caught.value.detail == REASON


@pytest.mark.parametrize("body", FAILURES.values(), ids=FAILURES)
def test_a_failure_of_semodule_is_not_the_users_input(guest: PolicyGuest, body: str) -> None:
    guest.program("semodule", body)
    for change in (lambda: install(guest, {"web": b"x"}), lambda: uninstall(guest, "web")):
        with pytest.raises(CommandFailed, match="was not") as caught:
            change()
        assert caught.value.exit_code == EXIT_ERROR


def test_packages_that_are_missing_are_not_the_users_input(guest: PolicyGuest) -> None:
    guest.program("semodule")
    with pytest.raises(CommandFailed) as caught:
        install(guest, {})
    assert caught.value.returncode == 3 and guest.called == []


@pytest.mark.parametrize("body", ["", "exit 1"])
def test_selab_no_longer_takes_the_loaded_policy_for_its_own(guest: PolicyGuest, body: str) -> None:
    guest.program("semodule", body)
    for change in (lambda: install(guest, {"web": b"x"}), lambda: uninstall(guest, "web")):
        guest.path(LOADED).touch()
        if body:
            with pytest.raises(CommandFailed):
                change()
        else:
            change()
        assert not guest.path(LOADED).exists()


def test_only_files_that_exist_are_labelled(guest: PolicyGuest) -> None:
    guest.program("restorecon")
    guest.path("/srv/web").mkdir()
    relabel(guest, ["/srv/absent", "/srv/web"])
    relabel(guest, ["/srv/absent"])
    assert guest.called == [f"restorecon -RF {guest.path('/srv/web')}"]


def test_nothing_to_label_sends_no_command() -> None:
    guest = FakeGuest()
    relabel(guest, [])
    assert guest.commands == []


def test_files_that_cannot_be_labelled_are_an_error(guest: PolicyGuest) -> None:
    guest.program("restorecon", "exit 255")
    guest.path("/srv/web").mkdir()
    with pytest.raises(CommandFailed, match="could not be labelled"):
        relabel(guest, ["/srv/web"])

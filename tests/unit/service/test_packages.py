"""The packages of a service are installed once, and only in a guest that selab manages."""

from __future__ import annotations

import pytest

from selab.errors import CommandFailed, SelabError
from selab.guest import script
from selab.service.packages import ensure_packages, missing_packages
from selab.vm.provision import install_script
from tests.unit.fakes import Answer, FakeGuest, Notes, recorded_network

MISSING, INSTALL = script("service/missing-packages"), script("service/install-packages")


class Packages(FakeGuest):
    """A guest with the package manager apt-get, that lacks packages until they are installed."""

    def __init__(self, *lacking: str, code: int = 0, installs: bool = True) -> None:
        super().__init__()
        self.lacking = list(lacking)
        self.rules = [
            ((MISSING,), lambda argv: (0, "".join(f"{name}\n" for name in self.lacking), "")),
            ((INSTALL,), self._install),
            (("apt-get",), lambda argv: (0, "/usr/bin/apt-get\n", "")),
        ]
        self.code, self.installs = code, installs
        self.installed: list[list[str]] = []

    def _install(self, argv: object) -> Answer:
        words = list(argv)  # type: ignore[call-overload]
        self.installed.append(words[4:])
        if self.installs and not self.code:
            self.lacking = []
        return self.code, "", "it broke"


def ensured(guest: Packages, *names: str, managed: bool = True, notes: Notes | None = None) -> bool:
    online = recorded_network(guest.commands)
    return ensure_packages(guest, names, notes or Notes(), lambda: online(), managed=managed)


def test_packages_that_are_present_are_not_installed() -> None:
    guest = Packages()
    assert ensured(guest, "a", "b") is False
    assert guest.installed == []


def test_no_guest_is_asked_without_packages() -> None:
    guest = Packages()
    assert (ensured(guest), guest.commands) == (False, [])


def test_only_the_missing_packages_are_installed_while_the_network_is_open() -> None:
    guest, notes = Packages("b"), Notes()
    assert ensured(guest, "a", "b", notes=notes) is True
    assert guest.installed == [[install_script("apt"), "b"]]
    installing = next(place for place, argv in enumerate(guest.commands) if INSTALL in argv)
    assert (
        guest.commands.index(("network", "open")) < installing < guest.commands.index(("network", "closed"))
    )
    assert notes.steps == ["Installing b in the guest"]


def test_a_failed_installation_is_an_error() -> None:
    with pytest.raises(CommandFailed, match="could not be installed in the guest: b"):
        ensured(Packages("b", code=100), "b")


def test_a_package_that_is_still_missing_is_an_error() -> None:
    with pytest.raises(SelabError, match="missing all the same: b"):
        ensured(Packages("b", installs=False), "b")


def test_nothing_is_installed_on_a_machine_that_selab_does_not_manage() -> None:
    guest = Packages("b")
    with pytest.raises(SelabError, match="lacks packages of the service: b") as caught:
        ensured(guest, "b", managed=False)
    assert (guest.installed, caught.value.hint) == ([], "Install them there.")


def test_a_guest_that_names_other_packages_is_not_believed() -> None:
    with pytest.raises(SelabError, match="makes no sense"):
        missing_packages(("a",)).of(Packages("b"))

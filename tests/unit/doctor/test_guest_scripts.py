"""The script that collects facts about a guest, run with sh in a sandbox with fake programs."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from selab.doctor.support_report import GUEST_FACTS, _facts
from selab.guest import script_argv
from tests.unit.fakes import SandboxGuest

MODULES = "/var/lib/selinux/targeted/active/modules/400"
NAMES = (
    "runc selinux-policy selinux-policy-targeted selinux-policy-default container-selinux libsepol "
    "policycoreutils secilc audit auditd"
)
"""The packages that are looked up for the runtime package runc."""


class FactsGuest(SandboxGuest):
    """A sandbox that has the files and programs of a Debian guest, and lacks all other programs."""

    PLACES = (*SandboxGuest.PLACES, "/etc", "/proc", "/var/lib/selinux")

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.environment["PATH"] = str(self.path("/bin"))
        for name in ("grep", "head", "ls", "sed", "tr"):
            self.path(f"/bin/{name}").symlink_to(shutil.which(name) or name)
        self.write("/etc/os-release", 'NAME=Debian\nPRETTY_NAME="Debian GNU/Linux 13"\n')
        self.write("/etc/selinux/config", "# SELINUX=disabled\nSELINUX=enforcing\nSELINUXTYPE=default\n")
        self.write("/etc/selinux/semanage.conf", "# expand-check = 1\n\nmodule-store = direct\n[end]\n")
        self.write("/proc/cpuinfo", "processor\t: 0\nmodel name\t: QEMU CPU\n\nmodel name\t: second\n")
        self.write(f"{MODULES}/web/cil", "")
        self.program("uname", '[ "$1" = -srm ] && echo Linux 6.12 x86_64')
        self.program("python3", '[ "$1" = --version ] && echo Python 3.13')
        self.program("dpkg-query", "printf 'ii  runc 1.1\\nun  secilc \\nii  audit 4.0\\n'")

    def facts(self) -> dict[str, str]:
        """Run the script, and read what it printed as a support report does."""
        return _facts(self.run(script_argv("doctor/facts", "runc")))


@pytest.fixture
def guest(tmp_path: Path) -> FactsGuest:
    return FactsGuest(tmp_path)


def test_the_facts_of_a_guest_are_in_its_files_and_programs(guest: FactsGuest) -> None:
    facts = guest.facts()
    assert tuple(facts) == GUEST_FACTS
    assert facts == {
        "guest": "Debian GNU/Linux 13",
        "kernel": "Linux 6.12 x86_64",
        "processor": "QEMU CPU",
        "packages": "runc 1.1 audit 4.0",
        "SELinux configuration": "SELINUX=enforcing SELINUXTYPE=default module-store = direct",
        "local policy modules": "web",
        "Python in the guest": "Python 3.13",
    }


def test_dpkg_is_asked_for_the_packages_of_the_runtimes_and_of_selinux(guest: FactsGuest) -> None:
    guest.facts()
    call = next(number for number, line in enumerate(guest.called) if line.startswith("dpkg-query"))
    assert guest.called[call : call + 2] == [
        "dpkg-query -W -f ${db:Status-Abbrev} ${Package} ${Version}",
        f" {NAMES}",
    ]


def test_rpm_is_asked_where_it_installed_itself(guest: FactsGuest) -> None:
    guest.program(
        "rpm",
        '[ "$*" = "-q rpm" ] || { echo runc-1.1; echo secilc is not installed; echo audit-4.0; exit 1; }',
    )
    assert guest.facts()["packages"] == "runc-1.1 audit-4.0"
    assert [call for call in guest.called if "pkg" in call or "rpm" in call] == [
        "rpm -q rpm",
        f"rpm -q {NAMES}",
    ]


def test_a_debian_guest_that_has_rpm_as_well_is_asked_with_dpkg(guest: FactsGuest) -> None:
    guest.program("rpm", "echo package rpm is not installed; exit 1")
    assert guest.facts()["packages"] == "runc 1.1 audit 4.0"


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ("/etc/os-release", "guest"),
        ("/bin/uname", "kernel"),
        ("/proc/cpuinfo", "processor"),
        ("/bin/dpkg-query", "packages"),
        (MODULES, "local policy modules"),
        ("/bin/python3", "Python in the guest"),
    ],
)
def test_a_fact_that_is_unknown_is_left_out_and_no_other(guest: FactsGuest, place: str, name: str) -> None:
    shutil.rmtree(guest.path(place)) if guest.path(place).is_dir() else guest.path(place).unlink()
    done = guest.run(script_argv("doctor/facts"))
    assert (done.returncode, done.stderr) == (0, b"")
    assert tuple(_facts(done)) == tuple(fact for fact in GUEST_FACTS if fact != name)


def test_a_guest_without_a_configuration_of_selinux_has_no_such_fact(guest: FactsGuest) -> None:
    shutil.rmtree(guest.path("/etc/selinux"))
    assert set(GUEST_FACTS) - set(guest.facts()) == {"SELinux configuration"}


def test_a_fact_is_one_line_whatever_its_text_has(guest: FactsGuest) -> None:
    guest.program("uname", r"printf 'Linux\t 6.12\n\nx86_64\n'")
    assert guest.facts()["kernel"] == "Linux 6.12 x86_64"

"""The provisioning steps for the family dnf, with real dnf in a guest without systemd and without a network.

SELAB_DNF_ROOT names another root file system than this machine's, to test with its dnf.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from selab.errors import CommandFailed
from selab.progress import Progress
from selab.vm import provision
from tests.dnf.chroot import ChrootGuest
from tests.unit.fakes import recorded_network

pytestmark = pytest.mark.dnf
Start = Callable[..., ChrootGuest]
NEWER_KERNEL = "6.12.0-99.1.1.el10"


def provisioned(guest: ChrootGuest) -> list[str]:
    return provision.provision(guest, Progress(), recorded_network([]))


def apply(guest: ChrootGuest, runtime: str) -> None:
    steps = provision.runtime_steps("dnf", runtime)
    provision.apply(guest, provision.left_to_do(guest, steps), Progress(), recorded_network([]))


@pytest.mark.parametrize("release", [9, 10])
def test_each_step_has_its_result_and_none_is_done_twice(guest_of: Start, release: int) -> None:
    guest = guest_of(release)
    names = [step.name for step in provision.steps("dnf")]
    other = {9: "EL 10", 10: "EL 9"}[release]
    assert provisioned(guest) == [name for name in names if other not in name]
    before = guest.state()
    assert provisioned(guest) == []
    after = guest.state()
    stamp = provision.STAMP.lstrip("/")
    assert {name for name in before | after if before.get(name) != after.get(name)} == {stamp}
    assert "crb" in guest.sh("dnf -q repolist --disabled")


def test_developers_packages_are_installed_from_the_repository_of_rhel(guest_of: Start) -> None:
    guest = guest_of(10)
    guest.sh("sed -i 's/^.crb.$/[codeready-builder-for-rhel-10-x86_64-rpms]/' /etc/yum.repos.d/centos.repo")
    assert "SELinux and audit tools" in provisioned(guest)


def test_a_system_without_that_repository_reports_what_dnf_lacks(guest_of: Start) -> None:
    guest = guest_of(10)
    guest.sh("sed -i '/^.crb.$/,$d' /etc/yum.repos.d/centos.repo")
    with pytest.raises(CommandFailed) as caught:
        provisioned(guest)
    assert "secilc" in caught.value.detail.rpartition("ended with")[2]


def test_podman_is_installed_beside_docker_once(guest_of: Start) -> None:
    guest = guest_of(9)
    provisioned(guest)
    apply(guest, "podman")
    before = guest.state()
    apply(guest, "podman")
    assert guest.state() == before
    assert guest.sh("rpm -q podman docker-ce crun")


def test_docker_is_refused_beside_podman_docker_and_nothing_is_removed(guest_of: Start) -> None:
    guest = guest_of(9)
    guest.sh("dnf -y install podman-docker")
    before = guest.installed()
    with pytest.raises(CommandFailed) as caught:
        provisioned(guest)
    reason = caught.value.detail.rpartition("ended with")[2]
    assert "podman-docker" in reason
    assert "docker-ce" in reason
    assert guest.installed() == before


def test_a_newer_kernel_is_installed_once_and_needs_a_restart(guest_of: Start) -> None:
    guest = guest_of(10, NEWER_KERNEL)
    for _ in range(2):
        with pytest.raises(CommandFailed, match="restart"):
            provisioned(guest)
    kernels = [name for name in guest.installed() if name.startswith("kernel-core")]
    assert len(kernels) == 2
    guest.put(f"{NEWER_KERNEL}.x86_64\n".encode(), "/etc/kernel-release")
    assert "Docker" in provisioned(guest)

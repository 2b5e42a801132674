"""Probes first, and only what is missing is applied."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from selab.errors import CommandFailed, SelabError
from selab.guest import script, shell_argv
from selab.progress import Progress
from selab.vm import provision
from selab.vm.ssh_login import Address
from tests.unit.fakes import SandboxGuest, recorded_network

from .conftest import ProvisionedGuest


@pytest.fixture
def guest() -> ProvisionedGuest:
    return ProvisionedGuest(Address("127.0.0.1", 22, "root", Path("/k"), Path("/h")))


def provisioned(guest: ProvisionedGuest) -> list[str]:
    return provision.provision(guest, Progress(), recorded_network(guest.commands))


def test_nothing_missing_is_one_round_of_probes_and_the_stamp(guest: ProvisionedGuest) -> None:
    assert provisioned(guest) == []
    assert len(guest.commands) == 2
    assert guest.files[provision.STAMP].decode().strip() == provision.ready_stamp()


def test_only_what_is_missing_is_applied(guest: ProvisionedGuest) -> None:
    steps, guest.tool = provision.steps("dnf"), "/usr/bin/dnf"
    guest.probes = ["present"] * len(steps)
    guest.probes[1] = guest.probes[3] = "missing"
    assert provisioned(guest) == [steps[1].name, steps[3].name]
    shells = [argv for argv in guest.commands if argv[0] == "sh" and argv[2] != script("vm/probe")]
    assert [(argv[2], argv[4:]) for argv in shells[1:]] == [
        (step.apply, step.packages) for step in (steps[1], steps[3])
    ]


@pytest.mark.parametrize(
    ("name", "downloads"),
    [("SELinux and audit tools", True), ("Docker's repository", True), ("Docker running", False)],
)
def test_the_network_is_open_for_the_steps_that_download(
    guest: ProvisionedGuest, name: str, downloads: bool
) -> None:
    steps, guest.tool = provision.steps("dnf"), "/usr/bin/dnf"
    guest.probes = ["missing" if step.name == name else "present" for step in steps]
    provisioned(guest)
    network = [argv[1] for argv in guest.commands if argv[0] == "network"]
    assert network == (["open", "closed"] if downloads else [])


def test_a_step_that_fails_is_named_and_the_guest_stays_not_ready(guest: ProvisionedGuest) -> None:
    steps = provision.steps("apt")
    guest.probes, guest.code = ["missing", *["present"] * (len(steps) - 1)], 7
    with pytest.raises(CommandFailed, match="'Docker'") as caught:
        provisioned(guest)
    assert caught.value.detail.endswith("ended with 7: it broke")
    assert guest.files[provision.STAMP] == b"not ready\n"
    assert not provision.is_ready(guest)


@pytest.mark.parametrize("answer", ["", "present", "present maybe", "present present present"])
def test_an_answer_that_does_not_fit_is_not_guessed_at(answer: str) -> None:
    with pytest.raises(SelabError, match="cannot be read"):
        provision.missing(answer, provision.steps("apt")[:2])


def test_every_step_has_a_probe_and_an_own_name() -> None:
    for family in ("apt", "dnf"):
        names = [step.name for step in provision.steps(family)]
        assert len(names) == len(set(names))
        assert all(step.probe.strip() and step.apply.strip() for step in provision.steps(family))


@pytest.mark.parametrize(("keyword", "code"), [("%s no", 0), ("%s yes", 1)])
@pytest.mark.parametrize("names", ["passwordauthentication", "PasswordAuthentication"])
def test_sshd_may_print_its_settings_in_either_case(
    tmp_path: Path, names: str, keyword: str, code: int
) -> None:
    """OpenSSH 10.3 prints the keywords as its manual writes them, and earlier versions in lower case."""
    sandbox = SandboxGuest(tmp_path)
    sandbox.program("sshd", f"echo '{keyword % names}'; echo 'ALLOWAGENTFORWARDING no'")
    (probe,) = [step.probe for step in provision.steps("dnf") if step.name == "SSH by key only"]
    assert sandbox.run(shell_argv(probe)).returncode == code


@pytest.mark.parametrize("text", ['[network]\nfirewall_driver = "nftables"\n', "[network]\n", None])
@pytest.mark.parametrize("docker", [True, False])
def test_podmans_rules_join_those_of_docker_unless_the_administrator_decides(
    tmp_path: Path, text: str | None, docker: bool
) -> None:
    sandbox = ContainersGuest(tmp_path)
    sandbox.program("have", f"[ $1 = dockerd ] && exit {int(not docker)}")
    if text is not None:
        sandbox.write("/etc/containers/containers.conf", text)
    (step,) = [step for step in provision.runtime_steps("apt", "podman") if "beside Docker" in step.name]
    probed = sandbox.run(shell_argv(step.probe)).ok
    assert probed is (not docker or (text is not None and "firewall_driver" in text))
    assert sandbox.run(shell_argv(step.apply)).ok and sandbox.run(shell_argv(step.probe)).ok
    (written,) = sandbox.path("/etc/containers/containers.conf.d").iterdir()
    assert tomllib.loads(written.read_text()) == {"network": {"firewall_driver": "iptables"}}


class ContainersGuest(SandboxGuest):
    """A sandbox with Podman's settings."""

    PLACES = (*SandboxGuest.PLACES, "/etc/containers")

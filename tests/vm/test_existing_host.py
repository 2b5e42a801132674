"""Use the VM of the other tests as an existing host: `box: host` in a project of its own."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from selab.__main__ import run as selab
from selab.policy.guest.load import policy_state
from selab.vm.ssh import SshGuest
from tests.vm.conftest import CHECKOUT

SETTINGS = """
vm:
  box: host
  host:
    address: {address.host}
    port: {address.port}
    user: {address.user}
    key: {address.key}
    known_hosts: {known}
"""
Command = Callable[..., int]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, session_guest: SshGuest) -> Iterator[Path]:
    """Make a project whose existing host is the VM, and allow it without touching the user's own settings."""
    root = tmp_path_factory.mktemp("existing-host")
    for name in ("policies", "scenarios", "images"):
        shutil.copytree(CHECKOUT / name, root / name)
    known = root / "known_hosts"
    known.write_text("")
    (root / "selab.yaml").write_text(SETTINGS.format(address=session_guest.address, known=known))
    # The machine's own policy, without the candidate of another test.
    session_guest.run(["load_policy"]).expect("load_policy")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("settings")))
        assert selab(["-C", str(root), "trust", "-y"]) == 0
        yield root


@pytest.fixture(scope="module")
def command(root: Path) -> Command:
    return lambda *words: selab(["-C", str(root), *words])


@pytest.fixture(scope="module")
def first_contact(command: Command) -> int:
    return command("vm", "up")


def policy_of(guest: SshGuest) -> str:
    """Return the digest of the policy in the kernel."""
    return guest.run(["sha256sum", "/sys/fs/selinux/policy"]).expect("sha256sum").text


def packages_of(guest: SshGuest) -> str:
    return guest.run(["dpkg-query", "-W"]).expect("dpkg-query").text


def document(command: Command, capfd: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    capfd.readouterr()
    command("run", *words, "--json")
    result: dict[str, Any] = json.loads(capfd.readouterr().out)
    return result


def test_a_host_whose_key_is_unknown_is_not_used_before_the_first_contact(
    command: Command, capfd: pytest.CaptureFixture[str]
) -> None:
    assert command("vm", "ssh", "--", "id") == 3
    assert "The host key of" in capfd.readouterr().err


def test_the_first_contact_pins_the_key(first_contact: int, command: Command) -> None:
    assert (first_contact, command("vm", "status")) == (0, 0)


def test_the_full_policy_passes_in_enforcing_mode(
    first_contact: int, command: Command, capfd: pytest.CaptureFixture[str]
) -> None:
    result = document(command, capfd, "apache", "--policy", "selab_apache_full")
    assert (result["verdict"], result["denials"]) == ("PASS", [])


def test_the_draft_fails_with_its_denials(
    first_contact: int, command: Command, capfd: pytest.CaptureFixture[str]
) -> None:
    result = document(command, capfd, "apache", "--setenforce", "no")
    assert result["verdict"] == "FAIL"
    assert {row["target"] for row in result["denials"]} >= {"http_port_t", "selab_apache_t"}


def test_a_run_changes_neither_the_policy_nor_the_mode_nor_the_packages(
    first_contact: int, command: Command, guest: SshGuest
) -> None:
    before = policy_of(guest), policy_state().of(guest).enforcing, packages_of(guest)
    assert command("run", "apache", "--policy", "selab_apache_full") == 0
    assert (policy_of(guest), policy_state().of(guest).enforcing, packages_of(guest)) == before


def test_nothing_of_the_run_is_left_on_the_host(
    first_contact: int, command: Command, guest: SshGuest
) -> None:
    command("run", "apache", "--setenforce", "no")
    assert guest.run(["docker", "ps", "-aq"]).text == ""
    assert guest.run(["ls", "-A", "/var/lib/selab/runs"]).text == ""


def test_the_host_is_not_removed(
    first_contact: int, command: Command, capfd: pytest.CaptureFixture[str]
) -> None:
    assert command("vm", "destroy", "-y") == 2
    assert "is an existing host, not a VM" in capfd.readouterr().err
    assert command("vm", "status") == 0

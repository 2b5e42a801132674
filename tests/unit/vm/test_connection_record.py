"""What selab records when it asks Vagrant how to reach the VM."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from selab.vm import connection
from selab.vm.connection import Connection
from selab.vm.host_keys import HOST_ALIAS
from selab.vm.state import Remembered
from selab.vm.vagrant import SshConfig

KNOWN = Remembered("h", 22, "vagrant", "key", "a domain", "libvirt", "closed")


class Records:
    """What selab recorded of a VM that Vagrant reaches at 127.0.0.1:2222 as the user vagrant."""

    def __init__(
        self,
        directory: Path,
        known: Remembered | None = None,
        provider: str = "libvirt",
        domain: str = "a domain",
    ) -> None:
        self.vagrants_domain, self.known_hosts = domain, directory / "known_hosts"
        self.known, self.provider, self.keys, self.records = known, provider, list[Path](), list[Remembered]()

    def keep_key(self, path: Path) -> Path:
        self.keys.append(path)
        return Path("/lab/key")

    def remembered(self) -> Remembered | None:
        return self.known

    def remember(self, known: Remembered) -> None:
        self.records.append(known)

    def record(self, *, anew: bool = False) -> Remembered:
        """Return what selab records when it asks Vagrant."""
        config = SshConfig("127.0.0.1", 2222, "vagrant", Path("/vm/key"))
        vagrant = SimpleNamespace(ssh_config=lambda: config)
        record = SimpleNamespace(provider=lambda: self.provider)
        Connection(cast(Any, vagrant), cast(Any, self), cast(Any, record)).remember(anew)
        assert self.keys == [Path("/vm/key")]
        return self.records[-1]


HOST_KEY = "ssh-ed25519 AAAA"


@pytest.fixture
def guest_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    """A guest agent that knows the host key."""
    key = {("a domain", connection.HOST_KEY): f"{HOST_KEY} \xff\n".encode("latin-1")}
    monkeypatch.setattr(connection.libvirt, "agent_read", lambda *words: key[words])


def test_a_login_that_vagrant_reports_is_recorded(tmp_path: Path, guest_agent: None) -> None:
    assert Records(tmp_path).record() == Remembered(
        "127.0.0.1", 2222, "vagrant", "/lab/key", "a domain", "libvirt", "unknown"
    )


def test_a_vm_of_another_provider_has_no_domain(tmp_path: Path) -> None:
    records = Records(tmp_path, provider="virtualbox")
    assert (records.record().domain, records.known_hosts.exists()) == ("", False)


@pytest.mark.parametrize(
    ("domain", "anew", "user"),
    [("a domain", False, "root"), ("a domain", True, "vagrant"), ("another", False, "vagrant")],
)
def test_the_recorded_user_stays_for_the_same_vm_unless_the_login_is_new(
    tmp_path: Path, guest_agent: None, domain: str, anew: bool, user: str
) -> None:
    known = replace(KNOWN, user="root", domain=domain)
    assert Records(tmp_path, known).record(anew=anew).user == user


@pytest.mark.parametrize(
    ("domain", "network", "recorded"),
    [("a domain", "open", "open"), ("a domain", "closed", "unknown"), ("another", "open", "unknown")],
)
@pytest.mark.parametrize("anew", [True, False])
def test_only_a_network_that_the_user_opened_stays_as_recorded(
    tmp_path: Path, guest_agent: None, domain: str, network: str, recorded: str, anew: bool
) -> None:
    known = replace(KNOWN, domain=domain, network=network)
    assert Records(tmp_path, known).record(anew=anew).network == recorded


def test_the_guest_agents_host_key_is_pinned(tmp_path: Path, guest_agent: None) -> None:
    records = Records(tmp_path)
    records.record()
    assert records.known_hosts.read_text() == f"{HOST_ALIAS} {HOST_KEY}\n"


@pytest.mark.parametrize("key", [HOST_KEY, ""])
def test_the_consoles_host_key_is_pinned_if_the_agent_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setattr(connection.libvirt, "agent_read", lambda *words: b"")
    monkeypatch.setattr(Connection, "_key_on_console", lambda _, domain: {"a domain": key}[domain])
    records = Records(tmp_path)
    records.record()
    pinned = records.known_hosts.read_text() if records.known_hosts.exists() else ""
    assert pinned == (f"{HOST_ALIAS} {key}\n" if key else "")


def test_a_host_key_that_is_pinned_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection.libvirt, "agent_read", lambda *words: pytest.fail("the agent was asked"))
    records = Records(tmp_path)
    records.known_hosts.write_text("pinned")
    records.record()
    assert records.known_hosts.read_text() == "pinned"

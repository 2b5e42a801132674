"""Logging in to real sshd processes: a guest, and a lab behind a bastion. What is not known is refused."""

from __future__ import annotations

import dataclasses
import logging
import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import paramiko
import pytest
from cryptography.exceptions import UnsupportedAlgorithm
from paramiko.pkey import UnknownKeyType

from selab.errors import SelabError, Unreachable
from selab.progress import Progress
from selab.project import HostConfig, Project
from selab.vm import keys, ssh_config, ssh_login
from selab.vm.existing import ExistingHost
from selab.vm.host_keys import pin_text, pinned_key
from selab.vm.openssh import interactive
from selab.vm.ssh import SshGuest
from selab.vm.ssh_login import Address
from tests.unit.vm.sshd import Sshd, running

pytestmark = pytest.mark.program

OTHER_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBVlO4bIQmB8tbBVhBKhQKnZtKMkqRHbGtAjbCPrfGKv"


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    """The target: a guest, or a lab behind the bastion."""
    with running(tmp_path_factory.mktemp("target") / "sshd", "AllowTcpForwarding no") as server:
        yield server


@pytest.fixture(scope="module")
def bastion(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    with running(tmp_path_factory.mktemp("bastion") / "sshd", "AllowTcpForwarding yes") as server:
        yield server


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home directory with nothing in it, and no agent, so that nothing of the developer's own is used."""
    (tmp_path / "home/.ssh").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    monkeypatch.setattr(ssh_config, "SYSTEM_FILE", tmp_path / "none")
    monkeypatch.setattr(ssh_config, "SYSTEM_KNOWN_HOSTS", tmp_path / "none")
    return tmp_path / "home/.ssh"


@pytest.fixture
def guest(sshd: Sshd, tmp_path: Path) -> Address:
    """Return the address of the managed VM, with its pinned key."""
    pin_text(tmp_path / "pinned", sshd.public)
    return Address("127.0.0.1", sshd.port, sshd.user, sshd.key, tmp_path / "pinned")


@pytest.fixture
def lab(home: Path, sshd: Sshd, bastion: Sshd, project: Project) -> Callable[..., ExistingHost]:
    """The existing host `lab`, which ~/.ssh/config puts behind the bastion, unless `route` says otherwise."""
    (home / "known_hosts").write_text(bastion.known_line + sshd.known_line)

    def machine(route: str = "ProxyJump bastion", address: str = "lab") -> ExistingHost:
        (home / "config").write_text(
            f"Host lab\n  HostName 127.0.0.1\n  Port {sshd.port}\n  User {sshd.user}\n"
            f"  IdentityFile {home}/no-such-key\n  IdentityFile {sshd.key}\n  {route}\n"
            f"Host bastion\n  HostName 127.0.0.1\n  Port {bastion.port}\n  User {bastion.user}\n"
            f"  IdentityFile {bastion.key}\n"
        )
        return ExistingHost(project, HostConfig(address=address))

    return machine


def forwarded(bastion: Sshd, sshd: Sshd) -> int:
    """How many connections the bastion has forwarded to the target."""
    return bastion.log().count(f"target 127.0.0.1 port {sshd.port}")


def await_forwarded(bastion: Sshd, sshd: Sshd, count: int) -> None:
    """Wait until the bastion has logged `count` connections to the target.

    sshd logs a connection by another process than the one that forwards it, so the line may come late.
    """
    deadline = time.monotonic() + 20
    while forwarded(bastion, sshd) < count:
        assert time.monotonic() < deadline, f"the bastion has not forwarded {count} connections"
        time.sleep(0.02)


# --- selab's own VM -----------------------------------------------------------------------------


def test_commands_run_in_a_guest(guest: Address) -> None:
    with SshGuest.connect(guest) as connection:
        completed = connection.run(("sh", "-c", "cat; echo error >&2; exit 3"), input=b"\xff data")
    assert (completed.stdout, completed.stderr, completed.returncode) == (b"\xff data", b"error\n", 3)


def test_a_file_arrives_and_comes_back(guest: Address, tmp_path: Path) -> None:
    data = os.urandom(3_000_000)
    with SshGuest.connect(guest) as connection:
        connection.put(data, f"{tmp_path}/new/file", mode=0o640)
        assert connection.get(f"{tmp_path}/new/file") == data
    assert (tmp_path / "new/file").stat().st_mode & 0o777 == 0o640


def test_nothing_of_the_users_configuration_is_read_for_a_guest(guest: Address, home: Path) -> None:
    (home / "config").write_text(
        "Host *\n  ProxyCommand false\n  HostName 127.0.0.9\n  Port 1\n  User other\n"
    )
    with SshGuest.connect(guest) as connection:
        assert connection.run(("true",)).ok


def test_no_agent_is_asked_for_a_guest(guest: Address, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssh_login.paramiko, "Agent", lambda: pytest.fail("asked"))
    wrong = guest.known_hosts.with_name("wrong")
    wrong.write_text(keys.new_key()[0])
    with pytest.raises(Unreachable, match="Logging in to the guest failed"):
        SshGuest.connect(dataclasses.replace(guest, key=wrong))


def test_a_changed_host_key_is_refused(guest: Address) -> None:
    pin_text(guest.known_hosts, OTHER_KEY)
    with pytest.raises(SelabError, match="another host key") as caught:
        SshGuest.connect(guest, first_contact=True)
    assert not isinstance(caught.value, Unreachable)
    assert f"ssh-ed25519 {pinned_key(guest.known_hosts).get_base64()}" == OTHER_KEY  # type: ignore[union-attr]


def test_a_host_key_of_another_type_is_refused_as_changed(guest: Address, tmp_path: Path) -> None:
    command = ["ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-f", str(tmp_path / "ecdsa")]
    subprocess.run(command, check=True)
    pin_text(guest.known_hosts, (tmp_path / "ecdsa.pub").read_text())
    with pytest.raises(SelabError, match="another host key"):
        SshGuest.connect(guest)


def test_an_unknown_host_key_is_refused(guest: Address) -> None:
    guest.known_hosts.unlink()
    with pytest.raises(SelabError, match="host key is not known"):
        SshGuest.connect(guest)
    assert not guest.known_hosts.exists()


def test_the_first_contact_pins_the_host_key(guest: Address, sshd: Sshd) -> None:
    guest.known_hosts.unlink()
    SshGuest.connect(guest, first_contact=True).close()
    key = pinned_key(guest.known_hosts)
    assert key is not None and f"{key.get_name()} {key.get_base64()}" == sshd.public


def test_the_log_names_a_connection_that_is_opened(guest: Address, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "selab"):
        SshGuest.connect(guest).close()
    assert f"ssh (fabric): connecting to the guest: {guest}" in caplog.messages


def test_a_refused_key_is_reported_with_its_reason(guest: Address, bastion: Sshd) -> None:
    with pytest.raises(Unreachable, match="Logging in to the guest failed") as caught:
        SshGuest.connect(dataclasses.replace(guest, key=bastion.key))
    assert caught.value.detail == f"{guest}: Authentication failed."


@pytest.fixture
def agent(guest: Address, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An SSH agent that has the guest's key; the path of that key's file, which has a passphrase."""
    path = home / "locked"
    path.touch(mode=0o600)
    assert guest.key
    path.write_text(guest.key.read_text())
    monkeypatch.setenv("SSH_AUTH_SOCK", str(home / "agent"))
    process = subprocess.Popen(["ssh-agent", "-D", "-a", str(home / "agent")], stdout=subprocess.DEVNULL)
    try:
        while not (home / "agent").exists():
            assert process.poll() is None
            time.sleep(0.02)
        subprocess.run(["ssh-add", "-q", str(path)], check=True)
        subprocess.run(["ssh-keygen", "-q", "-p", "-N", "secret", "-f", str(path)], check=True)
        yield path
    finally:
        process.terminate()
        process.wait()


def test_the_agents_keys_are_tried_if_it_may_be_asked(guest: Address, agent: Path) -> None:
    SshGuest.connect(dataclasses.replace(guest, key=None, agent=True)).close()
    with pytest.raises(Unreachable, match="Logging in") as caught:
        SshGuest.connect(dataclasses.replace(guest, key=None))
    assert "there is no key to log in with" in caught.value.detail


def test_the_agent_signs_for_a_key_with_a_passphrase(guest: Address, agent: Path, sshd: Sshd) -> None:
    command = ["ssh-keygen", "-y", "-f", str(sshd.key)]
    public = subprocess.run(command, capture_output=True, check=True).stdout
    with pytest.raises(Unreachable):
        SshGuest.connect(dataclasses.replace(guest, key=agent))
    agent.with_name("locked.pub").write_bytes(public)
    SshGuest.connect(dataclasses.replace(guest, key=agent)).close()


@pytest.mark.parametrize(
    "error", [UnsupportedAlgorithm("sk"), UnknownKeyType("dss"), ValueError("garbage"), PermissionError()]
)
def test_a_key_that_cannot_be_read_does_not_hide_the_next_one(
    guest: Address, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    read = paramiko.PKey.from_path

    def from_path(path: Path) -> paramiko.PKey:
        if path.name == "unreadable":
            raise error
        return read(path)

    monkeypatch.setattr(paramiko.PKey, "from_path", from_path)
    assert guest.key
    keys = {"key": Path("unreadable"), "more_keys": (guest.key,)}
    SshGuest.connect(dataclasses.replace(guest, **keys)).close()  # type: ignore[arg-type]


@pytest.fixture
def silent(guest: Address, monkeypatch: pytest.MonkeyPatch) -> Iterator[Address]:
    """An address that accepts connections and says nothing, as QEMU's does while its guest is paused."""
    monkeypatch.setattr(ssh_login, "SILENCE", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield dataclasses.replace(guest, port=server.getsockname()[1])


def test_a_silent_server_is_given_up_if_no_guest_runs(silent: Address) -> None:
    started = time.monotonic()
    with pytest.raises(Unreachable, match="does not answer"):
        SshGuest.connect(silent, alive=lambda: False)
    assert time.monotonic() - started < ssh_login.LOGIN_TIMEOUT


def test_a_silent_server_is_waited_for_up_to_the_limit_if_its_guest_runs(silent: Address) -> None:
    with pytest.raises(Unreachable, match="Logging in to the guest failed"):
        SshGuest.connect(silent, limit=0.3)


def test_no_thread_is_left_after_a_refused_login(guest: Address) -> None:
    before = threading.active_count()
    pin_text(guest.known_hosts, OTHER_KEY)
    with pytest.raises(SelabError):
        SshGuest.connect(guest)
    deadline = time.monotonic() + 10
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert threading.active_count() <= before


# --- a lab behind a bastion ---------------------------------------------------------------------


def test_a_lab_is_reached_through_its_jump_host(
    lab: Callable[..., ExistingHost], bastion: Sshd, sshd: Sshd
) -> None:
    before = forwarded(bastion, sshd)
    with lab().connect() as connection:
        assert connection.run(("sh", "-c", "echo $SSH_CONNECTION")).text.split()[3] == str(sshd.port)
    await_forwarded(bastion, sshd, before + 1)


def test_a_lab_is_reached_through_its_proxy_command(
    lab: Callable[..., ExistingHost], home: Path, bastion: Sshd, sshd: Sshd
) -> None:
    before = forwarded(bastion, sshd)
    command = (
        f"ssh -F {home}/config -o UserKnownHostsFile={home}/known_hosts -W %h:%p bastion 2>{home}/errors"
    )
    with lab(f"ProxyCommand {command}").connect() as connection:
        assert connection.run(("true",)).ok
    await_forwarded(bastion, sshd, before + 1)
    assert (home / "errors").exists(), "no shell has run the command"


def test_a_lab_is_reached_through_two_jump_hosts(
    lab: Callable[..., ExistingHost], home: Path, bastion: Sshd, sshd: Sshd
) -> None:
    """The second jump host is the same sshd under another alias."""
    machine = lab("ProxyJump bastion,second")
    (home / "config").write_text((home / "config").read_text().replace("Host bastion", "Host bastion second"))
    before = (forwarded(bastion, sshd), forwarded(bastion, bastion))
    with machine.connect() as connection:
        assert connection.run(("true",)).ok
    await_forwarded(bastion, sshd, before[0] + 1)
    await_forwarded(bastion, bastion, before[1] + 1)
    done = subprocess.run(
        [*interactive(machine.address), "true"], capture_output=True, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 0, done.stderr
    await_forwarded(bastion, sshd, before[0] + 2)
    await_forwarded(bastion, bastion, before[1] + 2)


def test_a_lab_without_a_gateway_is_reached_directly(lab: Callable[..., ExistingHost]) -> None:
    """The target sees this process's own port as that of its client."""
    with lab("").connect() as connection:
        client = connection.run(("sh", "-c", "echo $SSH_CONNECTION")).text.split()[1]
        assert client == str(connection._transport.sock.getsockname()[1])


def test_a_shell_goes_through_the_jump_host(
    lab: Callable[..., ExistingHost], bastion: Sshd, sshd: Sshd
) -> None:
    machine = lab()
    machine.connect().close()
    before = forwarded(bastion, sshd)
    done = subprocess.run(
        [*interactive(machine.address), "echo here"], capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    assert (done.stdout, done.returncode) == ("here\n", 0), done.stderr
    await_forwarded(bastion, sshd, before + 1)


def test_a_shell_goes_through_the_proxy_command(
    lab: Callable[..., ExistingHost], home: Path, bastion: Sshd, sshd: Sshd
) -> None:
    command = f"ssh -F {home}/config -o UserKnownHostsFile={home}/known_hosts -W %h:%p bastion"
    machine = lab(f"ProxyCommand {command}")
    machine.connect().close()
    before = forwarded(bastion, sshd)
    done = subprocess.run(
        [*interactive(machine.address), "true"], capture_output=True, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 0, done.stderr
    await_forwarded(bastion, sshd, before + 1)


@pytest.mark.parametrize("known", ["", OTHER_KEY])
def test_a_shell_refuses_an_unknown_or_changed_jump_host(
    lab: Callable[..., ExistingHost], home: Path, bastion: Sshd, known: str
) -> None:
    machine = lab()
    machine.connect().close()
    (home / "known_hosts").write_text(f"[127.0.0.1]:{bastion.port} {known}\n" if known else "")
    done = subprocess.run(
        [*interactive(machine.address), "true"], capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 255 and "Host key verification failed" in done.stderr


def test_the_host_key_of_a_lab_is_pinned_under_its_resolved_address(
    lab: Callable[..., ExistingHost], project: Project, sshd: Sshd
) -> None:
    lab().connect().close()
    key = pinned_key(project.state / f"host-127.0.0.1-{sshd.port}")
    assert key is not None and f"{key.get_name()} {key.get_base64()}" == sshd.public


def test_a_lab_that_shows_another_key_than_the_pinned_one_is_refused(
    lab: Callable[..., ExistingHost], project: Project, sshd: Sshd
) -> None:
    pin_text(project.state / f"host-127.0.0.1-{sshd.port}", OTHER_KEY)
    with pytest.raises(SelabError, match="The guest shows another host key"):
        lab().connect()


def test_an_unknown_jump_host_is_refused_with_the_command_to_run(
    lab: Callable[..., ExistingHost],
    home: Path,
    sshd: Sshd,
    bastion: Sshd,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (home / "known_hosts").write_text(sshd.known_line)
    monkeypatch.setattr(ssh_login.socket, "create_connection", lambda *_: pytest.fail("connected"))
    with pytest.raises(SelabError, match="host key of the jump host bastion is not known") as caught:
        lab().ensure(Progress())
    assert "`ssh bastion`" in caught.value.hint and f"[127.0.0.1]:{bastion.port}" in caught.value.detail


def test_a_changed_jump_host_is_refused(
    lab: Callable[..., ExistingHost], home: Path, sshd: Sshd, bastion: Sshd
) -> None:
    (home / "known_hosts").write_text(sshd.known_line + f"[127.0.0.1]:{bastion.port} {OTHER_KEY}\n")
    with pytest.raises(SelabError, match="jump host bastion shows another host key") as caught:
        lab().connect()
    assert f"ssh-keygen -R '[127.0.0.1]:{bastion.port}'" in caught.value.hint


def test_a_jump_host_that_refuses_the_login_is_named(
    lab: Callable[..., ExistingHost], home: Path, bastion: Sshd, sshd: Sshd
) -> None:
    machine = lab()
    config = (home / "config").read_text()
    (home / "config").write_text(config.replace(str(bastion.key), str(sshd.key)))
    with pytest.raises(Unreachable, match="Logging in to the jump host bastion failed"):
        machine.connect()


def test_a_jump_host_that_does_not_answer_is_named(
    lab: Callable[..., ExistingHost], home: Path, bastion: Sshd, sshd: Sshd
) -> None:
    machine = lab()
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    (home / "config").write_text(
        (home / "config").read_text().replace(f"Port {bastion.port}", f"Port {port}")
    )
    (home / "known_hosts").write_text(sshd.known_line + f"[127.0.0.1]:{port} {bastion.public}\n")
    with pytest.raises(Unreachable, match="jump host bastion does not answer"):
        machine.connect()


def test_a_jump_host_that_cannot_reach_the_lab_is_named(
    lab: Callable[..., ExistingHost], home: Path, bastion: Sshd, sshd: Sshd
) -> None:
    """The target itself forwards nothing: as a jump host it refuses to connect further."""
    machine = lab()
    config = (home / "config").read_text().replace(f"Port {bastion.port}", f"Port {sshd.port}")
    (home / "config").write_text(config.replace(str(bastion.key), str(sshd.key)))
    with pytest.raises(Unreachable, match="The guest does not answer") as caught:
        machine.connect()
    assert "through the jump host bastion" in caught.value.detail


def test_a_proxy_command_that_fails_is_reported_at_once_with_what_it_printed(
    lab: Callable[..., ExistingHost],
) -> None:
    started = time.monotonic()
    with pytest.raises(Unreachable, match="Logging in to the guest failed") as caught:
        lab("ProxyCommand sh -c 'echo no way >&2; exit 1'").connect()
    assert "the ProxyCommand printed: no way" in caught.value.detail
    assert time.monotonic() - started < 10


def test_a_proxy_command_ends_with_its_connection(lab: Callable[..., ExistingHost], home: Path) -> None:
    ssh = f"ssh -F {home}/config -o UserKnownHostsFile={home}/known_hosts -W %h:%p bastion"
    with lab(f"ProxyCommand sh -c 'echo $$ >{home}/pid; exec {ssh}'").connect() as connection:
        pid = int((home / "pid").read_text())
        assert os.getsid(pid) != os.getsid(0), "Ctrl-C would end it before the guest is back in order"
        assert connection.run(("true",)).ok
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_proxy_command_that_outlives_its_connection_is_ended(
    lab: Callable[..., ExistingHost], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ssh_login, "PROXY_EXIT", 0.2)
    ssh = f"ssh -F {home}/config -o UserKnownHostsFile={home}/known_hosts -W %h:%p bastion"
    lab(f"ProxyCommand sh -c 'echo $$ >{home}/pid; {ssh}; exec sleep 60'").connect().close()
    with pytest.raises(ProcessLookupError):
        os.kill(int((home / "pid").read_text()), 0)

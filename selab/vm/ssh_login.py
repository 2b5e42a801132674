"""Connections that Fabric opens to a guest, directly or through jump hosts.

Each server on the way must show the expected host key.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import logging
import os
import select
import signal
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import paramiko
from cryptography.exceptions import UnsupportedAlgorithm
from fabric import Config, Connection
from paramiko.auth_strategy import AuthFailure, AuthSource, AuthStrategy, InMemoryPrivateKey
from paramiko.pkey import UnknownKeyType

from selab.errors import SelabError, Unreachable
from selab.host.processes import end_group
from selab.vm.host_keys import known_key, known_name, pin, pinned_key
from selab.vm.ssh_config import Server

log = logging.getLogger("selab")
# paramiko prints a traceback for each connection that the other side closes, as a booting guest does.
logging.getLogger("paramiko").addHandler(logging.NullHandler())
logging.getLogger("paramiko").propagate = False

CONNECT_TIMEOUT = 3.0
"""Seconds for the TCP connection: the guest is on this machine or near it."""
SILENCE = 2.0
"""Seconds without a banner after which it is worth asking whether the guest runs at all."""
LOGIN_TIMEOUT = 30.0
"""Seconds for the banner, the key exchange and the login each: an emulated guest under load needs several."""
KEEPALIVE = 15
"""Seconds between keepalives, which show a broken connection and keep a firewall's state alive."""
PROXY_EXIT = 2.0
"""Seconds for a ProxyCommand to end by itself when its connection is closed."""
MAX_PRINTED = 4096
"""Bytes of a ProxyCommand's standard error that are read."""
WINDOW = 8 * 1024 * 1024
"""The receive window: large enough that no transfer here waits for a window update."""

UNUSABLE = (paramiko.SSHException, OSError, ValueError, TypeError, UnknownKeyType, UnsupportedAlgorithm)
"""What reading a private key raises if it has a passphrase (TypeError), or is for a security key."""
CIPHERS = ("aes128-gcm@openssh.com", "aes128-ctr", "aes256-gcm@openssh.com", "aes256-ctr")
KEX = (
    "curve25519-sha256@libssh.org",
    "ecdh-sha2-nistp256",
    "ecdh-sha2-nistp384",
    "diffie-hellman-group14-sha256",
)


@dataclass(frozen=True)
class Address:
    """The address of a guest's SSH server, how to log in, and the route to it."""

    host: str
    port: int
    user: str
    key: Path | None
    """The private key's file that is tried first, or None: then only an agent has the key."""
    known_hosts: Path
    """The file that holds the pinned host key under HOST_ALIAS."""
    more_keys: tuple[Path, ...] = ()
    agent: bool = False
    """Whether the keys of the SSH agent are tried as well."""
    jumps: tuple[Server, ...] = ()
    """The servers through which the connection goes, in this order."""
    proxy_command: str = ""
    """The user's own command that connects to the first server on the way, if there is one."""

    def __str__(self) -> str:
        return f"{self.user}@{self.host}:{self.port}"

    @property
    def keys(self) -> tuple[Path, ...]:
        return ((self.key,) if self.key else ()) + self.more_keys


@dataclass(frozen=True)
class _Role:
    """What errors call a server, and how its host key is judged."""

    name: str
    expected: paramiko.PKey | None
    changed: Callable[[str, paramiko.PKey], SelabError]
    """Makes the error for a changed host key. It takes the new key's fingerprint and the expected key."""
    pin_to: Path | None = None
    """The file in which an unknown host key is pinned, or None if it is refused."""


def open_connection(
    address: Address, *, first_contact: bool, alive: Callable[[], bool], limit: float
) -> tuple[Connection, contextlib.ExitStack]:
    """Log in at `address`, and return the connection with what closes it and everything on the way.

    SshGuest.connect describes the arguments and the errors.
    """
    expected = pinned_key(address.known_hosts)
    if expected is None and not first_contact:
        raise SelabError(
            "The guest's host key is not known.",
            str(address.known_hosts),
            "Delete the VM with `selab vm destroy` and run again.",
        )
    pin_to = address.known_hosts if expected is None else None
    target = _Role("guest", expected, functools.partial(_changed, address), pin_to)
    way: list[tuple[Server | Address, _Role]] = [(jump, _jump_role(jump)) for jump in address.jumps]
    way.append((address, target))
    with contextlib.ExitStack() as stack:
        proxy = stack.enter_context(_Proxy(address.proxy_command)) if address.proxy_command else None
        link = proxy.socket if proxy else stack.enter_context(_dialled(*way[0], alive))
        gateway, through = None, ""
        try:
            for server, role in way:
                connection = _connection(server, role, gateway or link, limit)
                stack.callback(connection.client.close)
                _open(connection, role, f"{server}{through}")
                gateway, through = connection, f" through the {role.name}"
        except Unreachable as error:
            if proxy and (printed := proxy.printed()):
                raise Unreachable(
                    error.what, f"{error.detail}; the ProxyCommand printed: {printed}"
                ) from error
            raise
        return connection, stack.pop_all()


def _jump_role(jump: Server) -> _Role:
    """Return the role of a jump host, which the user's ssh must know. An unknown key is never accepted."""
    known = known_key(jump.known_hosts, jump.known_as)
    if known is None:
        raise SelabError(
            f"The host key of the jump host {jump.name} is not known.",
            f"{jump.known_as} is not in {', '.join(map(str, jump.known_hosts))}.",
            f"Run `{jump.command}` once, and compare the key that it shows.",
        )

    def changed(seen: str, expected: paramiko.PKey) -> SelabError:
        return SelabError(
            f"The jump host {jump.name} shows another host key than the known one.",
            f"{jump} has {seen}, known_hosts says {expected.fingerprint}",
            (
                f"If you know that the key was replaced: `ssh-keygen -R '{jump.known_as}'`, then "
                f"`{jump.command}`."
            ),
        )

    return _Role(f"jump host {jump.name}", known, changed)


def _changed(address: Address, seen: str, expected: paramiko.PKey) -> SelabError:
    return SelabError(
        "The guest shows another host key than at its first contact.",
        f"{address} has {seen}, {address.known_hosts} says {expected.fingerprint}",
        "Another server listens on that port, or the VM was made again by hand: then delete that file.",
    )


def _dialled(server: Address | Server, role: _Role, alive: Callable[[], bool]) -> socket.socket:
    """Return a socket that is connected to `server`, which is the first on the way."""
    try:
        sock = socket.create_connection((server.host, server.port), CONNECT_TIMEOUT)
    except OSError as error:
        raise Unreachable(f"The {role.name} does not answer.", f"connecting to {server}: {error}") from error
    if not select.select([sock], [], [], SILENCE)[0] and not alive():
        sock.close()
        raise Unreachable(
            f"The {role.name} does not answer.",
            f"{server} accepts connections, but no guest runs behind it",
        )
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def _connection(
    server: Address | Server, role: _Role, through: socket.socket | Connection, limit: float
) -> Connection:
    """Return a connection that is not open yet. It reads no configuration: everything is in `server`."""
    connect_kwargs: dict[str, Any] = {
        "timeout": limit,
        "banner_timeout": limit,
        "auth_timeout": limit,
        "channel_timeout": limit,
        "transport_factory": functools.partial(_Transport, handshake_timeout=limit),
        "auth_strategy": _Keys(server),
    }
    gateway = through if isinstance(through, Connection) else False
    if not gateway:
        connect_kwargs["sock"] = through
    connection = Connection(
        server.host,
        user=server.user,
        port=server.port,
        config=Config(ssh_config=paramiko.SSHConfig(), lazy=True),
        gateway=gateway,
        forward_agent=False,
        connect_kwargs=connect_kwargs,
    )
    policy = _PinAtFirstContact(role.pin_to) if role.pin_to else paramiko.RejectPolicy()
    connection.client.set_missing_host_key_policy(policy)
    if role.expected is not None:
        name = known_name(server.host, server.port)
        connection.client.get_host_keys().add(name, role.expected.get_name(), role.expected)
    return connection


def _open(connection: Connection, role: _Role, where: str) -> None:
    log.debug("ssh (fabric): connecting to the %s: %s", role.name, where)
    try:
        connection.open()
        if not connection.transport.is_authenticated():
            raise paramiko.AuthenticationException("the server asks for more than a key")
        connection.transport.set_keepalive(KEEPALIVE)
    except paramiko.BadHostKeyException as error:
        raise role.changed(error.key.fingerprint, error.expected_key) from error
    except paramiko.ChannelException as error:
        raise Unreachable(
            f"The {role.name} does not answer.", f"connecting to {where}: {error.text}"
        ) from error
    except (paramiko.SSHException, OSError, EOFError) as error:
        reason = _refusals(error) if isinstance(error, AuthFailure) else str(error) or type(error).__name__
        raise Unreachable(f"Logging in to the {role.name} failed.", f"{where}: {reason}") from error


def _refusals(error: AuthFailure) -> str:
    reasons = [str(result.result) or type(result.result).__name__ for result in error.result]
    return "; ".join(dict.fromkeys(reasons)) or "there is no key to log in with"


class _Transport(paramiko.Transport):
    """The transport of a connection, with fast ciphers first and a window for large transfers.

    SSHClient makes it, as its `transport_factory`.
    """

    def __init__(self, sock: Any, *, handshake_timeout: float, **options: Any) -> None:
        super().__init__(sock, default_window_size=WINDOW, **options)
        self.handshake_timeout = handshake_timeout
        security = self.get_security_options()
        security.ciphers = tuple(name for name in CIPHERS if name in security.ciphers)
        security.kex = tuple(name for name in KEX if name in security.kex)


class _PinAtFirstContact(paramiko.MissingHostKeyPolicy):
    """Take the host key that a new guest shows, and pin it."""

    def __init__(self, known_hosts: Path) -> None:
        self._known_hosts = known_hosts

    def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> None:
        pin(self._known_hosts, key)


class _Keys(AuthStrategy):
    """The keys of `server`, in order: its files, then those of the agent if they may be tried.

    The agent signs for a file that has a passphrase, if the file's `.pub` exists. Otherwise the agent is
    contacted only if `server.agent` is set.
    """

    def __init__(self, server: Address | Server) -> None:
        super().__init__(ssh_config=paramiko.SSHConfig())
        self._server = server

    def get_sources(self) -> Iterator[AuthSource]:
        with contextlib.ExitStack() as stack:
            agent = functools.cache(lambda: _agent_keys(stack))
            for path in self._server.keys:
                try:
                    keys = [paramiko.PKey.from_path(path)]
                except UNUSABLE as error:
                    log.info("the key %s cannot be used by itself: %s", path, error)
                    public = _public_part(path)
                    keys = [key for key in agent() if key.asbytes() == public] if public else []
                for key in keys:
                    yield InMemoryPrivateKey(self._server.user, key)
            for key in agent() if self._server.agent else ():
                yield InMemoryPrivateKey(self._server.user, key)


def _agent_keys(stack: contextlib.ExitStack) -> tuple[paramiko.PKey, ...]:
    agent = paramiko.Agent()
    stack.callback(agent.close)
    return agent.get_keys()


def _public_part(path: Path) -> bytes:
    """Return the public key in `path`.pub, or nothing if there is none."""
    try:
        return base64.b64decode(Path(f"{path}.pub").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return b""


class _Proxy:
    """The user's own ProxyCommand, which runs in a shell as ssh runs it, until the block ends.

    Fabric's own gateway splits the words itself, so that `2>/dev/null` becomes an argument. It waits in a
    busy loop after the command has ended. And Ctrl-C ends its command before selab has restored the guest.
    """

    def __init__(self, command: str) -> None:
        log.debug("ssh (fabric): ProxyCommand %s", command)
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (closed when the block ends)
        self.socket, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", f"exec {command}"],
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=self._errors,
                start_new_session=True,
            )

    def printed(self) -> str:
        """Return the last line of the command's standard error."""
        self._errors.seek(0)
        lines = self._errors.read(MAX_PRINTED).decode(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()
        try:
            self._process.wait(PROXY_EXIT)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGTERM)  # it leads its group (`start_new_session`)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(PROXY_EXIT)
        finally:
            end_group(self._process)
        self._errors.close()

"""A guest over one SSH connection. paramiko is used directly: bytes in and out, and nothing of the user's own SSH configuration is read."""

from __future__ import annotations

import base64
import contextlib
import logging
import secrets
import select
import shlex
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import paramiko

from selab.errors import SelabError, Unreachable
from selab.guest import RUN_TIMEOUT, Completed

log = logging.getLogger("selab")
# paramiko prints a traceback for each connection that the other side closes, which is what a booting guest's does.
logging.getLogger("paramiko").addHandler(logging.NullHandler())
logging.getLogger("paramiko").propagate = False

CONNECT_TIMEOUT = 3.0
"""Seconds for the TCP connection: the guest is on this machine or near it."""
SILENCE = 2.0
"""Seconds without a banner after which it is worth asking whether the guest runs at all."""
LOGIN_TIMEOUT = 30.0
"""Seconds for the banner, the key exchange and the login each: an emulated guest under load needs several."""
KILL_AFTER = 5
"""Seconds between the polite and the final signal to a command that outlived its limit."""
ANSWER_GRACE = 15.0
"""Seconds beyond a command's own limit until the guest itself counts as hung."""
KEEPALIVE = 15
"""Seconds between keepalives: a cut connection is noticed, and a firewall between does not forget it."""
SILENT = 10.0
"""Seconds without a word from a command after which it is worth asking whether the guest still starts commands at all."""
PROBE_LIMIT = 20.0
"""Seconds for the answer to that: a tenth of one in an emulated guest, several under load."""
SESSIONS = 8
"""Commands at a time; sshd's MaxSessions is 10 unless its administrator changed it."""
MAX_LINE = 120 * 1024
"""Bytes of a quoted command line: Linux takes 128 KiB in one argument, which is what the login shell gets."""
SIGNALLED = -1
"""The exit code where a signal ended the command (SSH then sends no number), or where the connection broke."""
CHUNK = 256 * 1024
WINDOW = 8 * 1024 * 1024
"""The receive window: large enough that no transfer here waits for a window update."""
HOST_ALIAS = "selab-guest"
"""The name under which the host key is kept, so that a new port is still the same guest."""

CIPHERS = ("aes128-gcm@openssh.com", "aes128-ctr", "aes256-gcm@openssh.com", "aes256-ctr")
KEX = (
    "curve25519-sha256@libssh.org",
    "ecdh-sha2-nistp256",
    "ecdh-sha2-nistp384",
    "diffie-hellman-group14-sha256",
)

PUT = """set -eu
case "$1" in */*) directory=${1%/*} ;; esac
[ -z "$directory" ] || [ -d "$directory" ] || mkdir -p -- "$directory"
part="$directory/.selab-$4"
trap 'rm -f -- "$part"' EXIT
cat >"$part"
[ "$(stat -c %s -- "$part")" = "$3" ] || { echo "the data arrived cut short" >&2; exit 1; }
chmod -- "$2" "$part"
mv -fT -- "$part" "$1"
trap - EXIT
"""


@dataclass(frozen=True)
class Address:
    """Where a guest listens and who logs in. `key` is the private key's file, or None: then an agent has it. `known_hosts` holds the pinned
    host key under HOST_ALIAS."""

    host: str
    port: int
    user: str
    key: Path | None
    known_hosts: Path

    def __str__(self) -> str:
        return f"{self.user}@{self.host}:{self.port}"


def command_line(argv: Sequence[str], timeout: float, *, sudo: bool) -> bytes:
    """The one line that the login shell of the guest gets for `argv`: the only place where quoting happens.

    `timeout` in the guest ends the command together with its children; the words after its duration are never taken for its options.
    """
    if not argv or any("\0" in word for word in argv):
        raise SelabError("A command for the guest is empty or holds a NUL byte.", shlex.join(argv)[:160])
    words = [
        *(("sudo", "-n", "--") if sudo else ()),
        "timeout",
        "-k",
        str(KILL_AFTER),
        f"{timeout:.1f}",
        *argv,
    ]
    line = b"exec " + shlex.join(words).encode("utf-8", "surrogateescape")
    if len(line) > MAX_LINE:
        raise SelabError(
            "A command for the guest is too long.",
            f"`{argv[0]}` with {len(line)} bytes; the limit is {MAX_LINE}.",
        )
    return line


def pinned_key(known_hosts: Path) -> paramiko.PKey | None:
    """The host key recorded in `known_hosts`, or None where there is none (yet)."""
    try:
        _, kind, data = known_hosts.read_text().split()[:3]
        return paramiko.PKey.from_type_string(kind, base64.b64decode(data))
    except (OSError, ValueError, paramiko.SSHException):
        return None


def pin(known_hosts: Path, key: paramiko.PKey) -> None:
    """Record `key` as the guest's, in OpenSSH's own format, so that `ssh` can use the same file."""
    pin_text(known_hosts, f"{key.get_name()} {key.get_base64()}")


def pin_text(known_hosts: Path, public: str) -> None:
    """Record the guest's host key as it stands in the guest's own `.pub` file."""
    words = public.split()
    part = known_hosts.with_suffix(".part")
    part.write_text(f"{HOST_ALIAS} {words[0]} {words[1]}\n")
    part.replace(known_hosts)


class SshGuest:
    """A Guest behind sshd. Safe for up to `SESSIONS` commands at a time from different threads; more wait for their turn."""

    def __init__(self, transport: paramiko.Transport, address: Address) -> None:
        self.address = address
        self._transport = transport
        self._sudo = address.user != "root"
        self._turn = threading.BoundedSemaphore(SESSIONS)

    @classmethod
    def connect(
        cls,
        address: Address,
        *,
        first_contact: bool = False,
        alive: Callable[[], bool] = lambda: True,
        limit: float = LOGIN_TIMEOUT,
    ) -> Self:
        """Log in. The host key must be the pinned one; only with `first_contact` is an unknown one recorded.

        `alive` is asked when the other side accepts and then stays silent, and may end the waiting, which takes at most `limit` seconds
        for each step of the login.

        Raises Unreachable where nobody answers or the login is refused, SelabError for a changed host key.
        """
        expected = pinned_key(address.known_hosts)
        if expected is None and not first_contact:
            raise SelabError(
                "The guest's host key is not known.",
                str(address.known_hosts),
                "Delete the VM with `selab vm destroy` and run again.",
            )
        try:
            sock = socket.create_connection((address.host, address.port), CONNECT_TIMEOUT)
        except OSError as error:
            raise Unreachable("The guest does not answer.", f"connecting to {address}: {error}") from error
        if not select.select([sock], [], [], SILENCE)[0] and not alive():
            sock.close()
            raise Unreachable(
                "The guest does not answer.", f"{address} accepts connections, but no guest runs behind it"
            )
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        transport = _transport(sock, expected, limit)
        try:
            transport.start_client(timeout=limit)
            _check_host_key(transport, expected, address)
            _log_in(transport, address)
            transport.set_keepalive(KEEPALIVE)
        except BaseException as error:
            transport.close()
            if (
                isinstance(error, paramiko.ssh_exception.IncompatiblePeer)
                and expected is not None
                and "host key" in str(error)
            ):
                raise _changed(address, f"no {expected.get_name()} key", expected) from error
            if isinstance(error, (paramiko.SSHException, OSError, EOFError)):
                raise Unreachable(
                    "Logging in to the guest failed.", f"{address}: {error or type(error).__name__}"
                ) from error
            raise
        return cls(transport, address)

    def run(self, argv: Sequence[str], *, input: bytes = b"", timeout: float = RUN_TIMEOUT) -> Completed:
        line = command_line(argv, timeout, sudo=self._sudo)
        with self._turned(argv, timeout), self._channel(argv) as channel:
            started = time.monotonic()
            talk = _Talk(channel, started + timeout + KILL_AFTER + ANSWER_GRACE, self._probe)
            stdout, stderr, returncode = talk.converse(line, input, argv)
        if returncode in (124, 137, SIGNALLED) and time.monotonic() - started >= timeout:
            raise Unreachable(
                "A command in the guest took too long and was ended.",
                f"`{shlex.join(argv)[:160]}` after {timeout:g} s",
            )
        if returncode == SIGNALLED and not self._transport.is_active():
            raise Unreachable("The connection to the guest broke.", f"during `{shlex.join(argv)[:160]}`")
        return Completed(tuple(argv), returncode, stdout, stderr)

    def put(self, data: bytes, path: str, *, mode: int = 0o644) -> None:
        words = ("sh", "-c", PUT, "sh", _absolute(path), f"{mode:o}", str(len(data)), secrets.token_hex(6))
        self.run(words, input=data).expect(f"The file {path} could not be written in the guest.")

    def get(self, path: str) -> bytes:
        return (
            self.run(("cat", "--", _absolute(path)))
            .expect(f"The file {path} could not be read in the guest.")
            .stdout
        )

    def close(self) -> None:
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _probe(self) -> None:
        """Raise TimeoutError where the guest no longer runs commands; the connection is then of no use to anybody, and is closed."""
        # A guest that takes nothing any more also holds up whoever sends to it, which nothing else limits.
        limit = threading.Timer(PROBE_LIMIT, self._transport.packetizer.close)
        limit.start()
        try:
            channel = self._transport.open_session(timeout=PROBE_LIMIT)
            with contextlib.closing(channel):
                channel.settimeout(PROBE_LIMIT)
                channel.exec_command("exec true")
                if channel.status_event.wait(PROBE_LIMIT) and channel.recv_exit_status() == 0:
                    return
        except (paramiko.SSHException, OSError, EOFError) as error:
            log.info("the guest does not run `true`: %s", error)
        finally:
            limit.cancel()
        self.close()
        raise TimeoutError

    @contextlib.contextmanager
    def _turned(self, argv: Sequence[str], timeout: float) -> Iterator[None]:
        """One of the sessions that a guest takes at a time."""
        if not self._turn.acquire(timeout=timeout + ANSWER_GRACE):
            raise Unreachable(
                "The guest is busy with other commands.",
                f"`{shlex.join(argv)[:160]}` waited {timeout:g} s for its turn",
            )
        try:
            yield
        finally:
            self._turn.release()

    @contextlib.contextmanager
    def _channel(self, argv: Sequence[str]) -> Iterator[paramiko.Channel]:
        try:
            channel = self._transport.open_session(window_size=WINDOW, timeout=LOGIN_TIMEOUT)
        except (paramiko.SSHException, OSError, EOFError) as error:
            raise Unreachable(
                "The connection to the guest broke.", f"before `{shlex.join(argv)[:160]}`: {error}"
            ) from error
        try:
            yield channel
        finally:
            channel.close()


def _absolute(path: str) -> str:
    if not path.startswith("/"):
        raise SelabError("A path in the guest must be absolute.", path)
    return path


def _transport(sock: socket.socket, expected: paramiko.PKey | None, limit: float) -> paramiko.Transport:
    transport = paramiko.Transport(sock, default_window_size=WINDOW)
    transport.daemon = True
    transport.banner_timeout = transport.handshake_timeout = transport.auth_timeout = limit
    options = transport.get_security_options()
    options.ciphers = tuple(name for name in CIPHERS if name in options.ciphers)
    options.kex = tuple(name for name in KEX if name in options.kex)
    if expected is not None:
        kind = expected.get_name()
        options.key_types = ("rsa-sha2-512", "rsa-sha2-256") if kind == "ssh-rsa" else (kind,)
    return transport


def _check_host_key(transport: paramiko.Transport, expected: paramiko.PKey | None, address: Address) -> None:
    seen = transport.get_remote_server_key()
    if expected is None:
        pin(address.known_hosts, seen)
    elif seen.asbytes() != expected.asbytes():
        raise _changed(address, seen.fingerprint, expected)


def _log_in(transport: paramiko.Transport, address: Address) -> None:
    if address.key is not None:
        transport.auth_publickey(address.user, paramiko.PKey.from_path(address.key))
        return
    for key in paramiko.Agent().get_keys():
        with contextlib.suppress(paramiko.AuthenticationException):
            transport.auth_publickey(address.user, key)
            return
    raise paramiko.AuthenticationException("no key of the SSH agent is accepted")


def _changed(address: Address, seen: str, expected: paramiko.PKey) -> SelabError:
    return SelabError(
        "The guest shows another host key than at its first contact.",
        f"{address} has {seen}, {address.known_hosts} says {expected.fingerprint}",
        "Something else listens on that port, or the VM was made anew by hand: then delete that file.",
    )


class _Talk:
    """One command's conversation on its channel, until `deadline`. `probe` raises TimeoutError where the guest is found to be stuck."""

    def __init__(self, channel: paramiko.Channel, deadline: float, probe: Callable[[], None]) -> None:
        self._channel, self._deadline, self._probe = channel, deadline, probe

    def converse(self, line: bytes, data: bytes, argv: Sequence[str]) -> tuple[bytes, bytes, int]:
        """Run `line`, feed it `data`, and read both outputs at the same time, or whichever is not read would block the command."""
        channel = self._channel
        try:
            channel.settimeout(self._left())
            channel.exec_command(line)  # bytes: an argument may be no UTF-8
            if not data:
                channel.shutdown_write()
            with ThreadPoolExecutor(2) as pool:
                try:
                    errors = pool.submit(self._drain, channel.recv_stderr, lambda: None)
                    if data:
                        pool.submit(self._feed, data)
                    output = self._drain(channel.recv, self._probe)
                    while not channel.status_event.wait(min(SILENT, self._left())):
                        self._still_there(self._probe)
                    return output, errors.result(self._left()), channel.recv_exit_status()
                finally:
                    channel.close()
        except TimeoutError as error:
            raise Unreachable(
                "The guest stopped answering.", f"waiting for `{shlex.join(argv)[:160]}`"
            ) from error
        except (paramiko.SSHException, OSError, EOFError) as error:
            raise Unreachable(
                "The connection to the guest broke.", f"during `{shlex.join(argv)[:160]}`: {error}"
            ) from error

    def _left(self) -> float:
        return max(0.1, self._deadline - time.monotonic())

    def _drain(self, receive: Callable[[int], bytes], probe: Callable[[], None]) -> bytes:
        """Everything up to end-of-file."""
        chunks: list[bytes] = []
        while True:
            self._channel.settimeout(min(SILENT, self._left()))
            try:
                chunk = receive(CHUNK)
            except TimeoutError:
                self._still_there(probe)
                continue
            if not chunk:
                return b"".join(chunks)
            chunks.append(chunk)

    def _feed(self, data: bytes) -> None:
        """Send all of `data`, then end-of-file. A command may end without reading everything: no error."""
        rest = memoryview(data)
        with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
            while rest and time.monotonic() < self._deadline:
                with contextlib.suppress(
                    TimeoutError
                ):  # the other side takes its time: the reading thread judges that
                    rest = rest[self._channel.send(bytes(rest[:CHUNK])) :]
            self._channel.shutdown_write()

    def _still_there(self, probe: Callable[[], None]) -> None:
        """Raise TimeoutError where there is no point in waiting on."""
        if time.monotonic() >= self._deadline:
            raise TimeoutError
        probe()


def interactive(address: Address) -> list[str]:
    """The words of an OpenSSH client that logs in with the same key and the same pinned host key, and nothing of the user's own."""
    options = {
        "IdentitiesOnly": "yes" if address.key else "no",
        "UserKnownHostsFile": str(address.known_hosts),
        "GlobalKnownHostsFile": "/dev/null",
        "HostKeyAlias": HOST_ALIAS,
        "StrictHostKeyChecking": "yes",
        "PasswordAuthentication": "no",
        "ForwardAgent": "no",
        "ConnectTimeout": f"{LOGIN_TIMEOUT:g}",
        "ServerAliveInterval": str(KEEPALIVE),
        "LogLevel": "ERROR",
    }
    words = ["ssh", "-F", "none", *(("-i", str(address.key)) if address.key else ()), "-p", str(address.port)]
    for name, value in options.items():
        words += ["-o", f"{name}={value}"]
    return [*words, f"{address.user}@{address.host}"]

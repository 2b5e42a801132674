"""A guest over one SSH connection, which Fabric opens.

The bytes of its commands go through channels of that connection.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
import shlex
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Self

import paramiko
from fabric import Connection

from selab.errors import AnswerTooLong, SelabError, Unreachable
from selab.guest import MAX_ANSWER, RUN_TIMEOUT, Completed, script_argv
from selab.vm.ssh_login import LOGIN_TIMEOUT, WINDOW, Address, open_connection
from selab.vm.ssh_talk import Talk

log = logging.getLogger("selab")

KILL_AFTER = 5
"""Seconds between the polite and the final signal to a command that outlived its limit."""
ANSWER_GRACE = 15.0
"""Seconds beyond a command's own limit until the guest itself counts as hung."""
PROBE_LIMIT = 20.0
"""Seconds for the answer to a probe: a tenth of one in an emulated guest, several under load."""
SESSIONS = 8
"""Commands at a time; sshd's MaxSessions is 10 unless its administrator changed it."""
MAX_LINE = 120 * 1024
"""Bytes of a quoted command line: Linux takes 128 KiB in one argument, which is what the login shell gets."""
SIGNALLED = -1
"""The exit code if a signal ended the command (SSH then sends no number), or if the connection broke."""


def command_line(argv: Sequence[str], timeout: float, *, sudo: bool) -> bytes:
    """Return the line that the login shell of the guest gets for `argv`. Nothing else quotes a command.

    `timeout` in the guest ends the command together with its children. It takes no word after the duration as
    an option.
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


class SshGuest:
    """A Guest behind sshd.

    Up to `SESSIONS` threads can run commands at the same time; further threads wait for their turn.
    """

    def __init__(self, connection: Connection, address: Address, opened: contextlib.ExitStack) -> None:
        """Take over `connection`, and `opened`, which closes it and everything on the way to it."""
        self.address = address
        self._transport: paramiko.Transport = connection.transport
        self._opened = opened
        self._closing = threading.Lock()
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

        `alive` is asked if the other side accepts the connection and then stays silent; if it returns False,
        the waiting ends. Each step of the login takes at most `limit` seconds.

        Raises Unreachable if a server on the way does not answer or refuses the login, and SelabError if a
        host key has changed or a jump host is unknown.
        """
        connection, opened = open_connection(address, first_contact=first_contact, alive=alive, limit=limit)
        return cls(connection, address, opened)

    def run(
        self,
        argv: Sequence[str],
        *,
        input: bytes = b"",
        timeout: float = RUN_TIMEOUT,
        limit: int | None = None,
    ) -> Completed:
        line = command_line(argv, timeout, sudo=self._sudo)
        with self._turned(argv, timeout), self._channel(argv) as channel:
            started = time.monotonic()
            talk = Talk(channel, started + timeout + KILL_AFTER + ANSWER_GRACE, self._probe)
            output, errors, returncode = talk.converse(
                line, input, argv, MAX_ANSWER if limit is None else limit
            )
        if returncode in (124, 137, SIGNALLED) and time.monotonic() - started >= timeout:
            raise Unreachable(
                "A command in the guest took too long and was ended.",
                f"`{shlex.join(argv)[:160]}` after {timeout:g} s",
            )
        if returncode == SIGNALLED and not self._transport.is_active():
            raise Unreachable("The connection to the guest broke.", f"during `{shlex.join(argv)[:160]}`")
        truncated = output.truncated or errors.truncated
        if truncated and limit is None:
            raise AnswerTooLong(f"The output of `{shlex.join(argv)[:160]}` in the guest", MAX_ANSWER)
        return Completed(tuple(argv), returncode, output.data, errors.data, truncated)

    def put(self, data: bytes, path: str, *, mode: int = 0o644) -> None:
        command = script_argv("vm/put", _absolute(path), f"{mode:o}", str(len(data)), secrets.token_hex(6))
        self.run(command, input=data).expect(f"The file {path} could not be written in the guest.")

    def get(self, path: str) -> bytes:
        # Not by SFTP: its server runs as the user who logs in, who without sudo cannot read root's files.
        return (
            self.run(("cat", "--", _absolute(path)))
            .expect(f"The file {path} could not be read in the guest.")
            .stdout
        )

    def close(self) -> None:
        with self._closing:
            self._opened.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _probe(self) -> None:
        """Raise TimeoutError, and close the connection, if the guest no longer runs commands."""
        # A guest that no longer reads also blocks the thread that sends to it, which nothing else limits.
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
        """Hold one of the sessions that a guest accepts at a time."""
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

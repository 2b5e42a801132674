"""The guest's serial console: it works if SSH is locked out, and it shows why a boot fails."""

from __future__ import annotations

import contextlib
import re
import secrets
import threading
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pexpect

from selab.errors import SelabError, Unreachable
from selab.guest import script
from selab.host.private import write_private
from selab.vm import libvirt

LOGIN_LIMIT = 60.0
"""Seconds for a login on the console of an emulated guest, including PAM and the start of the shell."""
PROMPT_LIMIT = 4.0
"""Seconds until a prompt appears after a key press. If none appears, selab checks whether a shell answers."""
SHELL_LIMIT = 20.0
"""Seconds for a login shell to start in an emulated guest and run its first command."""
RUN_LIMIT = 120.0
ATTACH_LIMIT = 10.0
TAIL = 12
"""Number of console lines that an error shows, and that the log keeps after a failed boot."""
ESCAPES = re.compile(
    r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])|[\x00-\x08\x0b-\x1f\x7f]"
)


def attach(domain: str) -> pexpect.spawn[str]:
    """Start `virsh console`, which takes the console over from any other client."""
    command = ["-q", "-c", libvirt.uri(), "console", "--force", domain]
    try:
        return pexpect.spawn(
            "virsh",
            command,
            encoding="utf-8",
            codec_errors="replace",
            dimensions=(50, 200),
            timeout=ATTACH_LIMIT,
        )
    except pexpect.ExceptionPexpect as error:
        raise Unreachable("The guest's console cannot be reached.", str(error).splitlines()[0]) from error


class Console:
    """A root shell on the serial console. Leaving the context logs out, so that the next user finds a login
    prompt."""

    def __init__(self, domain: str) -> None:
        self._child = attach(domain)

    def login(self, password: str, user: str = "root") -> None:
        """Get a shell, and log in if there is a login prompt. Raises Unreachable.

        The kernel writes to the same console at any time, so no pattern here relies on being the last text
        shown.
        """
        deadline = time.monotonic() + LOGIN_LIMIT
        while time.monotonic() < deadline:
            self._child.send("\r")
            prompt = self._child.expect(
                [r"(?<!Last )login: ", r"[Pp]assword: ", pexpect.TIMEOUT, pexpect.EOF], timeout=PROMPT_LIMIT
            )
            if prompt == 0:
                self._child.send(user + "\r")
                if self._seen(r"[Pp]assword: ", LOGIN_LIMIT):
                    self._child.send(password + "\r")
                    if self._seen(r"incorrect", PROMPT_LIMIT):
                        raise Unreachable("The login on the guest's console was refused.", f"as {user}")
            if prompt in (0, 2) and self._is_shell():
                return
            if prompt == 3:
                break
        raise Unreachable(
            "The guest's console does not answer.", f"No shell appeared within {LOGIN_LIMIT:g} s."
        )

    def run(self, command: str, timeout: float = RUN_LIMIT) -> tuple[int, str]:
        """Run one shell line, which must contain no user input. Return its exit code and its output (both
        streams, no echo)."""
        token = secrets.token_hex(6)
        begin, end = f"begin-{token}", f"end-{token}"
        # The quotes keep the marks out of the terminal's echo of the command line.
        self._child.send(f"echo 'begin-''{token}'; {command}; echo 'end-''{token}' $?\r")
        try:
            self._child.expect(rf"{begin}\r*\n(?P<text>[\s\S]*?){end} (?P<code>\d+)", timeout=timeout)
        except (pexpect.TIMEOUT, pexpect.EOF) as error:
            raise Unreachable(
                "The guest's console stopped answering.", f"waiting for `{command[:120]}`"
            ) from error
        match = self._child.match
        assert isinstance(match, re.Match)
        return int(match["code"]), plain(match["text"])

    def close(self) -> None:
        with contextlib.suppress(OSError, pexpect.ExceptionPexpect):
            self._child.send("exit\r")
            self._child.expect([r"login: ?$", pexpect.TIMEOUT, pexpect.EOF], timeout=3)
        self._child.close(force=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _seen(self, pattern: str, limit: float) -> bool:
        return self._child.expect([pattern, pexpect.TIMEOUT, pexpect.EOF], timeout=limit) == 0

    def _is_shell(self) -> bool:
        """Return whether a shell answers. If so, turn its echo and prompt off."""
        try:
            return self.run(script("vm/quiet-terminal"), SHELL_LIMIT)[0] == 0
        except Unreachable:
            return False


class Recorder:
    """Keeps the last lines that the console showed."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=400)
        self._rest = ""

    def feed(self, text: str) -> None:
        *lines, self._rest = (self._rest + text).split("\n")
        self._lines.extend(line for line in (plain(line).strip() for line in lines) if line)

    def tail(self, count: int = TAIL) -> list[str]:
        return [*self._lines, *([plain(self._rest).strip()] if self._rest.strip() else [])][-count:]


@contextlib.contextmanager
def recording(domain: str) -> Iterator[Recorder]:
    """Record the console of `domain` as soon as it runs, because QEMU buffers nothing for a later reader."""
    recorder, stop = Recorder(), threading.Event()

    def work() -> None:
        while not stop.wait(0.5):
            if libvirt.domain_state(domain) != "running":
                continue
            with contextlib.suppress(OSError, Unreachable, pexpect.ExceptionPexpect):
                _read(attach(domain), recorder, stop)

    thread = threading.Thread(target=work, daemon=True, name="console")
    thread.start()
    try:
        yield recorder
    finally:
        stop.set()
        thread.join(libvirt.VIRSH_LIMIT)


def _read(child: pexpect.spawn[str], recorder: Recorder, stop: threading.Event) -> None:
    try:
        while not stop.is_set():
            with contextlib.suppress(pexpect.TIMEOUT):
                recorder.feed(child.read_nonblocking(65536, timeout=0.5))
    finally:
        child.close(force=True)


def plain(text: str) -> str:
    """Return `text` without terminal escape sequences and control characters."""
    return ESCAPES.sub("", text)


def with_last_line(error: SelabError, recorder: Recorder, directory: Path) -> SelabError:
    """Return `error` with the console's last line and the name of the file that keeps more of them."""
    lines = recorder.tail()
    if not lines:
        return error
    path = directory / "console.log"
    write_private(path, ("\n".join(recorder.tail(400)) + "\n").encode(errors="backslashreplace"))
    return type(error)(
        error.what,
        f"{error.detail}; the console's last line: {lines[-1][:120]}",
        f"{error.hint} More of it is in {path}.".strip(),
    )

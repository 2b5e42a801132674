"""Vagrant by way of python-vagrant, which has the commands, their arguments, and the parsing of their output.

This module adds time limits, progress, a clean end after Ctrl-C, and errors that say what to do.
"""

from __future__ import annotations

import logging
import os
import re
import shlex
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from selab.errors import SelabError
from selab.host.private import append_private
from selab.host.processes import run_group
from selab.progress import Progress
from selab.vm.terminal import Terminal

# If Vagrant is missing, importing python-vagrant logs a warning. Without a handler, Python would print it.
logging.getLogger("vagrant").addHandler(logging.NullHandler())

import vagrant  # noqa: E402

log = logging.getLogger("selab")

QUESTION_LIMIT = 60.0
"""Seconds for `status` and `ssh-config`: Ruby needs one or two, a host under load many more."""
UP_LIMIT = 900.0
"""Seconds for `up`: it copies the box's disk and boots the guest, which takes an emulated CPU 70 s here, and
several times that on slow hosts."""
STOP_LIMIT = 300.0
"""Seconds for `halt`, `suspend`, `resume` and `destroy`: an emulated guest with containers needs a minute to
shut down."""
BOOT_LIMIT = 240.0
"""Seconds until a booting guest has reported its address to Vagrant: an emulated one needs 60 to 70."""
RETRY = 1.0

_STAGE = re.compile(r"^==> \S+: (?P<text>(?! |-|No version|generating|See http|Machine not prov).+)$")
_BAR = re.compile(r"^\s*(?:Uploading\b.*|(?:(?:==> )?\S+: )?Progress\b.*|\d+(?:\.\d+)?%?)\s*$")
"""A line of a progress bar, which Vagrant rewrites thousands of times."""

TROUBLES = (
    (
        re.compile(r"is locked|another process is already executing|lock.* another process", re.I),
        "Another Vagrant process is working on this VM.",
        "Wait for it to end (`ps -C ruby,vagrant -f` shows it), then run again.",
    ),
    (
        re.compile(r"name `.*` of domain about to create is already taken", re.I),
        "libvirt already has a VM of this name that Vagrant does not know.",
        "`virsh list --all` shows it; if you do not need it, remove it with `virsh undefine NAME`.",
    ),
    (
        re.compile(r"no space left on device", re.I),
        "There is no disk space left for the VM.",
        "Free some: `selab box remove`, `vagrant box prune`, `virsh vol-list default`.",
    ),
    (
        re.compile(
            r"(?:unable to set security context|cannot access storage file|could not open|reading initrd)\b"
            r".{0,400}?: Permission denied",
            re.I,
        ),
        "libvirt or QEMU may not use a file of the VM.",
        "If SELinux is enforcing here, `selab doctor` checks the labels of the boxes, and "
        "`ausearch -m avc -ts recent` shows what was denied. Otherwise see the file's permissions.",
    ),
    (
        re.compile(r"provider '.*' could not be found|no usable default provider", re.I),
        "Vagrant has no provider that can run the VM.",
        "Install vagrant-libvirt (script/setup does) or VirtualBox.",
    ),
    (
        re.compile(r"checksum.*(?:not match|mismatch|did(?:n't| not) match)", re.I),
        "The downloaded box does not have the expected checksum.",
        "Nothing was installed from it. Run again; if it happens again, check `vm.source` in selab.yaml.",
    ),
    (
        re.compile(r"^Message: \w*Error\b|syntax error in the following Vagrantfile", re.I | re.M),
        "Vagrant cannot load a Vagrantfile.",
        "Correct it; if selab wrote it, you can also remove it, and selab writes it again.",
    ),
)
"""What Vagrant prints, and the error that selab raises for it."""

_NOT_READY = "not yet ready for SSH"


class NotReady(SelabError):
    """Vagrant does not know the guest's address yet."""


@dataclass(frozen=True)
class SshConfig:
    """What `vagrant ssh-config` reports; `key` is the first identity file."""

    host: str
    port: int
    user: str
    key: Path


class Vagrant:
    """Vagrant in `directory`. Our Vagrantfile reads selab's choices from the file `parameters`. The output of
    Vagrant's actions, and of questions that fail, goes to the file `log`.

    Vagrant runs the Vagrantfile as a program, so `require_consent` is called before each command. It raises
    SelabError if the user has not allowed that.
    """

    def __init__(
        self, directory: Path, parameters: Path, log: Path, require_consent: Callable[[], None]
    ) -> None:
        self.directory = directory
        self.log = log
        self._require_consent = require_consent
        # python-vagrant replaces the whole environment with this one.
        self._environment = {
            **os.environ,
            "SELAB_VM": str(parameters),
            "VAGRANT_NO_COLOR": "1",
            "VAGRANT_CHECKPOINT_DISABLE": "1",
            "VAGRANT_BOX_UPDATE_CHECK_DISABLE": "1",
            "VAGRANT_CWD": str(directory),
            "VAGRANT_VAGRANTFILE": "Vagrantfile",
            "LC_ALL": "C.UTF-8",
        }

    def state(self) -> str:
        """Vagrant's word for the state of the (first) machine, such as `not_created` or `shutoff`."""
        commands = self._commands(Progress(), QUESTION_LIMIT)
        for status in commands.status():
            if status.state:
                return str(status.state)
        raise SelabError(
            "`vagrant status` does not name a machine.",
            _last(commands.output),
            f"See the Vagrantfile in {self.directory}.",
        )

    def ssh_config(self) -> SshConfig:
        """How to log in, as Vagrant knows it. Waits for a booting guest until Vagrant knows its address."""
        deadline = time.monotonic() + BOOT_LIMIT
        while True:
            try:
                return self._login()
            except NotReady:
                if time.monotonic() > deadline:
                    raise
            time.sleep(RETRY)

    def _login(self) -> SshConfig:
        commands = self._commands(Progress(), QUESTION_LIMIT)
        try:
            conf = commands.conf()
            return SshConfig(conf["HostName"], int(conf["Port"]), conf["User"], Path(conf["IdentityFile"]))
        except (KeyError, ValueError) as error:
            raise SelabError(
                "`vagrant ssh-config` does not report how to log in.",
                _last(commands.output),
                f"See the Vagrantfile in {self.directory}.",
            ) from error

    def up(self, progress: Progress, provider: str = "") -> None:
        """Create or start the machine. A failed creation leaves what it made for the caller to inspect."""
        commands = self._commands(progress, UP_LIMIT, "--no-destroy-on-error")
        commands.up(provision=False, provider=provider or None)

    def resume(self, progress: Progress) -> None:
        self._commands(progress, STOP_LIMIT, "--no-provision").resume()

    def suspend(self, progress: Progress) -> None:
        self._commands(progress, STOP_LIMIT).suspend()

    def halt(self, progress: Progress) -> None:
        self._commands(progress, STOP_LIMIT).halt()

    def destroy(self, progress: Progress) -> None:
        self._commands(progress, STOP_LIMIT).destroy()

    def _commands(self, progress: Progress, limit: float, *added: str) -> _Commands:
        self._require_consent()
        if not (self.directory / "Vagrantfile").is_file():
            raise SelabError(
                "There is no Vagrantfile.",
                f"Vagrant would take one from above {self.directory}.",
                "Run `selab vm up`: it writes selab's own Vagrantfile.",
            )
        return _Commands(self.directory, self._environment, self.log, progress, limit, added)


class _Commands(vagrant.Vagrant):
    """python-vagrant's commands and arguments, executed by selab, with three corrections of its parsing.

    A command whose output is parsed runs in the background. Any other command runs in a terminal, and its
    stages become notes of `progress`. Each has `limit` seconds. `added` are the words that python-vagrant has
    no argument for. `output` is what the last parsed command printed.
    """

    def __init__(
        self,
        directory: Path,
        environment: dict[str, str],
        log: Path,
        progress: Progress,
        limit: float,
        added: Sequence[str],
    ) -> None:
        super().__init__(root=directory, env=environment)
        self.output = ""
        self._log = log
        self._progress = progress
        self._limit = limit
        self._added = added

    def _make_vagrant_command(self, args: Sequence[str | None]) -> list[str]:
        try:
            command: list[str] = super()._make_vagrant_command([*args, *self._added])
        except RuntimeError as error:
            raise SelabError(
                "Vagrant is not installed.",
                "There is no `vagrant` in PATH.",
                "Install vagrant and vagrant-libvirt (script/setup does).",
            ) from error
        log.debug("vagrant (python-vagrant): %s", shlex.join(command[1:]))
        return command

    def _run_vagrant_command(self, args: Sequence[str | None]) -> str:
        command = self._make_vagrant_command(args)
        name = _name(command)
        try:
            done = run_group(command, timeout=self._limit, environment=self.env, directory=Path(self.root))
        except subprocess.TimeoutExpired as error:
            raise SelabError(
                "Vagrant does not answer.",
                f"`vagrant {name}` ran for {self._limit:g} s",
                f"Run `vagrant {name}` in {self.root} to see what it waits for.",
            ) from error
        if done.returncode:
            output = (done.stdout + done.stderr).decode(errors="replace")
            failure = _explained(name, f"exit code {done.returncode}", output, self._log)
            if not isinstance(failure, NotReady):  # it is repeated each second while the guest boots
                with append_private(self._log) as file:
                    file.write(f"\n$ vagrant {shlex.join(command[1:])}\n{output}")
            raise failure
        self.output = done.stdout.decode(errors="replace")
        return self.output

    def _call_vagrant_command(self, args: Sequence[str | None]) -> None:
        for _ in self._stream_vagrant_command(args):
            pass

    def _stream_vagrant_command(self, args: Sequence[str | None]) -> Iterator[str]:
        """The lines that the command prints, without its progress bars; its stages become notes."""
        command = self._make_vagrant_command(args)
        name = _name(command)
        lines: list[str] = []
        with (
            append_private(self._log) as file,
            Terminal(command, self.root, self.env) as terminal,
        ):
            file.write(f"\n$ vagrant {shlex.join(command[1:])}\n")
            try:
                for line in terminal.lines(self._limit):
                    if _BAR.match(line):
                        continue
                    lines.append(line)
                    file.write(line + "\n")
                    file.flush()
                    if stage := _STAGE.match(line):
                        self._progress.note(stage["text"])
                    yield line
            except TimeoutError as error:
                last = _last("\n".join([*lines, str(error)]))
                raise SelabError(
                    f"`vagrant {name}` did not end.",
                    f"after {self._limit:g} s; its last line: {last}",
                    f"See {self._log}.",
                ) from error
        if ending := terminal.ending():
            raise _explained(name, ending, "\n".join(lines), self._log)

    def _parse_machine_readable_output(self, output: str) -> list[list[str]]:
        """Parse the lines `time,target,kind,data`. python-vagrant fails at a plugin's warning."""
        lines = [line for line in output.splitlines() if line.count(",") == 3]
        fields: list[list[str]] = super()._parse_machine_readable_output("\n".join(lines))
        return fields

    def _normalize_status(self, status: str, provider: str) -> str:
        """Keep Vagrant's word, which `selab vm status` prints. python-vagrant replaces two of them."""
        return status

    def _parse_config(self, ssh_config: str) -> dict[str, str]:
        """Parse the first line of each keyword, as ssh does. python-vagrant takes the last one, but of
        several identity files the first is the VM's own."""
        lines = [line for line in ssh_config.splitlines() if line.strip()]
        first = {line.split()[0]: line for line in reversed(lines)}
        conf: dict[str, str] = super()._parse_config("\n".join(reversed(first.values())))
        return conf


def _name(command: Sequence[str]) -> str:
    """The command's name for a message: `up`, or `box add`."""
    return " ".join(command[1:3] if command[1] == "box" else command[1:2])


def _last(output: str) -> str:
    return next((line.strip()[:200] for line in reversed(output.splitlines()) if line.strip()), "no output")


def _explained(name: str, ending: str, output: str, log: Path) -> SelabError:
    """The error for a failed command that printed `output`."""
    if _NOT_READY in output:
        return NotReady(
            "The VM is not ready for a login.",
            f"`vagrant {name}`: {_NOT_READY}",
            "`selab vm console` shows what it does.",
        )
    for pattern, what, hint in TROUBLES:
        if match := pattern.search(output):
            trouble = match.group(0).splitlines()[0]
            line = next(line for line in output.splitlines() if trouble in line)
            return SelabError(what, f"`vagrant {name}`: {line.strip()[:200]}", hint)
    return SelabError(
        f"`vagrant {name}` failed.", f"{ending}: {_last(output)}", f"Its whole output is in {log}."
    )

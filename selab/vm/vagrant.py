"""The vagrant command, with time limits, and its messages turned into errors that say what to do."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pexpect

from selab.errors import SelabError
from selab.progress import Progress

QUESTION_LIMIT = 60.0
"""Seconds for `status` and `ssh-config`: Ruby needs one or two, a host under load many more."""
UP_LIMIT = 900.0
"""Seconds for `up`: a copy of the box's disk, then the boot of an emulated CPU, 70 s here and several times that on slow hosts."""
BOX_LIMIT = 3600.0
"""Seconds for `box add`: a gigabyte over a slow line."""
STOP_LIMIT = 300.0
"""Seconds for `halt`, `suspend`, `resume` and `destroy`: an emulated guest with containers takes a minute to shut down."""
BOOT_LIMIT = 240.0
"""Seconds until a guest that boots must have told Vagrant how it is reached: an emulated one needs 60 to 70."""
RETRY = 1.0
INTERRUPT_LIMIT = 20.0
"""Seconds for Vagrant to clean up and release its lock after Ctrl-C, before it is told again."""

_STAGE = re.compile(r"^==> \S+: (?P<text>(?! |-|No version|generating|See http|Machine not prov).+)$")
_PROGRESS = re.compile(r"(?:^|\r)(?:\s*(?:Progress|Uploading|==> \S+: Progress)\b.*|\s*\d+(?:\.\d+)?%?\s*)$")
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x08|[\x00-\x08\x0b-\x1f]")

TROUBLES = (
    (
        re.compile(r"is locked|another process is already executing|lock.* another process", re.I),
        "Another Vagrant process is working on this VM.",
        "Wait for it to end (`ps -C ruby,vagrant -f` shows it), then run again.",
    ),
    (
        re.compile(r"name `.*` of domain about to create is already taken", re.I),
        "libvirt already has a VM of this name that Vagrant does not know.",
        "`virsh list --all` shows it; remove it with `virsh undefine NAME` if nobody needs it.",
    ),
    (
        re.compile(r"no space left on device", re.I),
        "There is no disk space left for the VM.",
        "Free some: `selab box remove`, `vagrant box prune`, `virsh vol-list default`.",
    ),
    (
        re.compile(r"provider '.*' could not be found|no usable default provider", re.I),
        "Vagrant has no provider that could run the VM.",
        "Install vagrant-libvirt (script/setup does) or VirtualBox.",
    ),
    (
        re.compile(r"checksum.*(?:not match|mismatch|did(?:n't| not) match)", re.I),
        "The box that was downloaded does not have the checksum that it should.",
        "Nothing was installed from it. Run again; if it stays so, check `vm.source` in selab.yaml.",
    ),
)


_NOT_READY = "not yet ready for SSH"


class NotReady(SelabError):
    """Vagrant does not know how the guest is reached, yet."""


@dataclass(frozen=True)
class SshConfig:
    """What `vagrant ssh-config` says; `key` is the first identity file."""

    host: str
    port: int
    user: str
    key: Path


class Vagrant:
    """Vagrant in `directory`. `parameters` is the file of selab's choices that our Vagrantfile reads; `log` gets its whole output."""

    def __init__(self, directory: Path, parameters: Path, log: Path) -> None:
        self.directory = directory
        self.log = log
        self._environment = {
            **os.environ,
            "SELAB_VM": str(parameters),
            "VAGRANT_NO_COLOR": "1",
            "VAGRANT_CHECKPOINT_DISABLE": "1",
            "VAGRANT_BOX_UPDATE_CHECK_DISABLE": "1",
            "VAGRANT_CWD": str(directory),
            "LC_ALL": "C.UTF-8",
        }

    def state(self) -> str:
        """Vagrant's word for the state of the (first) machine: `not_created`, `running`, `shutoff`, `poweroff`, `saved`, ..."""
        output = self._ask("status", "--machine-readable")
        for line in output.splitlines():
            fields = line.split(",")
            if len(fields) >= 4 and fields[2] == "state":
                return fields[3]
        raise SelabError(
            "`vagrant status` does not name a machine.",
            _last(output),
            f"See the Vagrantfile in {self.directory}.",
        )

    def ssh_config(self) -> SshConfig:
        """How to log in, as Vagrant knows it. It waits for a guest that boots, whose address Vagrant does not know yet."""
        deadline = time.monotonic() + BOOT_LIMIT
        while True:
            try:
                output = self._ask("ssh-config")
                break
            except NotReady:
                if time.monotonic() > deadline:
                    raise
            time.sleep(RETRY)
        fields: dict[str, str] = {}
        for line in output.splitlines():
            name, _, value = line.strip().partition(" ")
            fields.setdefault(name, value.strip().strip('"'))
        try:
            return SshConfig(
                fields["HostName"], int(fields["Port"]), fields["User"], Path(fields["IdentityFile"])
            )
        except (KeyError, ValueError) as error:
            raise SelabError("`vagrant ssh-config` does not say how to log in.", _last(output)) from error

    def up(self, progress: Progress, provider: str = "") -> None:
        """Create or start the machine; a failed creation is left for the caller to look at."""
        words = [
            "up",
            "--no-provision",
            "--no-destroy-on-error",
            *((f"--provider={provider}",) if provider else ()),
        ]
        self._stream(words, UP_LIMIT, progress)

    def resume(self, progress: Progress) -> None:
        self._stream(["resume", "--no-provision"], STOP_LIMIT, progress)

    def suspend(self, progress: Progress) -> None:
        self._stream(["suspend"], STOP_LIMIT, progress)

    def halt(self, progress: Progress) -> None:
        self._stream(["halt"], STOP_LIMIT, progress)

    def destroy(self, progress: Progress) -> None:
        self._stream(["destroy", "--force"], STOP_LIMIT, progress)

    def box_add(self, name: str, provider: str, url: str, sha256: str, progress: Progress) -> None:
        """Put a box into Vagrant's store under `name`, checked against `sha256` where there is one."""
        check = ["--checksum-type", "sha256", "--checksum", sha256] if sha256 else []
        self._stream(["box", "add", "--name", name, "--provider", provider, *check, url], BOX_LIMIT, progress)

    def _ask(self, *words: str) -> str:
        command = [_vagrant(), *words]
        try:
            done = subprocess.run(
                command, cwd=self.directory, env=self._environment, capture_output=True, text=True, errors="replace",
                timeout=QUESTION_LIMIT, stdin=subprocess.DEVNULL,
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise SelabError(
                "Vagrant does not answer.", f"`vagrant {words[0]}` ran for {QUESTION_LIMIT:g} s"
            ) from error
        if done.returncode:
            raise _explained(words[0], done.returncode, done.stdout + done.stderr, self.log)
        return done.stdout

    def _stream(self, words: list[str], limit: float, progress: Progress) -> None:
        """Run Vagrant with its stages shown as notes. Ctrl-C reaches it as Ctrl-C, so that it cleans up and releases its lock."""
        lines: list[str] = []
        with self.log.open("a", encoding="utf-8") as log, self._spawned(words) as child:
            log.write(f"\n$ vagrant {' '.join(words)}\n")
            deadline = time.monotonic() + limit
            while True:
                found = child.expect(
                    ["[\r\n]+", pexpect.EOF, pexpect.TIMEOUT], timeout=max(0.1, deadline - time.monotonic())
                )
                if found == 2:
                    raise SelabError(
                        f"`vagrant {words[0]}` did not end.",
                        f"after {limit:g} s; its last line: {_last_of(lines)}",
                        f"See {self.log}.",
                    )
                line = _CONTROL.sub("", child.before or "").rstrip()
                if line and not _PROGRESS.search(line):
                    lines.append(line)
                    log.write(line + "\n")
                    log.flush()
                    if stage := _STAGE.match(line):
                        progress.note(stage["text"])
                if found == 1:
                    break
        if child.exitstatus != 0:
            raise _explained(words[0], child.exitstatus, "\n".join(lines), self.log)

    @contextlib.contextmanager
    def _spawned(self, words: list[str]) -> Iterator[pexpect.spawn[str]]:
        child: pexpect.spawn[str] = pexpect.spawn(
            _vagrant(),
            words,
            cwd=str(self.directory),
            env=self._environment,
            encoding="utf-8",
            codec_errors="replace",
            dimensions=(50, 400),
        )
        try:
            yield child
        finally:
            _end(child)


def _vagrant() -> str:
    path = shutil.which("vagrant")
    if path is None:
        raise SelabError(
            "Vagrant is not installed.", hint="Install vagrant and vagrant-libvirt (script/setup does)."
        )
    return path


def _end(child: pexpect.spawn[str]) -> None:
    """See the process out: politely twice, then with all that it started."""
    for sent in (signal.SIGINT, signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        if not child.isalive():
            break
        if sent is signal.SIGKILL and child.pid:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(child.pid, sent)
        else:
            child.kill(sent)
        deadline = time.monotonic() + INTERRUPT_LIMIT
        while child.isalive() and time.monotonic() < deadline:
            # A full terminal buffer would keep it from ending.
            with contextlib.suppress(pexpect.EOF, pexpect.TIMEOUT):
                child.read_nonblocking(65536, timeout=0.2)
    child.close()


def _last_of(lines: list[str]) -> str:
    return _last("\n".join(lines))


def _last(output: str) -> str:
    return next((line.strip()[:200] for line in reversed(output.splitlines()) if line.strip()), "no output")


def _explained(command: str, code: int | None, output: str, log: Path) -> SelabError:
    if _NOT_READY in output:
        return NotReady(
            "The VM is not ready for a login.",
            f"`vagrant {command}`: {_NOT_READY}",
            "`selab vm console` shows what it does.",
        )
    for pattern, what, hint in TROUBLES:
        if found := pattern.search(output):
            line = next(
                (line for line in output.splitlines() if found.group(0).splitlines()[0] in line),
                found.group(0),
            )
            return SelabError(what, f"`vagrant {command}`: {line.strip()[:200]}", hint)
    return SelabError(
        f"`vagrant {command}` failed.", f"exit code {code}: {_last(output)}", f"Its whole output is in {log}."
    )

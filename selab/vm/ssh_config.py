"""The user's ssh configuration: which servers lead to an existing host, and how ssh logs in to each of them.

Fabric applies `Host`, `Match` and the tokens. Three things are done here, because Fabric 3.2 does them unlike
ssh: it visits the hosts of `ProxyJump a,b` in the opposite order, it ignores `Include`, and it takes an
unknown criterion of `Match` as met.
"""

from __future__ import annotations

import contextlib
import getpass
import logging
import re
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fabric import Config, Connection
from paramiko import SSHConfig
from paramiko.ssh_exception import ConfigParseError, CouldNotCanonicalize

from selab.errors import InputError
from selab.host.processes import end_group, interrupt_deferred
from selab.vm.host_keys import known_name

log = logging.getLogger("selab")

USER_FILE = Path("~/.ssh/config")
SYSTEM_FILE = Path("/etc/ssh/ssh_config")
KNOWN_HOSTS = "~/.ssh/known_hosts"
SYSTEM_KNOWN_HOSTS = Path("/etc/ssh/ssh_known_hosts")
DEFAULT_KEYS = ("id_ed25519", "id_ecdsa", "id_rsa")
"""The keys in ~/.ssh that are tried if the configuration names none, as in ssh(1)."""
MAX_JUMPS = 8
"""Jump hosts on the way to a host: more are a configuration in which two hosts name each other."""
MATCH_LIMIT = 30.0
"""Seconds for the command of a `Match exec`. Such a command usually looks at the network: tenths of one."""
MAX_INCLUDES = 16
"""Levels of `Include`, as in ssh."""

_INCLUDE = re.compile(r"\s*Include(?:\s*=\s*|\s+)(.+)", re.IGNORECASE)
_BLOCK = re.compile(r"\s*(?:Host|Match)\b", re.IGNORECASE)
_MATCH = re.compile(r"\s*Match(?:\s*=\s*|\s+)(.+)", re.IGNORECASE)
_BARE = ("all", "canonical", "final")
_WITH_VALUE = ("host", "originalhost", "user", "localuser", "exec")
_NEVER = "Host !*"
_JUMP = re.compile(r"(?:ssh://)?(?:(.+)@)?(?:\[([^\]]+)\]|([^:@\[\]]+))(?::(\d{1,5}))?/?")


@dataclass(frozen=True)
class Server:
    """An SSH server, and how to log in to it. All of it comes from the user; nothing comes from a guest."""

    name: str
    """What the user calls it: an alias in ssh's configuration, or an address."""
    command: str
    """The command with which the user logs in to it."""
    host: str
    port: int
    user: str
    keys: tuple[Path, ...]
    """Files of private keys, in the order in which they are tried."""
    agent: bool
    """Whether all keys of the SSH agent are tried, too."""
    known_as: str
    """Its name in the known_hosts files."""
    known_hosts: tuple[Path, ...]

    def __str__(self) -> str:
        return f"{self.user}@{self.host}:{self.port}"


@dataclass(frozen=True)
class Route:
    """The way to `target` through `jumps`, in this order.

    If there is a `proxy_command`, it connects to the first server on the way.
    """

    target: Server
    jumps: tuple[Server, ...] = ()
    proxy_command: str = ""


class UserConfig:
    """What ssh would read: the user's own file, then the system's."""

    def __init__(self) -> None:
        self._text = ""
        for file in (USER_FILE.expanduser(), SYSTEM_FILE):
            try:
                self._text += "Host *\n" + _with_includes(file, file.parent, "Host *", MAX_INCLUDES)
            except ValueError as error:
                hint = "`ssh -G NAME` shows how ssh reads it."
                raise InputError("The ssh configuration cannot be read.", f"{file}: {error}", hint) from error

    def route(
        self, name: str, *, user: str | None = None, port: int | None = None, default_user: str = ""
    ) -> Route:
        """Return the way to `name`. A `user` and a `port` that are given count, whatever the files say."""
        return self._route(name, user, port, default_user, MAX_JUMPS)

    def _route(self, name: str, user: str | None, port: int | None, default_user: str, left: int) -> Route:
        target, options = self._look_up(name, user, port, default_user)
        jump, command = _gateway(options)
        jumps = [_jump(text, name) for text in jump.split(",")] if jump else []
        if not jumps or jumps[0][0] == name:  # `Host *` applies to the jump host itself as well
            return Route(target, proxy_command=command.replace("%n", name).replace("%%", "%"))
        if left == 0:
            raise InputError(
                f"There are too many jump hosts on the way to {name}.",
                f"More than {MAX_JUMPS}, the last one is {jumps[0][0]}.",
                "Check `ProxyJump` in ~/.ssh/config: two hosts may name each other.",
            )
        first = self._route(*jumps[0], "", left - 1)
        rest = [self._look_up(*jump, "")[0] for jump in jumps[1:]]
        return Route(target, (*first.jumps, first.target, *rest), first.proxy_command)

    def _look_up(
        self, name: str, user: str | None, port: int | None, default_user: str
    ) -> tuple[Server, dict[str, str]]:
        # What is given goes in front of the files, because the first value counts, also in tokens such as %p.
        given = f"Host {name}\n" + (f"User {user}\n" if user else "") + (f"Port {port}\n" if port else "")
        try:
            config = Config(
                ssh_config=_Parsed.from_text(given + self._text),
                lazy=True,
                overrides={"user": default_user or getpass.getuser()},
            )
            connection = Connection(
                name, config=config, gateway=False, forward_agent=False, connect_timeout=1
            )
        except (ConfigParseError, CouldNotCanonicalize, KeyError, ValueError) as error:
            raise InputError(
                f"The ssh configuration of {name} cannot be used.",
                f"{type(error).__name__}: {error}",
                f"`ssh -G {name}` shows how ssh reads it.",
            ) from error
        command = "ssh " + (f"-p {port} " if port else "") + (f"{user}@" if user else "") + name
        return _server(name, command, connection), connection.ssh_config


class _Parsed(SSHConfig):
    """The parsed files.

    paramiko runs the command of `Match exec` with Invoke, which consumes selab's standard input and fails if
    there is none. So the command is run here.
    """

    def _does_match(
        self, match_list: list[dict[str, Any]], target: str, canonical: bool, final: bool, options: Any
    ) -> bool:
        commands = [criterion for criterion in match_list if criterion["type"] == "exec"]
        others = [criterion for criterion in match_list if criterion["type"] != "exec"]
        if others and not super()._does_match(others, target, canonical, final, options):  # type: ignore[misc]
            return False
        for criterion in commands:
            command = self._tokenize(options, target, "match-exec", criterion["param"])  # type: ignore[attr-defined]
            if _succeeds(command) is criterion["negate"]:
                return False
        return bool(match_list)


def _succeeds(command: str) -> bool:
    """Run the shell command of a `Match exec`. Return whether its exit code is 0. Raises InputError.

    What it leaves in the background remains, as with ssh: it may start an agent.
    """
    with contextlib.ExitStack() as stack:
        with interrupt_deferred():
            process = subprocess.Popen(
                ["/bin/sh", "-c", command],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
            )
            stack.callback(_end_if_running, process)
        try:
            return process.wait(MATCH_LIMIT) == 0
        except subprocess.TimeoutExpired as error:
            raise InputError(
                "A command in the ssh configuration does not end.",
                f"`Match exec {command}` ran for {MATCH_LIMIT:g} seconds.",
                "Run the command in a shell, and correct it in ~/.ssh/config.",
            ) from error


def _end_if_running(process: subprocess.Popen[bytes]) -> None:
    if process.returncode is None:
        end_group(process)


def _server(name: str, command: str, connection: Connection) -> Server:
    options = connection.ssh_config
    files = [Path(file).expanduser() for file in connection.connect_kwargs.get("key_filename", ())]
    known_hosts = shlex.split(options.get("userknownhostsfile", KNOWN_HOSTS))
    return Server(
        name=name,
        command=command,
        host=connection.host,
        port=connection.port,
        user=connection.user,
        keys=tuple(file for file in files or _default_keys() if file.is_file()),
        agent=options.get("identitiesonly", "no").lower() != "yes",
        known_as=options.get("hostkeyalias") or known_name(connection.host, connection.port),
        known_hosts=(*(Path(file).expanduser() for file in known_hosts), SYSTEM_KNOWN_HOSTS),
    )


def _default_keys() -> list[Path]:
    return [USER_FILE.expanduser().parent / name for name in DEFAULT_KEYS]


def _gateway(options: dict[str, str]) -> tuple[str, str]:
    """Return `ProxyJump` and `ProxyCommand`. Only the one that comes first counts; the other is ""."""
    first = next((key for key in options if key in ("proxyjump", "proxycommand")), "")
    value = options.get(first) or "none"
    if value.lower() == "none":
        return "", ""
    return (value, "") if first == "proxyjump" else ("", value)


def _jump(text: str, name: str) -> tuple[str, str | None, int | None]:
    """Return the host of an entry of `ProxyJump`, and its user and port, which are None if not given."""
    match = _JUMP.fullmatch(text.strip())
    if match is None:
        raise InputError(
            f"A jump host on the way to {name} cannot be read.",
            f"ProxyJump has `{text.strip()[:80]}`.",
            "ssh_config(5) describes the form: [user@]host[:port].",
        )
    user, address6, host, port = match.groups()
    return address6 or host, user, int(port) if port else None


def _with_includes(file: Path, base: Path, block: str, levels: int) -> str:
    """Return the text of `file` with the files that it includes, relative to `base`.

    An `Include` below a `Host` other than `*` is left out: its text would apply to more hosts than in ssh.
    """
    try:
        lines = file.read_text(errors="replace").splitlines()
    except OSError:
        return ""
    text = []
    for line in lines:
        if match := _MATCH.fullmatch(line):
            line = _match(match[1])
        include = _INCLUDE.fullmatch(line)
        if include is None:
            block = line.strip() if _BLOCK.match(line) else block
            text.append(line)
        elif levels and block.lower() in ("host *", "match all"):
            for pattern in shlex.split(include[1]):
                for path in _matching(pattern, base):
                    text += [_with_includes(path, base, block, levels - 1), block]
    return "\n".join(text) + "\n"


def _match(criteria: str) -> str:
    """Return the line for a `Match` with `criteria`, with the keywords in lower case, as paramiko needs them.

    If paramiko does not know one of them, the line begins a block that never applies.
    """
    words = shlex.split(criteria)
    known = []
    while words:
        known.append(words.pop(0).lower())
        keyword = known[-1].removeprefix("!")
        if keyword in _WITH_VALUE and words:
            known.append(words.pop(0))
        elif keyword not in _BARE:
            log.info("ssh configuration: `Match %s` is ignored", criteria)
            return _NEVER
    return f"Match {shlex.join(known)}"


def _matching(pattern: str, base: Path) -> list[Path]:
    """Return the files that `pattern` of an `Include` names, relative to `base`."""
    path = base / Path(pattern).expanduser()
    return sorted(Path(path.anchor).glob(str(path.relative_to(path.anchor))))

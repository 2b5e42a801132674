"""The command of OpenSSH's client for an interactive shell.

It takes the same way, keys and host keys as selab's own connection.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from selab.vm.host_keys import HOST_ALIAS
from selab.vm.ssh_config import Server
from selab.vm.ssh_login import KEEPALIVE, LOGIN_TIMEOUT, Address


def interactive(address: Address) -> list[str]:
    """Return the command that opens a shell at `address`.

    It reads no configuration. It accepts only the pinned host key of the target, and the known one of each
    jump host. `ssh -J` is not used, because it would not pass these options on to the jump hosts.
    """
    proxy = _literal(address.proxy_command)
    for jump in address.jumps:
        words = _client(jump, jump.known_as, jump.known_hosts, proxy)
        proxy = f"{_literal(shlex.join(words))} -W '[%h]:%p' {shlex.quote(f'{jump.user}@{jump.host}')}"
    words = _client(address, HOST_ALIAS, (address.known_hosts,), proxy)
    return [*words, f"{address.user}@{address.host}"]


def _client(server: Address | Server, known_as: str, known_hosts: Sequence[Path], proxy: str) -> list[str]:
    options = {
        "IdentitiesOnly": "no" if server.agent else "yes",
        "UserKnownHostsFile": " ".join(f'"{_literal(str(file))}"' for file in known_hosts),
        "GlobalKnownHostsFile": "/dev/null",
        "HostKeyAlias": known_as,
        "StrictHostKeyChecking": "yes",
        "PasswordAuthentication": "no",
        "ForwardAgent": "no",
        "ConnectTimeout": f"{LOGIN_TIMEOUT:g}",
        "ServerAliveInterval": str(KEEPALIVE),
        "LogLevel": "ERROR",
        **({"ProxyCommand": proxy} if proxy else {}),
    }
    words = ["ssh", "-F", "none", "-p", str(server.port)]
    for key in server.keys:
        words += ["-i", _literal(str(key))]
    for name, value in options.items():
        words += ["-o", f"{name}={value}"]
    return words


def _literal(text: str) -> str:
    """Return `text` so that ssh expands no token in it."""
    return text.replace("%", "%%")

"""Host keys: the one that selab pinned for a guest, and those in the user's known_hosts files."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Iterable
from pathlib import Path

import paramiko
from paramiko.hostkeys import HostKeyEntry, InvalidHostKey

from selab.errors import SelabError
from selab.host.private import read_private, write_private

HOST_ALIAS = "selab-guest"
"""The name under which the host key is pinned, so that a guest keeps it when its port changes."""
MAX_PINNED = 1 << 16
"""Bytes that selab reads of the file with the pinned key."""
KEY_TYPES = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa")
"""Types of host keys, the best first."""


def pinned_key(known_hosts: Path) -> paramiko.PKey | None:
    """Return the host key that is pinned in `known_hosts`, or None if the file holds none."""
    try:
        _, kind, data = read_private(known_hosts, MAX_PINNED).decode("ascii").split()[:3]
        return paramiko.PKey.from_type_string(kind, base64.b64decode(data))
    except (OSError, ValueError, SelabError, paramiko.SSHException):
        return None


def pin(known_hosts: Path, key: paramiko.PKey) -> None:
    """Record `key` as the guest's, in OpenSSH's own format, so that `ssh` can use the same file."""
    pin_text(known_hosts, f"{key.get_name()} {key.get_base64()}")


def pin_text(known_hosts: Path, public: str) -> None:
    """Record the guest's host key, given as the line in the guest's own `.pub` file."""
    words = public.split()
    write_private(known_hosts, f"{HOST_ALIAS} {words[0]} {words[1]}\n".encode())


def known_name(host: str, port: int) -> str:
    """Return the name of `host` in a known_hosts file, which includes the port unless it is 22."""
    return host if port == 22 else f"[{host}]:{port}"


def known_key(files: Iterable[Path], name: str) -> paramiko.PKey | None:
    """Return the host key of `name`, of the best type, from the first of the known_hosts `files` with one.

    Lines that are not plain keys, such as those of certificate authorities, are skipped.
    """
    for file in files:
        known = paramiko.HostKeys()
        for line in _plain_lines(file):
            with contextlib.suppress(paramiko.SSHException, InvalidHostKey, ValueError):
                if entry := HostKeyEntry.from_line(line):
                    for pattern in entry.hostnames:
                        known.add(pattern, entry.key.get_name(), entry.key)
        if keys := known.lookup(name):
            for kind in KEY_TYPES:
                if kind in keys:
                    return keys[kind]
    return None


def _plain_lines(file: Path) -> list[str]:
    try:
        lines = file.read_text(errors="replace").splitlines()
    except OSError:
        return []
    return [line for line in lines if line.strip() and line[0] not in "#@"]

"""SELinux on this machine: whether it is enforcing, and the labels of files that libvirt's VMs read."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

from selab.host.local import LocalHost

MODE = Path("/sys/fs/selinux/enforce")
ATTRIBUTE = "security.selinux"
SPECIAL = re.compile(r"[\[\]\\.^$*+?(){}|]")
"""The characters with a meaning in the regular expressions of file contexts, as in script/setup."""
BLANK = re.compile(r"\s")
"""semanage refuses a regular expression with a blank."""


def enforcing() -> bool | None:
    """Return whether SELinux is enforcing on this machine, or None if it is off."""
    try:
        return MODE.read_text().strip() == "1"
    except OSError:
        return None


def type_of(path: Path) -> str:
    """Return the type in the label of `path`, or "" if it has no label or does not exist."""
    try:
        return _type(os.getxattr(path, ATTRIBUTE).decode(errors="replace"))
    except OSError:
        return ""


def type_by_rules(path: Path) -> str:
    """Return the type that the policy's file contexts give to `path`, or "" if that is unknown."""
    return _type(LocalHost().run(["matchpathcon", "-n", str(path)]).text)


def rule_for(directory: Path, type_: str) -> str:
    """Return the command that gives `directory` and everything in it the type, as a rule of the policy."""
    escaped = BLANK.sub(r"\\s", SPECIAL.sub(r"\\\g<0>", str(directory)))
    return shlex.join(["semanage", "fcontext", "-a", "-t", type_, f"{escaped}(/.*)?"])


def restore(path: Path) -> None:
    """Give `path` the label of the policy's file contexts if SELinux is on: a new file has its directory's.

    If that fails, `path` keeps its label, and `selab doctor` reports it.
    """
    if enforcing() is not None:
        LocalHost().run(["restorecon", str(path)])


def _type(label: str) -> str:
    """Return the third field of `user:role:type:level`, or "" for a shorter label."""
    fields = label.strip().rstrip("\0").split(":")
    return fields[2] if len(fields) > 2 else ""

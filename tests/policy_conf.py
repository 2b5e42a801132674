"""The extended rules of a kernel policy, as checkpolicy writes them, which shares no code with selab."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path


def commands_by_checkpolicy(policy: Path) -> dict[tuple[str, str, str], int]:
    """Return the ioctl commands of each source, target and class of a kernel policy that rules limit.

    checkpolicy (libsepol's sepol_kernel_policydb_to_conf) writes the policy as policy.conf, which selab does
    not read.
    """
    conf = policy.with_suffix(".conf")
    subprocess.run(["checkpolicy", "-b", "-M", "-F", "-o", str(conf), str(policy)], check=True)
    return commands_of(conf.read_text())


def commands_of(conf: str) -> dict[tuple[str, str, str], int]:
    """Return the commands of each source, target and class of a policy.conf, with all its sets expanded."""
    members: dict[str, set[str]] = {}
    for name in re.findall(r"^type (\S+?)[;,\s]", conf, re.MULTILINE):
        members[name] = {name}
    for name, attributes in re.findall(r"^typeattribute (\S+) ([^;]+);", conf, re.MULTILINE):
        for attribute in re.split(r"[,\s]+", attributes):
            members.setdefault(attribute, set()).add(name)
    commands: dict[tuple[str, str, str], int] = {}
    pattern = r"^(\w+)xperm (\S+) (\S+):(\S+) ioctl \{?([^};]*)\}?;"
    for kind, source, target, tclass, numbers in re.findall(pattern, conf, re.MULTILINE):
        listed = 0
        # A rule of another kind allows no command, and limits the commands all the same.
        for low, high in re.findall(r"(0x\w+)(?:-(0x\w+))?", numbers) if kind == "allow" else ():
            for number in range(int(low, 16), int(high or low, 16) + 1):
                listed |= 1 << number
        for subject in members[source]:
            for other in {subject} if target == "self" else members[target]:
                key = subject, other, tclass
                commands[key] = commands.get(key, 0) | listed
    return commands

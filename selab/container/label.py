"""The label a container runs under: what was asked for, and what the kernel gave."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from pathlib import Path

from selab.errors import SelabError

CATEGORIES = 1024
"""How many MCS categories every distribution's policy has (c0 to c1023)."""


@dataclass(frozen=True)
class ContainerLabel:
    """The type and the MCS level that a container's processes are to have. `at_random`: the level was drawn for this run alone, so that
    whatever has it is the run's."""

    type: str
    level: str
    at_random: bool = False

    @property
    def context(self) -> str:
        """The whole context, with the user and role that container runtimes give (container-selinux's lxc_contexts)."""
        return f"system_u:system_r:{self.type}:{self.level}"


def random_level() -> str:
    """A level with two categories at random, which tells this run's processes and files from everything else's."""
    low, high = sorted(random.SystemRandom().sample(range(CATEGORIES), 2))
    return f"s0:c{low},c{high}"


def runtime_default_type(contexts: Path) -> str:
    """The type that the base policy gives to containers: `process` of the file lxc_contexts (selinux_lxc_contexts_path(3))."""
    found = _runtime_type(contexts, "process")
    if not found:
        raise SelabError(
            "The guest's policy has no domain for containers.",
            "lxc_contexts has no process line.",
            "Name a type in the scenario.",
        )
    return found


def runtime_file_type(contexts: Path) -> str:
    """The type that container runtimes give to a container's files and to volumes with `:z`; nothing where the policy names none."""
    return _runtime_type(contexts, "file")


def _runtime_type(contexts: Path, what: str) -> str:
    try:
        text = (contexts / "lxc_contexts").read_text(errors="replace")
    except OSError:
        return ""
    found = re.search(rf'^\s*{what}\s*=\s*"[^:"]+:[^:"]+:([^:"]+)', text, re.MULTILINE)
    return found[1] if found else ""

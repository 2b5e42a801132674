"""Choose the label that a container runs under."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

from selab.errors import SelabError
from selab.policy.contexts import runtime_type

SERVICE_LEVEL = "s0"
"""The level of a service that systemd starts: that of init, which the domains of daemons inherit."""
CATEGORIES = 1024
"""The number of MCS categories in every distribution's policy (c0 to c1023)."""


@dataclass(frozen=True)
class ContainerLabel:
    """The label that a container's processes should have.

    type: SELinux type.
    level: MCS level, such as `s0:c1,c2`.
    at_random: whether the level was drawn for this run, so that everything with it belongs to the run.
    """

    type: str
    level: str
    at_random: bool = False

    @property
    def context(self) -> str:
        """Return the context, with the user and role that container runtimes set (lxc_contexts)."""
        return f"system_u:system_r:{self.type}:{self.level}"


def random_level() -> str:
    """Return a level with two random categories, which mark the processes and files of this run."""
    low, high = sorted(random.SystemRandom().sample(range(CATEGORIES), 2))
    return f"s0:c{low},c{high}"


def runtime_default_type(contexts: Path) -> str:
    """Return the type that the base policy gives to containers.

    It is the entry `process` of the file lxc_contexts (selinux_lxc_contexts_path(3)).
    """
    process_type = runtime_type(contexts, "process")
    if not process_type:
        raise SelabError(
            "The guest's policy has no domain for containers.",
            "Its file lxc_contexts has no process line.",
            "Name a type in the scenario.",
        )
    return process_type


def runtime_file_type(contexts: Path) -> str:
    """Return the type of a container's files and of volumes with `:z`, or "" if the policy names none."""
    return runtime_type(contexts, "file")

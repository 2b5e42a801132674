"""Ask an existing host (`box: host`) for its base policy, before a run has read it."""

from __future__ import annotations

import contextlib

from selab.errors import SelabError
from selab.host.cache import cache_dir
from selab.policy.base import BasePolicy, ensure_base
from selab.policy.survey import survey
from selab.policy.toolchain import choose_toolchain
from selab.progress import Progress
from selab.project import Project
from selab.vm.select import machine_of


def base_of_host(project: Project, progress: Progress) -> BasePolicy | None:
    """Return the base policy of the machine that selab.yaml names.

    It is None if the project has no existing host, or, with a note, if the machine does not answer. The
    machine's host key must be known already: a question makes no first contact.
    """
    host = project.config.vm.host
    if host is None:
        return None
    try:
        with (
            progress.step(f"Asking {host.address} for its base policy"),
            contextlib.closing(machine_of(project).connect()) as guest,
        ):
            tools = choose_toolchain(guest, project.own_directory("policy"))
            return ensure_base(guest, survey().of(guest), tools, cache_dir(), progress)
    except SelabError as error:
        progress.note(f"The base policy of {host.address} is unknown: {error.what} {error.hint}".rstrip())
        return None

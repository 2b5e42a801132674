"""Replay of the project's own runs, or of any log, against a candidate as it is on disk: what is recorded, compiled and linked for it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from selab.cache import cache_dir
from selab.errors import InputError, SelabError
from selab.experiment import NO_POLICY
from selab.history import History
from selab.host import Host
from selab.policy.base import BasePolicy, known_base
from selab.policy.build import link
from selab.policy.candidate import compiled
from selab.policy.module import load_module
from selab.policy.toolchain import Toolchain, missing_on_host
from selab.progress import Progress
from selab.project import Project
from selab.replay import Replay, accesses, replay


def records_of(project: Project, name: str, policy: str | None) -> tuple[Sequence[bytes], str, str]:
    """The raw records of a run or a file, the candidate to ask, and the domain that the records speak of (nothing for a file)."""
    path = Path(name)
    if path.is_file():
        if policy is None:
            raise InputError("A log does not say which candidate to ask.", str(path), "Name one with --policy.")
        return path.read_bytes().splitlines(), policy, ""
    stored = History.of(project).find(name)
    chosen = policy or stored.document.policy
    if chosen == NO_POLICY:
        raise InputError("The run had no candidate.", stored.document.run, "Name one with --policy.")
    domain = stored.document.label.requested.split(":")[2]
    return stored.records, chosen, domain


def rehearse(project: Project, lines: Sequence[bytes], policy: str, domain: str, progress: Progress) -> Replay:
    """Link the candidate `policy` with the base policy of the project's last run, and ask it.

    Where the records speak of another candidate's `domain`, the same is asked for this one's own, NAME_t.
    """
    if lacking := missing_on_host():
        raise SelabError(
            "Replay needs the policy tools on this machine.", f"Missing: {' '.join(lacking)}.", "`script/setup` installs them."
        )
    base = last_base(project)
    tools = Toolchain(Host(), str(project.state / "replay"))
    module = load_module(project, policy)
    with progress.step("Compiling and linking the candidate"):
        linked = link(base, [compiled(module, base, tools, project.state / "compiled")], tools)
    file = project.state / "replay" / "policy"
    file.write_bytes(linked.binary)
    own = f"{policy}_t"
    renamed = (domain, own) if domain and domain != own else ("", "")
    return replay(file, accesses(lines, renamed))


def last_base(project: Project) -> BasePolicy:
    """The base policy of the project's last run. Raises SelabError where there has been none, or its cache is gone."""
    runs = History.of(project).latest(1)
    base = known_base(runs[0].document.base, cache_dir()) if runs else None
    if base is None:
        raise SelabError("No base policy is known yet.", "It is read from the guest.", "Run a scenario first: `selab run`.")
    return base

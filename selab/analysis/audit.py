"""`selab audit`: what a policy of the project adds to the base policy, or to another version of itself, without a VM."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from selab.analysis.offline import candidate_of
from selab.errors import InputError
from selab.host.local import LocalHost
from selab.policy.base import BasePolicy
from selab.policy.candidate import compiled_all
from selab.policy.module import PolicyModule, load_module
from selab.policy.query.index import PolicyIndex
from selab.policy.query.reach import Access, Addition, Reach, additions, granted, reaches, together
from selab.policy.query.risk import Level
from selab.policy.toolchain import Toolchain
from selab.progress import Progress
from selab.project import Project


@dataclass(frozen=True)
class PolicyAudit:
    """What `policy` adds; against another version, `additions` are what that one does not grant, and `removed` what only it does."""

    policy: str
    types: tuple[str, ...]
    additions: tuple[Addition, ...]
    reaches: tuple[Reach, ...]
    removed: tuple[Access, ...] = ()

    @property
    def worst(self) -> Level:
        return max((one.risk.level for one in self.additions), default=Level.LOW)


def audit(project: Project, policy: str, progress: Progress, against: str = "") -> PolicyAudit:
    """Compile the policy, link it, and read what it adds. `against` is a file, or a revision of git that has its .te.

    Raises InputError where one of the two cannot be found, compiled or linked.
    """
    module = load_module(project, policy)
    other = _version(project, module, against) if against else None
    candidate = candidate_of(project, policy, progress, "An audit")
    with progress.step("Reading what it adds"):
        index = PolicyIndex.of(candidate.base, candidate.modules)
        before = granted(_index_of(project, other, candidate.base)) if other else frozenset()
        removed = together(before - granted(index))
        return PolicyAudit(
            policy,
            tuple(sorted(index.own_types)),
            tuple(additions(index, before)),
            tuple(reaches(index)),
            tuple(removed),
        )


def _index_of(project: Project, module: PolicyModule, base: BasePolicy) -> PolicyIndex:
    tools = Toolchain(LocalHost(), str(project.state / "policy" / "against"))
    return PolicyIndex.of(base, compiled_all(module, base, tools, project.state / "compiled"))


def _version(project: Project, module: PolicyModule, against: str) -> PolicyModule:
    """The module with the .te of a file or of a revision; its other sources are those on disk."""
    path = Path(against)
    if path.is_file():
        return replace(module, texts=module.texts | {"te": path.read_bytes()})
    name = f"{against}:./{module.te.relative_to(project.root)}"
    done = LocalHost().run(["git", "-C", str(project.root), "show", "--end-of-options", name])
    if not done.ok:
        said = (done.error_text.strip().splitlines() or [""])[-1]
        raise InputError(
            f"There is no version '{against}' of {module.te.name}.",
            said,
            "Name a file, or a revision of git.",
        )
    return replace(module, texts=module.texts | {"te": done.stdout})

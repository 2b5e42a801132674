"""`selab audit`: what a policy adds to the base policy, or to another version of itself, without a VM."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from selab.analysis.offline import candidate_of
from selab.errors import InputError
from selab.host.local import LocalHost
from selab.policy.base import BasePolicy
from selab.policy.candidate import compiled_all
from selab.policy.container_template import template_parts
from selab.policy.module import PolicyModule, load_module
from selab.policy.on_base import on_base
from selab.policy.query.index import PolicyIndex
from selab.policy.query.reach import Access, Addition, Reach, additions, granted, limited, reaches, together
from selab.policy.query.risk import Level
from selab.policy.toolchain import Toolchain
from selab.progress import Progress
from selab.project import Project

GIT = ("env", "GIT_ALLOW_PROTOCOL=none", "GIT_NO_LAZY_FETCH=1", "git")
"""Git without the programs that a repository's own configuration names.

A partial clone fetches a missing object by the transport that its configuration chooses, also by
`ext::COMMAND` (git(1), git-remote-ext(1)). `cat-file` has no pager, text conversion or signature check."""


@dataclass(frozen=True)
class PolicyAudit:
    """What a policy adds.

    policy: the policy's name.
    types: the types that it declares.
    additions: what it grants, or only what another version does not grant; by its author or by a template.
    reaches: what its domains can reach.
    removed: what only the other version grants.
    limited: ioctls of the base policy that its extended rules take away, with the commands that remain.
    """

    policy: str
    types: tuple[str, ...]
    additions: tuple[Addition, ...]
    reaches: tuple[Reach, ...]
    removed: tuple[Access, ...] = ()
    limited: tuple[Access, ...] = ()

    @property
    def of_author(self) -> tuple[Addition, ...]:
        """The additions that the policy's author wrote, without what a container template grants."""
        return tuple(addition for addition in self.additions if not addition.by_template)

    @property
    def of_template(self) -> tuple[Addition, ...]:
        """The additions that a container template grants to every domain that it declares."""
        return tuple(addition for addition in self.additions if addition.by_template)

    @property
    def worst(self) -> Level:
        """The highest risk of what the author added."""
        return max((addition.risk.level for addition in self.of_author), default=Level.LOW)


def audit(project: Project, policy: str, progress: Progress, against: str = "") -> PolicyAudit:
    """Compile and link the policy, and read what it adds.

    `against` is a file, or a Git revision that has the policy's file. Raises InputError if one of the two
    versions cannot be found, compiled or linked.
    """
    module = load_module(project, policy)
    other = _version(project, module, against) if against else None
    candidate = candidate_of(project, [policy], progress, "An audit")
    module = on_base(module, candidate.base)
    with progress.step("Reading what it adds"):
        index = PolicyIndex.of(candidate.base, candidate.modules)
        older = _index_of(project, other, candidate.base) if other else PolicyIndex.of(candidate.base)
        before = granted(older)
        removed = together(before - granted(index))
        return PolicyAudit(
            policy,
            tuple(sorted(index.own_types)),
            tuple(additions(index, before, _of_template(project, module, candidate.base))),
            tuple(reaches(index)),
            tuple(removed),
            tuple(sorted(limited(index) - limited(older))),
        )


def _of_template(project: Project, module: PolicyModule, base: BasePolicy) -> frozenset[Access]:
    """Return what the container templates grant by themselves to the domains that the module declares.

    It is nothing if their calls do not compile alone: all of it then counts as the author's.
    """
    tools = Toolchain(LocalHost(), str(project.own_directory("policy", "template")))
    cache = project.own_directory("compiled")
    try:
        parts = [each for part in template_parts(module) for each in compiled_all([part], base, tools, cache)]
    except InputError:
        return frozenset()
    return granted(PolicyIndex.of(base, parts)) if parts else frozenset()


def _index_of(project: Project, module: PolicyModule, base: BasePolicy) -> PolicyIndex:
    tools = Toolchain(LocalHost(), str(project.own_directory("policy", "against")))
    module = on_base(module, base)
    return PolicyIndex.of(base, compiled_all([module], base, tools, project.own_directory("compiled")))


def _version(project: Project, module: PolicyModule, against: str) -> PolicyModule:
    """Return the module with its main file from a file or a revision. Its other sources are those on disk."""
    path = Path(against)
    if path.is_file():
        return module.with_main(path.read_bytes())
    name = f"{against}:./{module.path.relative_to(project.root)}"
    done = LocalHost().run([*GIT, "-C", str(project.root), "cat-file", "blob", "--end-of-options", name])
    if not done.ok:
        reason = (done.error_text.strip().splitlines() or [""])[-1]
        what = f"There is no version '{against}' of {module.path.name}."
        raise InputError(what, reason, "Name a file or a Git revision.")
    return module.with_main(done.stdout)

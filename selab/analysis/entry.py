"""Whether a container runtime can start containers in a candidate's domains, as `selab check` reports it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from selab.advice.advise import Advice, advise
from selab.advice.denied_access import DeniedAccess
from selab.advice.knowledge import PolicyKnowledge
from selab.auditlog.context import Context
from selab.container.label import runtime_file_type
from selab.container.runtime import Runtime, runtimes
from selab.errors import InputError
from selab.policy.base import BasePolicy
from selab.policy.candidate import declared_types
from selab.policy.compile import CompiledModule
from selab.policy.lint import Finding, Severity
from selab.policy.module import PolicyModule
from selab.policy.query.decide import Decision, can_decide
from selab.policy.query.entry import Entry
from selab.project import Project
from selab.scenario.load import load_scenario, scenario_names

ENTRY = "container-entry"
"""The identifier of these findings."""


def unenterable(
    project: Project,
    module: PolicyModule,
    base: BasePolicy,
    candidates: Sequence[CompiledModule],
    policy: Path,
    line_of: Callable[[str], int],
) -> Iterator[Finding]:
    """Find the domains of containers that the container runtime cannot start a process in.

    `policy` is the file with the linked policy, and `line_of` returns the line that declares a type. A domain
    is a container's if a scenario says so. Without a scenario for the candidate it is the candidate's own,
    for any container runtime.
    """
    own = declared_types(candidates)
    programs = [runtime_file_type(base.directory / "contexts"), *sorted(own)]
    if not programs[0] or not can_decide():
        return
    for domain, starting in _domains(project, module).items():
        if domain not in own:
            continue
        starters = list(dict.fromkeys(each for runtime in starting for each in runtime.domains))
        entry = Entry(domain, starters, programs, base.facts.mls)
        for obstacle in entry.obstacles(policy):
            titles = " and ".join(dict.fromkeys(runtime.title for runtime in starting))
            advice = _advice(obstacle, PolicyKnowledge.of(base, candidates, project))
            message = (
                f"{titles} cannot start a container as {domain}: "
                f"{advice.need} is denied ({obstacle.cause.value})."
            )
            remedy = advice.best.in_words if advice.best else advice.stopped
            yield Finding(module.path, line_of(domain), Severity.WARNING, ENTRY, message, remedy)


def _domains(project: Project, module: PolicyModule) -> dict[str, list[Runtime]]:
    """Return the domains of the containers of scenarios with this policy, each with its runtimes."""
    domains: dict[str, list[Runtime]] = {}
    for name in scenario_names(project):
        with contextlib.suppress(InputError):
            scenario = load_scenario(project, name)
            for member in scenario.members.values():
                if member.policy == module.name:
                    domain = member.label.type or module.domain
                    domains.setdefault(domain, []).append(runtimes()[scenario.runtime])
    return domains or {module.domain: list(runtimes().values())}


def _advice(obstacle: Decision, knowledge: PolicyKnowledge) -> Advice:
    access = obstacle.access
    source, target = (
        knowledge.index.resolve(Context.parse(context).type) for context in (access.source, access.target)
    )
    need = DeniedAccess(1, source, target, access.tclass, frozenset({access.permission}))
    (advice,) = advise([need], knowledge, {1: obstacle.cause})
    return advice

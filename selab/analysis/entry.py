"""Whether a container runtime or systemd can start a candidate's domains, as `selab check` reports it."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

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


class _Starter(NamedTuple):
    """What starts processes in a domain: its title, its own domains, and what it starts."""

    title: str
    domains: tuple[str, ...]
    starts: str = "container"


SYSTEMD = _Starter("systemd", ("init_t",), "service")


def unenterable(
    project: Project,
    module: PolicyModule,
    base: BasePolicy,
    candidates: Sequence[CompiledModule],
    policy: Path,
    line_of: Callable[[str], int],
) -> Iterator[Finding]:
    """Find the domains of containers and services that the runtime or systemd cannot start a process in.

    `policy` is the file with the linked policy, and `line_of` returns the line that declares a type. A domain
    is a container's or a service's if a scenario says so. Without a scenario for the candidate it is the
    candidate's own: a service's if systemd enters it by a type transition, or else a container's, for any
    container runtime.
    """
    own = declared_types(candidates)
    file_type = runtime_file_type(base.directory / "contexts")
    if not file_type or not can_decide():
        return
    for domain, starting in _domains(project, module, candidates).items():
        if domain not in own:
            continue
        starters = list(dict.fromkeys(each for starter in starting for each in starter.domains))
        starts = starting[0].starts
        programs = [*([file_type] if starts == "container" else []), *sorted(own)]
        entry = Entry(domain, starters, programs, base.facts.mls)
        for obstacle in entry.obstacles(policy):
            titles = " and ".join(dict.fromkeys(starter.title for starter in starting))
            advice = _advice(obstacle, PolicyKnowledge.of(base, candidates, project))
            message = (
                f"{titles} cannot start a {starts} as {domain}: "
                f"{advice.need} is denied ({obstacle.cause.value})."
            )
            remedy = advice.best.in_words if advice.best else advice.stopped
            yield Finding(module.path, line_of(domain), Severity.WARNING, ENTRY, message, remedy)


def _domains(
    project: Project, module: PolicyModule, candidates: Sequence[CompiledModule]
) -> dict[str, list[_Starter]]:
    """Return the domains that scenarios with this policy run, each with what starts it."""
    domains: dict[str, list[_Starter]] = {}
    for name in scenario_names(project):
        with contextlib.suppress(InputError):
            scenario = load_scenario(project, name)
            for member in scenario.members.values():
                if member.policy == module.name:
                    domain = member.label.type or module.domain
                    starter = SYSTEMD if member.service else _starter(runtimes()[scenario.runtime])
                    domains.setdefault(domain, []).append(starter)
    if not domains and _is_entered_by_systemd(module.domain, candidates):
        return {module.domain: [SYSTEMD]}
    return domains or {module.domain: [*map(_starter, runtimes().values())]}


def _starter(runtime: Runtime) -> _Starter:
    return _Starter(runtime.title, tuple(runtime.domains))


def _is_entered_by_systemd(domain: str, candidates: Sequence[CompiledModule]) -> bool:
    """Return whether a candidate has a type transition by which systemd enters the domain."""
    rule = re.compile(rf"\(typetransition ({'|'.join(SYSTEMD.domains)}) \S+ process {re.escape(domain)}\)")
    return any(rule.search(candidate.cil) for candidate in candidates)


def _advice(obstacle: Decision, knowledge: PolicyKnowledge) -> Advice:
    access = obstacle.access
    source, target = (
        knowledge.index.resolve(Context.parse(context).type) for context in (access.source, access.target)
    )
    need = DeniedAccess(1, source, target, access.tclass, frozenset({access.permission}))
    (advice,) = advise([need], knowledge, {1: obstacle.cause})
    return advice

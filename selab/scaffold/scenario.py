"""`selab new scenario`: a scenario to begin with, empty or after a container that somebody has."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from selab.container.image import find_image
from selab.errors import InputError
from selab.guest import Guest
from selab.host.local import LocalHost
from selab.host.yamlfile import parse
from selab.policy.module import policy_names, require_policy
from selab.project import NAME, Project
from selab.run.request import NO_POLICY
from selab.scaffold.compose import from_compose
from selab.scaffold.container import from_container
from selab.scaffold.image_config import of_instructions, quoted
from selab.scaffold.new_file import create, require_free
from selab.scaffold.render import scenario_text
from selab.scaffold.scenario_builder import ScenarioBuilder
from selab.scenario import Scenario


@dataclass(frozen=True)
class Source:
    """Where a scenario comes from: a container (its name, or a file that describes it), a service of a Compose file, or nothing."""

    container: str | None = None
    compose: Path | None = None
    service: str | None = None


@dataclass(frozen=True)
class NewScenario:
    """The scenario's file, below the project, its policy, and what was not carried over."""

    file: str
    policy: str
    left: tuple[str, ...]


def new_scenario(
    project: Project, name: str, policy: str | None, source: Source, host: Guest | None = None
) -> NewScenario:
    """Write a scenario to begin with. Raises InputError where the name will not do or is taken, or the source cannot be read; then nothing
    is written. `host` is where containers are looked for."""
    if not NAME.fullmatch(name):
        raise InputError(
            f"{quoted(name)} cannot be a scenario's name.", hint="Use letters, digits, '_', '.' and '-'."
        )
    path = project.scenarios / f"{name}.yaml"
    require_free(path, path.with_suffix(".yml"))
    if policy not in (None, NO_POLICY):
        require_policy(project, str(policy))
    draft = _draft(project, name, source, host or LocalHost())
    chosen = policy or (name if name in policy_names(project) else NO_POLICY)
    draft.set("policy", chosen)
    text = scenario_text(name, draft, asked=policy is not None)
    parse(text, path, Scenario)
    return NewScenario(create(project, path, text), chosen, tuple(draft.left))


def _draft(project: Project, name: str, source: Source, host: Guest) -> ScenarioBuilder:
    if source.container is not None:
        draft = from_container(project, source.container, host)
    elif source.compose is not None:
        draft = from_compose(project, source.compose, source.service)
    else:
        draft = _of_image(project, name)
    if "image" not in draft.data:
        draft.set("image", name)
        draft.leave(
            "image", f"none is named that can be pulled; make one in images/{name}, or name one with its tag"
        )
    return draft


def _of_image(project: Project, name: str) -> ScenarioBuilder:
    """With the ports and volumes of the project's own image of that name, if there is one."""
    draft = ScenarioBuilder()
    draft.set("description", f"What {name} does.")
    if (project.images / name).is_dir() and (image := find_image(project, name).source):
        draft.set("image", name)
        config = of_instructions(image.changes)
        for protocol, number in config.ports:
            with draft.trying(f"port {number}/{protocol}"):
                if protocol != "tcp":
                    raise ValueError("a scenario publishes ports of TCP only")
                draft.port(number, None)
        for target in config.volumes:
            draft.volume(project, target, None)
    return draft

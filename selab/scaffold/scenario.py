"""Write a new scenario for `selab new scenario`, empty or for an existing container or service."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from selab.container.image import find_image
from selab.errors import InputError
from selab.guest import Guest
from selab.host.local import LocalHost
from selab.host.yamlfile import parse
from selab.policy.module_files import policy_names, require_policy
from selab.project import NAME, Project, new_policy_name
from selab.run.request import NO_POLICY
from selab.scaffold.compose.application import from_compose
from selab.scaffold.image_config import of_instructions, quoted
from selab.scaffold.inspected.container import from_container
from selab.scaffold.inspected.pod import from_pod
from selab.scaffold.kube.pod import from_kube
from selab.scaffold.new_file import create, require_free
from selab.scaffold.render import scenario_text
from selab.scaffold.scenario_builder import ScenarioBuilder
from selab.scaffold.service import ServiceSource
from selab.scenario.model import Scenario


@dataclass(frozen=True)
class Source:
    """The origin of a scenario; if all fields are None, it starts empty.

    container: name of a container, or a file that describes one.
    pod: name of a pod, or a file that describes one and its containers.
    compose: Compose file.
    services: services to take of the Compose file; by default all without a profile.
    profiles: profiles whose services are taken too.
    kube: Kubernetes manifest.
    workload: workload to take of the manifest, as `KIND/NAME`; by default the only one.
    unit: service of the guest.
    """

    container: str | None = None
    pod: str | None = None
    compose: Path | None = None
    services: tuple[str, ...] = ()
    profiles: tuple[str, ...] = ()
    kube: Path | None = None
    workload: str | None = None
    unit: ServiceSource | None = None


@dataclass(frozen=True)
class NewScenario:
    """The result of `selab new scenario`.

    file: path of the scenario below the project.
    policies: policy of each container, by its name.
    left: what was not carried over, one line each.
    """

    file: str
    policies: Mapping[str, str]
    left: tuple[str, ...]


def new_scenario(
    project: Project, name: str, policy: str | None, source: Source, host: Guest | None = None
) -> NewScenario:
    """Write a new scenario; containers are looked up on `host`.

    Raises InputError, without writing anything, if the name is invalid or taken, or the source is unreadable.
    """
    if not NAME.fullmatch(name):
        raise InputError(
            f"{quoted(name)} cannot be a scenario's name.",
            hint="Use letters, digits, '_', '.' and '-'.",
        )
    path = project.scenarios / f"{name}.yaml"
    require_free(path, path.with_suffix(".yml"))
    if policy not in (None, NO_POLICY):
        require_policy(project, str(policy))
    builder = _builder(project, name, source, host or LocalHost())
    if policy not in (None, NO_POLICY) and not builder.is_single:
        raise InputError(
            f"'{policy}' cannot be the policy of {len(builder.containers)} containers.",
            f"They are {', '.join(builder.containers)}.",
            "Omit --policy, and write the `policy` of each container into the scenario.",
        )
    missing = _set_policies(project, name, builder, policy)
    if source.unit and builder.only.data["policy"] == NO_POLICY:
        raise InputError(
            f"The service {source.unit.unit} needs a policy, which says which domain it has.",
            f"There is no policy '{name}'." if policy is None else "",
            f"Write one: `selab new policy {new_policy_name(name)} --for-service {source.unit.unit}`.",
        )
    text = scenario_text(builder, missing)
    parse(text, path, Scenario)
    policies = {key: container.data["policy"] for key, container in builder.containers.items()}
    return NewScenario(create(project, path, text), policies, builder.remarks)


def _set_policies(
    project: Project, name: str, builder: ScenarioBuilder, policy: str | None
) -> dict[str, str]:
    """Set the policy of each container, and return the names of those that do not exist yet."""
    missing, known = {}, policy_names(project)
    for key, container in builder.containers.items():
        names = [name] if builder.is_single else [f"{name}_{key}", f"{name[: 39 - len(key)]}_{key}"]
        usual = new_policy_name(names[-1])
        chosen = policy or next((each for each in (*names, usual) if each in known), NO_POLICY)
        container.set("policy", chosen)
        if policy is None and chosen == NO_POLICY:
            missing[key] = usual
    return missing


def _builder(project: Project, name: str, source: Source, host: Guest) -> ScenarioBuilder:
    if source.container is not None:
        builder = from_container(project, source.container, host)
    elif source.pod is not None:
        builder = from_pod(project, source.pod, host)
    elif source.compose is not None:
        builder = from_compose(project, source.compose, source.services, source.profiles)
    elif source.kube is not None:
        builder = from_kube(project, source.kube, source.workload)
    elif source.unit is not None:
        return _of_unit(name, source.unit)
    else:
        builder = _of_image(project, name)
    for key, container in builder.containers.items():
        if "image" not in container.data:
            image = name if builder.is_single else key
            container.set("image", image)
            container.leave(
                "image",
                f"it has no name that can be pulled; create images/{image}, or name an image with its tag",
            )
    return builder


def _of_unit(name: str, unit: ServiceSource) -> ScenarioBuilder:
    scenario = ScenarioBuilder()
    scenario.describe(f"What {name} does.")
    packages = {"packages": [*unit.packages]} if unit.packages else {}
    scenario.container(name).set("service", {**packages, "unit": unit.unit})
    return scenario


def _of_image(project: Project, name: str) -> ScenarioBuilder:
    """Build a scenario with the ports and volumes of the project's image of that name, if it exists."""
    scenario = ScenarioBuilder()
    scenario.describe(f"What {name} does.")
    builder = scenario.container(name)
    if (project.images / name).is_dir() and (image := find_image(project, name).source):
        builder.set("image", name)
        config = of_instructions(image.changes)
        for protocol, number in config.ports:
            with builder.trying(f"port {number}/{protocol}"):
                if protocol != "tcp":
                    raise ValueError("a scenario publishes TCP ports only")
                builder.port(number, None)
        for target in config.volumes:
            builder.volume(project, target, None)
    return scenario

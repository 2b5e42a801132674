"""Build a scenario from a pod, which Podman or crictl on this machine or a file describes."""

from __future__ import annotations

from selab.errors import InputError, SelabError
from selab.guest import Guest
from selab.project import Project
from selab.scaffold.image_config import quoted
from selab.scaffold.import_keys import name_unsupported
from selab.scaffold.inspected.container import ID, add_container, image_of, read_description
from selab.scaffold.inspected.output import Binding, Container
from selab.scaffold.inspected.pod_output import MAX_POD_BYTES, Pod, members_of, parse_pod, values
from selab.scaffold.scenario_builder import ScenarioBuilder
from selab.scenario.model import MOST_CONTAINERS


def from_pod(project: Project, name: str, host: Guest) -> ScenarioBuilder:
    """Build the scenario of a pod of `host`, or of the descriptions in the file `name` (`-` is stdin).

    Raises InputError if the description is unreadable, SelabError if neither Podman nor crictl has the pod.
    """
    description = read_description(name, MAX_POD_BYTES)
    if description is not None:
        return scenario_of_pod(project, parse_pod(*description), None)
    if not ID.fullmatch(name):
        raise InputError(
            f"{quoted(name)} is neither a pod's name nor a file.",
            hint="Run `podman pod ps` or `crictl pods` to list the pods.",
        )
    errors = {}
    for runtime, command in (("podman", ["podman", "pod", "inspect"]), ("crictl", ["crictl", "inspectp"])):
        done = host.run([*command, name])
        if done.ok:
            text = done.stdout + _containers(runtime, name, done.stdout, host)
            return scenario_of_pod(project, parse_pod(text, runtime), host if runtime == "podman" else None)
        if done.returncode != 127:
            errors[runtime] = (done.error_text.strip().splitlines() or ["no answer"])[-1]
    if not errors:
        raise SelabError(
            "Neither Podman nor crictl is installed on this machine.",
            hint="Run `podman pod inspect` elsewhere, and pass its output as a file or as `-`.",
        )
    detail = "; ".join(f"{runtime}: {line}" for runtime, line in errors.items())
    raise SelabError(
        f"There is no pod '{name}'.",
        detail,
        "Run `podman pod ps` or `crictl pods`; each user's Podman has its own pods.",
    )


def _containers(runtime: str, name: str, pod: bytes, host: Guest) -> bytes:
    """Return what the runtime says about the containers of a pod."""
    if runtime == "crictl":
        pod = (
            host.run(["crictl", "ps", "--all", "--pod", name, "--output", "json"])
            .expect(f"crictl cannot list the containers of the pod {name}.")
            .stdout
        )
    ids = [each for fields in values(pod, runtime) for each in members_of(fields)]
    if not ids or len(ids) > MOST_CONTAINERS or not all(map(ID.fullmatch, ids)):
        raise InputError(
            f"The pod {name} has {len(ids)} containers.",
            runtime,
            f"A scenario has one to {MOST_CONTAINERS} containers.",
        )
    command = ["crictl", "inspect"] if runtime == "crictl" else ["podman", "inspect", "--type", "container"]
    return host.run([*command, *ids]).expect(f"{runtime} cannot inspect the containers of {name}.").stdout


def scenario_of_pod(project: Project, pod: Pod, host: Guest | None) -> ScenarioBuilder:
    """Build the scenario of a pod. What the images set themselves is not repeated if `host` has them."""
    scenario = ScenarioBuilder()
    scenario.describe(f"The pod {pod.name}." if pod.name else "A pod.")
    uncertain = _publish(pod)
    for container in pod.containers:
        builder = scenario.container((container.name or "").lstrip("/"))
        for kind in sorted(pod.of_host):
            builder.set(kind, "host")
        image = image_of(container, "podman", host) if host else None
        add_container(builder, project, container, image)
        if container in uncertain:
            builder.step = {"up": {}}
        if _has_ended(container) and not all(map(_has_ended, pod.containers)):
            builder.set("init", value=True)
            builder.leave("init", "it has ended with exit status 0, so the others start after its end")
    if not scenario.is_single:
        scenario.data["level"] = "scenario"
        going_on = [name for name in scenario.containers if name not in scenario.ending]
        scenario.share_namespaces(going_on, sorted(pod.shared))
        scenario.share_volumes()
    name_unsupported(scenario.general, pod.part, pod.settings)
    return scenario


def _publish(pod: Pod) -> list[Container]:
    """Let containers publish the ports of the pod, and return those of which no exposed port says so.

    A port of the host's network is not published.
    """
    uncertain = []
    for container in pod.containers if "network" in pod.of_host else ():
        container.config.exposed_ports = None
    for key, host_port in pod.ports if "network" not in pod.of_host else ():
        exposing = [each for each in pod.containers if key in (each.config.exposed_ports or ())]
        owner = (exposing or pod.containers)[0]
        if not exposing and len(pod.containers) > 1:
            uncertain.append(owner)
        bindings = owner.host_config.port_bindings or {}
        owner.host_config.port_bindings = {**bindings, key: [Binding(host_port=host_port)]}
    return uncertain


def _has_ended(container: Container) -> bool:
    """Return whether the container has ended by itself, with exit status 0."""
    state = (container.model_extra or {}).get("State")
    if isinstance(state, dict):
        return state.get("Status") == "exited" and state.get("ExitCode") == 0
    status = container.cri_status
    return status.get("state") == "CONTAINER_EXITED" and not status.get("exit_code")

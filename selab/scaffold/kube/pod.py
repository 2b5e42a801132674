"""Build a scenario from the pod of a workload in a Kubernetes manifest."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from selab.errors import InputError
from selab.project import Project
from selab.scaffold.image_config import quoted
from selab.scaffold.import_keys import name_unsupported_keys
from selab.scaffold.kube.container import add_container
from selab.scaffold.kube.manifest import Workload, load_workload
from selab.scaffold.kube.probes import add_probes
from selab.scaffold.kube.volumes import add_mounts
from selab.scaffold.scenario_builder import ScenarioBuilder
from selab.scaffold.values import fields_of, objects_of, scalar
from selab.scenario.model import MOST_CONTAINERS, Scenario


def from_kube(project: Project, file: Path, chosen: str | None = None) -> ScenarioBuilder:
    """Build the scenario of the workload `chosen` of a manifest, by default of the only one.

    Raises InputError if the file is invalid, or if the workload is unknown or one of several.
    """
    workload = load_workload(file, chosen)
    main, init = (objects_of(workload.pod.get(key)) for key in ("containers", "initContainers"))
    if not main:
        raise InputError(f"{workload.title} has no containers.", f"{file}: {workload.path}.containers")
    if len(main) + len(init) > MOST_CONTAINERS:
        raise InputError(
            f"{workload.title} has {len(main) + len(init)} containers.",
            str(file),
            f"A scenario has at most {MOST_CONTAINERS}.",
        )
    scenario = ScenarioBuilder()
    scenario.describe(f"The {workload.title.replace('/', ' ', 1)} of {file.name}.")
    # As the kubelet does: the init containers first, one after the other.
    for fields in (*init, *main):
        _add(scenario, project, workload, fields, is_single=len(main) + len(init) == 1)
    names = list(scenario.containers)
    sidecars = {
        name for name, fields in zip(names, init, strict=False) if fields.get("restartPolicy") == "Always"
    }
    if workload.ends:
        for name in names[len(init) :]:
            scenario.containers[name].step = {"exit": {"timeout": 60}}
    if not scenario.is_single:
        _set_level(scenario, workload)
        _order(scenario, names, len(init), sidecars)
        _share_namespaces(scenario, workload)
        scenario.share_volumes()
    remarks = scenario.general
    name_unsupported_keys(remarks, "kube_pod", workload.pod)
    name_unsupported_keys(
        remarks, "kube_pod_security", fields_of(workload.pod, "securityContext"), "securityContext."
    )
    name_unsupported_keys(remarks, "kube_workload", workload.spec)
    for kind, others in workload.others.items():
        only = "only variables are taken from it" if kind == "ConfigMap" else "it is not part of the pod"
        remarks.leave(f"{quoted(kind)[1:-1]} {', '.join(quoted(name)[1:-1] for name in others)[:400]}", only)
    return scenario


def _add(
    scenario: ScenarioBuilder,
    project: Project,
    workload: Workload,
    fields: Mapping[str, Any],
    *,
    is_single: bool,
) -> None:
    builder = scenario.container(str(fields.get("name") or "unnamed"))
    for key, kind in (("hostNetwork", "network"), ("hostPID", "pid"), ("hostIPC", "ipc")):
        if workload.pod.get(key) is True:
            builder.set(kind, "host")
    add_container(builder, workload, fields)
    add_mounts(builder, project, workload, fields)
    add_probes(builder, fields, is_single=is_single)


def _set_level(scenario: ScenarioBuilder, workload: Workload) -> None:
    """Give all containers one level, as a pod has it: that of the pod, or one pair of random categories."""
    level = fields_of(workload.pod, "securityContext", "seLinuxOptions").get("level")
    scenario.data["level"] = "scenario"
    if level:
        with scenario.trying("securityContext.seLinuxOptions.level"):
            Scenario.model_validate({"image": "x", "level": scalar(level)})
            scenario.data["level"] = scalar(level)


def _order(scenario: ScenarioBuilder, names: list[str], inits: int, sidecars: set[str]) -> None:
    """Start the containers as the kubelet does: each init container ends before the next one starts.

    An init container after a sidecar cannot be `init`, because the sidecar goes on.
    """
    for number, name in enumerate(names[:inits]):
        builder = scenario.containers[name]
        if name not in sidecars and not sidecars & set(names[:number]):
            builder.set("init", value=True)
            continue
        state = "exited" if name not in sidecars else "healthy" if "health" in builder.data else "started"
        for other in names[number + 1 :]:
            with scenario.containers[other].trying(f"order after {name}"):
                scenario.wait(other, name, state)


def _share_namespaces(scenario: ScenarioBuilder, workload: Workload) -> None:
    """Let the containers share the network, the IPC namespace and, if the pod says so, the PID namespace."""
    going_on = [name for name, builder in scenario.containers.items() if not builder.data.get("init")]
    kinds = ["network", "ipc", *(["pid"] if workload.pod.get("shareProcessNamespace") is True else [])]
    scenario.share_namespaces(going_on, kinds)

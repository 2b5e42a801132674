"""Choose a workload of a Kubernetes manifest (its objects are those of kubernetes/api, commit 10b39a39)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selab.errors import InputError
from selab.host.yamlfile import load_documents
from selab.project import nearest
from selab.scaffold.values import fields_of

_TEMPLATES = {
    "Pod": (),
    "Deployment": ("spec", "template"),
    "StatefulSet": ("spec", "template"),
    "DaemonSet": ("spec", "template"),
    "ReplicaSet": ("spec", "template"),
    "ReplicationController": ("spec", "template"),
    "Job": ("spec", "template"),
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
}
"""The keys of the pod in each kind of workload."""
_ENDING = frozenset({"Job", "CronJob"})
_DEEPEST = 4
"""Lists in lists; `kubectl` writes one."""


@dataclass(frozen=True)
class Workload:
    """A workload of a manifest.

    title: its kind and name, as in `Deployment/web`.
    pod: the specification of its pod.
    path: keys of `pod` in the object, as in `spec.template.spec`.
    spec: the specification around the pod; empty for a pod.
    ends: whether its containers end by themselves.
    config_maps: the data of the manifest's ConfigMaps, by their names.
    others: names of the other objects of the manifest, by their kinds.
    """

    title: str
    pod: Mapping[str, Any]
    path: str
    spec: Mapping[str, Any]
    ends: bool
    config_maps: Mapping[str, Mapping[str, Any]]
    others: Mapping[str, tuple[str, ...]]


def load_workload(file: Path, chosen: str | None) -> Workload:
    """Load the workload `chosen` (`KIND/NAME` or `NAME`) of a manifest, by default the only one.

    Raises InputError if the file is invalid, or if the workload is unknown or one of several.
    """
    try:
        documents = load_documents(file)
    except InputError as error:
        hint = error.hint or "Put the workload and its ConfigMaps into a file of their own."
        raise InputError(error.what, error.detail, hint) from error
    objects = [each for document in documents for each in _listed(document)]
    titles = [_title(each) for each in objects]
    pairs = zip(titles, objects, strict=True)
    workloads = {title: each for title, each in pairs if str(each.get("kind")) in _TEMPLATES}
    if not workloads:
        raise InputError(
            f"{file.name} has no workload.",
            f"It has {', '.join(titles)[:200] or 'no objects'}.",
            f"Use a manifest with one of {', '.join(_TEMPLATES)}.",
        )
    fitting = [title for title in workloads if chosen is None or _fits(title, chosen)]
    if not fitting:
        raise InputError(
            f"There is no workload '{chosen}'.", str(file), nearest(str(chosen), list(workloads))
        )
    if len(fitting) > 1:
        raise InputError(
            "The manifest has several workloads.",
            f"{file} has {', '.join(fitting)[:200]}.",
            "Choose one with --object KIND/NAME.",
        )
    return _workload(fitting[0], workloads[fitting[0]], objects)


def _workload(title: str, chosen: Mapping[str, Any], objects: list[Mapping[str, Any]]) -> Workload:
    kind = str(chosen["kind"])
    keys = (*_TEMPLATES[kind], "spec")
    pod = fields_of(chosen, *keys)
    ends = kind in _ENDING or (kind == "Pod" and pod.get("restartPolicy") in ("Never", "OnFailure"))
    config_maps = {
        str(fields_of(each, "metadata").get("name")): {**fields_of(each, "data")}
        for each in objects
        if each.get("kind") == "ConfigMap"
    }
    others: dict[str, tuple[str, ...]] = {}
    for other in dict.fromkeys(map(_title, objects)):
        other_kind, _, name = other.partition("/")
        if other != title:
            others[other_kind] = (*others.get(other_kind, ()), name)
    spec = fields_of(chosen, "spec") if kind != "Pod" else {}
    return Workload(title, pod, ".".join(keys), spec, ends, config_maps, others)


def _listed(document: Any, depth: int = 0) -> Iterator[Mapping[str, Any]]:
    """Yield the object of a document, or those of a list such as `kind: List`."""
    if not isinstance(document, dict):
        return
    if str(document.get("kind", "")).endswith("List") and isinstance(document.get("items"), list):
        for item in document["items"] if depth < _DEEPEST else ():
            yield from _listed(item, depth + 1)
    else:
        yield document


def _title(fields: Mapping[str, Any]) -> str:
    metadata = fields_of(fields, "metadata")
    name = metadata.get("name") or metadata.get("generateName") or "unnamed"
    return f"{str(fields.get('kind', 'unknown'))[:63]}/{str(name)[:253]}"


def _fits(title: str, chosen: str) -> bool:
    kind, _, name = title.partition("/")
    requested_kind, _, requested_name = chosen.rpartition("/")
    return name == requested_name and requested_kind.lower() in ("", kind.lower())

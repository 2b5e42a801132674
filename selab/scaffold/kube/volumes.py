"""Read the volumes of a Kubernetes pod, which its containers share."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from selab.project import Project
from selab.scaffold.container_builder import ContainerBuilder, is_file
from selab.scaffold.image_config import quoted
from selab.scaffold.import_keys import name_unsupported_keys
from selab.scaffold.kube.manifest import Workload
from selab.scaffold.values import fields_of, objects_of, scalar

_OF_FILES = frozenset({"configMap", "secret", "projected", "downwardAPI"})
_DIRECTORIES = ("", "Directory", "DirectoryOrCreate")


def add_mounts(
    builder: ContainerBuilder, project: Project, workload: Workload, fields: Mapping[str, Any]
) -> None:
    """Take over the mounts of a container."""
    volumes = {str(each.get("name")): each for each in objects_of(workload.pod.get("volumes"))}
    for claim in objects_of(workload.spec.get("volumeClaimTemplates")):
        name = str(fields_of(claim, "metadata").get("name"))
        volumes.setdefault(name, {"name": name, "persistentVolumeClaim": {}})
    for mount in objects_of(fields.get("volumeMounts")):
        name = str(mount.get("name"))
        name_unsupported_keys(builder, "kube_mount", mount, "volumeMounts.")
        with builder.trying(f"volumeMounts {quoted(name)}"):
            if name not in volumes:
                raise ValueError("the pod has no such volume")
            _add_mount(builder, project, mount, volumes[name])


def _add_mount(
    builder: ContainerBuilder, project: Project, mount: Mapping[str, Any], volume: Mapping[str, Any]
) -> None:
    name, target = str(mount.get("name")), scalar(mount.get("mountPath"))
    kind = next((key for key in volume if key != "name"), "emptyDir")
    part = mount.get("subPath") or mount.get("subPathExpr")
    if part and (kind in _OF_FILES or is_file(Path(str(part)), target)):
        raise ValueError(f"the file {quoted(target)} is missing in the scenario")
    read_only = mount.get("readOnly") is True
    source = fields_of(volume, kind)
    # Each part of a volume is a directory of its own.
    shared = "" if part else name
    if kind == "hostPath":
        _add_host_path(builder, project, target, source, shared, read_only=read_only and not part)
        return
    builder.volume(project, target, None, read_only=read_only, name=shared)
    if part:
        builder.leave(f"volumeMounts {quoted(name)}", f"{quoted(target)} is an empty volume of its own")
    elif kind == "emptyDir":
        name_unsupported_keys(builder, "kube_empty_dir", source, f"volumes.{name[:63]}.emptyDir.")
    else:
        files = _files(kind, source)
        builder.leave(
            f"volumes.{quoted(name)[1:-1]}.{quoted(kind)[1:-1]}",
            f"{quoted(target)} is empty in the scenario{files}",
        )


def _files(kind: str, source: Mapping[str, Any]) -> str:
    if kind == "secret":
        return ": selab copies no secrets"
    if kind == "configMap":
        return f": put the files of ConfigMap {quoted(source.get('name'))} into a directory of the project"
    return ""


def _add_host_path(
    builder: ContainerBuilder,
    project: Project,
    target: str,
    source: Mapping[str, Any],
    name: str,
    *,
    read_only: bool,
) -> None:
    path = scalar(source.get("path"))
    if source.get("type") not in (None, *_DIRECTORIES) or is_file(Path("/nonexistent" + path), target):
        raise ValueError(f"{quoted(path)} is a file of the node, but volumes are directories")
    if read_only:
        builder.guest_directory(target, path)
        builder.leave(f"hostPath {quoted(path)}", "the scenario mounts that directory of the guest")
        return
    builder.volume(project, target, None, name=name)
    builder.leave(
        f"hostPath {quoted(path)}",
        f"{quoted(target)} is an empty volume instead; `guest_path` mounts a directory of the guest",
    )

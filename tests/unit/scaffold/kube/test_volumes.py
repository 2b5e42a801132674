"""The volumes of a pod are those of its containers; files and secrets are named and not copied."""

from __future__ import annotations

from typing import Any

import pytest

from selab.project import Project
from selab.scaffold.container_builder import ContainerBuilder
from selab.scaffold.kube.manifest import Workload
from selab.scaffold.kube.volumes import add_mounts


def mounted(
    project: Project, volume: dict[str, Any], mount: dict[str, Any] | None = None, **spec: Any
) -> ContainerBuilder:
    builder = ContainerBuilder()
    pod = {"volumes": [{"name": "data", **volume}]}
    fields = {"volumeMounts": [{"name": "data", "mountPath": "/x", **(mount or {})}]}
    add_mounts(builder, project, Workload("Pod/web", pod, "spec", spec, False, {}, {}), fields)
    return builder


def test_an_empty_directory_has_the_name_that_other_containers_mount(project: Project) -> None:
    builder = mounted(project, {"emptyDir": {"sizeLimit": "1Gi"}}, {"readOnly": True})
    assert builder.data == {"volumes": [{"target": "/x", "read_only": True}]}
    assert (builder.origins, builder.left) == (["data"], [])


@pytest.mark.parametrize(
    ("volume", "beginning"),
    [
        ({"emptyDir": {"medium": "Memory"}}, "volumes.data.emptyDir.medium: "),
        ({"persistentVolumeClaim": {"claimName": "a"}}, "volumes.data.persistentVolumeClaim: "),
        ({"configMap": {"name": "conf"}}, "volumes.data.configMap: "),
        ({"secret": {"secretName": "keys"}}, "volumes.data.secret: "),
        ({"hostPath": {"path": "/srv"}}, 'hostPath "/srv": '),
    ],
)
def test_a_volume_whose_content_is_elsewhere_is_empty_and_named(
    volume: dict[str, Any], beginning: str, project: Project
) -> None:
    builder = mounted(project, volume)
    assert (builder.data, builder.origins) == ({"volumes": [{"target": "/x"}]}, ["data"])
    (line,) = builder.left
    assert line.startswith(beginning)


def test_a_directory_of_the_node_that_is_only_read_is_one_of_the_guest(project: Project) -> None:
    builder = mounted(project, {"hostPath": {"path": "/var/log"}}, {"readOnly": True})
    assert builder.data["volumes"] == [{"target": "/x", "guest_path": "/var/log", "read_only": True}]
    assert (builder.origins, len(builder.left)) == ([""], 1)


@pytest.mark.parametrize(
    ("volume", "mount"),
    [
        ({"hostPath": {"path": "/run/docker.sock"}}, {}),
        ({"hostPath": {"path": "/dev/x", "type": "CharDevice"}}, {}),
        ({"hostPath": {"path": 1}}, {"mountPath": [1]}),
        ({"configMap": {"name": "conf"}}, {"subPath": "a"}),
        ({"emptyDir": {}}, {"subPath": "a.conf"}),
        ({"emptyDir": {}}, {"name": "other"}),
        ({"emptyDir": {}}, {"mountPath": "x"}),
    ],
)
def test_what_is_no_volume_is_named(volume: dict[str, Any], mount: dict[str, Any], project: Project) -> None:
    builder = mounted(project, volume, mount)
    assert (builder.data, len(builder.left)) == ({}, 1)


def test_a_part_of_a_volume_is_a_directory_of_its_own(project: Project) -> None:
    builder = mounted(project, {"emptyDir": {}}, {"subPath": "a"})
    assert (builder.origins, len(builder.left)) == ([""], 1)


def test_a_volume_of_a_stateful_set_is_known(project: Project) -> None:
    claims = [{"metadata": {"name": "claim"}}]
    builder = mounted(project, {}, {"name": "claim"}, volumeClaimTemplates=claims)
    assert builder.origins == ["claim"]

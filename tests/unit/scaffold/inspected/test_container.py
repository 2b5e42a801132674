"""What `docker inspect` and `podman inspect` say becomes a scenario."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Any

import pytest

from selab.errors import InputError, SelabError
from selab.project import Project
from selab.scaffold.container_builder import ContainerBuilder
from selab.scaffold.inspected import container as containers
from selab.scaffold.inspected import output
from selab.scaffold.inspected.container import from_container
from tests.unit.fakes import FakeGuest

DOCKER: dict[str, Any] = {
    "Id": "0123",
    "Name": "/web",
    "Image": "sha256:abcd",
    "Config": {
        "Image": "nginx:1.27",
        "Cmd": ["nginx", "-g", "daemon off;"],
        "Entrypoint": ["/docker-entrypoint.sh"],
        "Env": ["PATH=/bin", "LEVEL=debug", "DB_PASSWORD=hunter2"],
        "User": "",
    },
    "HostConfig": {
        "PortBindings": {
            "80/tcp": [{"HostIp": "", "HostPort": "8080"}],
            "53/udp": [{"HostIp": "", "HostPort": "53"}],
            "9/tcp": None,
        },
        "CapAdd": ["CAP_NET_ADMIN"],
        "CapDrop": None,
        "ReadonlyRootfs": True,
        "Privileged": False,
        "NetworkMode": "bridge",
        "SecurityOpt": ["label=type:web.process"],
        "Devices": [],
        "Tmpfs": {"/run": "size=64m"},
    },
    "Mounts": [
        {"Type": "bind", "Source": "/srv/web", "Destination": "/usr/share/nginx", "Mode": "Z", "RW": False},
        {
            "Type": "volume",
            "Name": "x",
            "Source": "/var/lib/docker/volumes/x/_data",
            "Destination": "/var/cache",
            "Mode": "",
            "RW": True,
        },
    ],
}
PODMAN: dict[str, Any] = {
    "Name": "web",
    "Image": "abcd",
    "ImageName": "docker.io/library/nginx:1.27",
    "Config": {
        "Image": "docker.io/library/nginx:1.27",
        "Entrypoint": "/x.sh",
        "Env": ["TERM=xterm", "container=podman", "A=b"],
        "User": "101",
    },
    "HostConfig": {
        "PortBindings": {"80/tcp": [{"HostIp": "", "HostPort": ""}]},
        "CapAdd": [],
        "CapDrop": ["CAP_CHOWN"],
    },
    "Mounts": [],
}


def described(project: Project, data: Any) -> ContainerBuilder:
    file = project.root / "web.json"
    file.write_text(data if isinstance(data, str) else json.dumps(data))
    return from_container(project, str(file), FakeGuest()).only


def test_docker(project: Project) -> None:
    draft = described(project, [DOCKER])
    assert draft.data == {
        "image": "nginx:1.27",
        "label": {"type": "web.process"},
        "command": ["nginx", "-g", "daemon off;"],
        "environment": {"PATH": "/bin", "LEVEL": "debug"},
        "ports": [{"guest": 8080, "container": 80}],
        "volumes": [
            {"target": "/usr/share/nginx", "read_only": True, "label": "private"},
            {"target": "/var/cache"},
            {"target": "/run"},
        ],
        "cap_add": ["CAP_NET_ADMIN"],
        "read_only": True,
    }
    named = " ".join(draft.left)
    assert all(
        word in named for word in ("entrypoint", "DB_PASSWORD", "53/udp", "/srv/web", "/var/cache", "tmpfs")
    )
    assert "hunter2" not in named


def test_podman_alone_and_not_as_a_list(project: Project) -> None:
    draft = described(project, PODMAN)
    assert draft.data == {
        "image": "docker.io/library/nginx:1.27",
        "environment": {"A": "b"},
        "user": "101",
        "ports": [{"guest": 8080, "container": 80}],
        "cap_drop": ["CAP_CHOWN"],
    }


def test_standard_input(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(containers.sys, "stdin", io.TextIOWrapper(io.BytesIO(json.dumps([PODMAN]).encode())))
    assert from_container(project, "-", FakeGuest()).only.data["user"] == "101"


def test_a_pipe(project: Project) -> None:
    reading, writing = os.pipe()
    os.write(writing, json.dumps([PODMAN]).encode())
    os.close(writing)
    try:
        assert from_container(project, f"/dev/fd/{reading}", FakeGuest()).only.data["user"] == "101"
    finally:
        os.close(reading)


def test_what_the_image_has_by_itself_is_not_said_again(project: Project) -> None:
    host = FakeGuest()
    host.answer("docker", "inspect", "--type", "container", "web", out=json.dumps([DOCKER]))
    image = {
        "Config": {
            "Cmd": ["nginx", "-g", "daemon off;"],
            "Entrypoint": ["/docker-entrypoint.sh"],
            "Env": ["PATH=/bin"],
            "User": "",
        }
    }
    host.answer("docker", "image", "inspect", "sha256:abcd", out=json.dumps([image]))
    draft = from_container(project, "web", host).only
    assert ("command" in draft.data, draft.data["environment"]) == (False, {"LEVEL": "debug"})
    assert "entrypoint" not in " ".join(draft.left)


def test_podman_is_asked_where_docker_does_not_know_it(project: Project) -> None:
    host = FakeGuest()
    host.answer("docker", "inspect", code=1, err="Error: No such container: web")
    host.answer("podman", "image", code=125)
    host.answer("podman", "inspect", out=json.dumps([PODMAN]))
    assert from_container(project, "web", host).only.data["user"] == "101"


def test_a_container_that_no_runtime_knows_is_named_with_their_answers(project: Project) -> None:
    host = FakeGuest()
    host.answer("docker", "inspect", code=1, err="Error: No such container: web\n")
    host.answer("inspect", code=127)
    with pytest.raises(SelabError, match="docker: Error: No such container: web"):
        from_container(project, "web", host)


def test_without_a_runtime_a_file_will_do(project: Project) -> None:
    host = FakeGuest()
    host.answer("inspect", code=127)
    with pytest.raises(SelabError, match="as a file"):
        from_container(project, "web", host)


@pytest.mark.parametrize("name", ["--privileged", "a b", "a;b", "", "../x"])
def test_what_is_no_name_is_not_asked_about(name: str, project: Project) -> None:
    with pytest.raises(InputError):
        from_container(project, name, FakeGuest())


@pytest.mark.parametrize(
    "data", ["", "[]", "1", "{", [DOCKER, PODMAN], {"Config": 1}, {"Mounts": [{}]}, "[" * 5000]
)
def test_a_description_that_is_none_is_refused(data: Any, project: Project) -> None:
    with pytest.raises(InputError):
        described(project, data)


def test_an_endless_description_is_not_read(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "MAX_BYTES", 100)
    with pytest.raises(InputError, match="too large"):
        described(project, [DOCKER])


def test_a_directory_of_the_project_stays_a_volume(project: Project) -> None:
    (project.root / "html").mkdir()
    mount = {"Type": "bind", "Source": str(project.root / "html"), "Destination": "/x"}
    assert described(project, {"Mounts": [mount]}).data["volumes"] == [{"target": "/x", "source": "html"}]


@pytest.mark.parametrize("binding", ["x/tcp", "99999/tcp", "-1/tcp", "²/tcp"])
def test_a_port_that_is_none_is_named(binding: str, project: Project) -> None:
    draft = described(project, {"HostConfig": {"PortBindings": {binding: [{"HostPort": "²"}]}}})
    assert (draft.data.get("ports"), len(draft.left)) == (None, 1)


def test_an_image_without_a_name_is_named(project: Project, tmp_path: Path) -> None:
    draft = described(project, {"Config": {"Image": "sha256:" + "a" * 64}})
    assert ("image" in draft.data, len(draft.left)) == (False, 1)


MARIADB: dict[str, Any] = {
    "Id": "aa",
    "Name": "/mariadb",
    "Image": "sha256:" + "0" * 64,
    "ProcessLabel": "system_u:system_r:legulas_mariadb.process:s0:c1,c2",
    "Mounts": [
        {"Type": "volume", "Name": "database", "Source": "/v", "Destination": "/var/lib/mysql", "Mode": "z"}
    ],
    "Config": {
        "Image": "mariadb:11",
        "Cmd": ["mariadbd"],
        "Env": ["PATH=/usr/bin"],
        "WorkingDir": "/opt/x",
    },
    "HostConfig": {
        "NetworkMode": "default",
        "PortBindings": {},
        "PublishAllPorts": True,
        "SecurityOpt": ["label=type:legulas_mariadb.process", "label=level:s0:c100,c200"],
        "DeviceRequests": [{"Driver": "", "Count": -1, "Capabilities": [["gpu"]]}],
        "CgroupnsMode": "host",
        "UTSMode": "host",
        "Runtime": "runc",
        "ShmSize": 67108864,
        "Init": True,
        "VolumesFrom": ["other"],
    },
    "NetworkSettings": {"Ports": {"3306/tcp": [{"HostIp": "0.0.0.0", "HostPort": "32768"}]}},
}


def test_a_container_with_a_label_and_published_ports(project: Project) -> None:
    draft = described(project, [MARIADB])
    assert (draft.data["label"], draft.data["ports"]) == (
        {"type": "legulas_mariadb.process", "level": "s0:c100,c200"},
        [{"guest": 32768, "container": 3306}],
    )


@pytest.mark.parametrize(
    "name", ["GPU", "cgroup namespace", "UTS namespace", "init process", "working directory", "volumes from"]
)
def test_what_a_scenario_cannot_represent_is_named(name: str, project: Project) -> None:
    assert name in " ".join(described(project, [MARIADB]).left)


def test_podman_1(project: Project) -> None:
    description = PODMAN | {
        "Mounts": [
            {"Type": "bind", "Source": "/home", "Destination": "/home", "Options": ["rbind"], "RW": False},
        ],
        "NetworkSettings": {
            "Ports": [{"hostPort": 21, "containerPort": 21, "protocol": "tcp", "hostIP": ""}],
        },
        "HostConfig": {"PortBindings": None, "CapAdd": [], "Tmpfs": [], "Ulimits": [], "SecurityOpt": []},
    }
    draft = described(project, description)
    assert (draft.data["ports"], draft.data["volumes"]) == (
        [{"guest": 21, "container": 21}],
        [{"target": "/home", "read_only": True}],
    )


def test_crictl(project: Project) -> None:
    mounts = [
        {"containerPath": "/home", "hostPath": "/var/home", "readonly": True, "selinuxRelabel": False},
        {"containerPath": "/var/spool", "hostPath": "/var/spool", "readonly": False},
    ]
    image = {"image": "registry.access.redhat.com/ubi8/ubi:latest"}
    status = {"metadata": {"name": "spoolerrorlogger"}, "image": image, "mounts": mounts}
    assert described(project, {"status": status}).data == {
        "image": "registry.access.redhat.com/ubi8/ubi:latest",
        "volumes": [{"target": "/home", "read_only": True}, {"target": "/var/spool"}],
    }


def test_nerdctl_names_the_image_in_image(project: Project) -> None:
    description = {"Image": "docker.io/library/nginx:1", "Path": "nginx", "Config": {}, "HostConfig": {}}
    draft = described(project, description)
    assert (draft.data["image"], draft.left) == (
        "docker.io/library/nginx:1",
        ["command: the description does not separate it from the entrypoint"],
    )


def test_a_port_is_taken_once_for_both_address_families(project: Project) -> None:
    bindings = [{"HostIp": "0.0.0.0", "HostPort": "8080"}, {"HostIp": "::", "HostPort": "8080"}]
    draft = described(project, {"NetworkSettings": {"Ports": {"80/tcp": bindings}}})
    assert (draft.data["ports"], draft.left) == ([{"guest": 8080, "container": 80}], [])


def test_all_exposed_ports_of_a_stopped_container_are_published(project: Project) -> None:
    description = {"Config": {"ExposedPorts": {"80/tcp": {}}}, "HostConfig": {"PublishAllPorts": True}}
    assert described(project, description).data["ports"] == [{"guest": 8080, "container": 80}]


@pytest.mark.parametrize(
    "ports", [{}, {"NetworkSettings": {"Ports": {"5432/tcp": None}}}, {"HostConfig": {"PortBindings": {}}}]
)
def test_the_tcp_ports_that_a_container_exposes_are_published_if_it_publishes_none(
    project: Project, ports: dict[str, Any]
) -> None:
    exposed = {"5432/tcp": {}, "53/udp": {}, "9/sctp": {}}
    draft = described(project, {"Config": {"ExposedPorts": exposed}} | ports)
    assert (draft.data["ports"], draft.left) == ([{"guest": 5432, "container": 5432}], [])


def test_a_port_that_is_only_exposed_is_not_published_beside_one_that_is(project: Project) -> None:
    host = {"PortBindings": {"80/tcp": [{"HostPort": "8080"}]}}
    draft = described(project, {"Config": {"ExposedPorts": {"443/tcp": {}}}, "HostConfig": host})
    assert draft.data["ports"] == [{"guest": 8080, "container": 80}]


def test_the_working_directory_of_the_image_is_not_named(project: Project) -> None:
    host = FakeGuest()
    description = {"Image": "abcd", "Config": {"Image": "x:1", "WorkingDir": "/opt"}}
    host.answer("docker", "inspect", "--type", "container", "web", out=json.dumps([description]))
    host.answer("docker", "image", "inspect", "abcd", out=json.dumps([{"Config": {"WorkingDir": "/opt"}}]))
    assert from_container(project, "web", host).left == []


def test_a_name_that_is_too_long_for_a_file_is_refused(project: Project) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        from_container(project, "a" * 5000, FakeGuest())

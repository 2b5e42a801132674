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
from selab.scaffold import container as containers
from selab.scaffold.container import from_container
from selab.scaffold.scenario_builder import ScenarioBuilder
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


def described(project: Project, data: Any) -> ScenarioBuilder:
    file = project.root / "web.json"
    file.write_text(data if isinstance(data, str) else json.dumps(data))
    return from_container(project, str(file), FakeGuest())


def test_docker(project: Project) -> None:
    draft = described(project, [DOCKER])
    assert draft.data == {
        "description": "The container web.",
        "image": "nginx:1.27",
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
        word in named
        for word in ("entrypoint", "DB_PASSWORD", "53/udp", "/srv/web", "/var/cache", "tmpfs", "web.process")
    )
    assert "hunter2" not in named


def test_podman_alone_and_not_as_a_list(project: Project) -> None:
    draft = described(project, PODMAN)
    assert draft.data == {
        "description": "The container web.",
        "image": "docker.io/library/nginx:1.27",
        "environment": {"A": "b"},
        "user": "101",
        "ports": [{"guest": 8080, "container": 80}],
        "cap_drop": ["CAP_CHOWN"],
    }


def test_standard_input(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(containers.sys, "stdin", io.TextIOWrapper(io.BytesIO(json.dumps([PODMAN]).encode())))
    assert from_container(project, "-", FakeGuest()).data["user"] == "101"


def test_a_pipe(project: Project) -> None:
    reading, writing = os.pipe()
    os.write(writing, json.dumps([PODMAN]).encode())
    os.close(writing)
    try:
        assert from_container(project, f"/dev/fd/{reading}", FakeGuest()).data["user"] == "101"
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
    draft = from_container(project, "web", host)
    assert ("command" in draft.data, draft.data["environment"]) == (False, {"LEVEL": "debug"})
    assert "entrypoint" not in " ".join(draft.left)


def test_podman_is_asked_where_docker_does_not_know_it(project: Project) -> None:
    host = FakeGuest()
    host.answer("docker", "inspect", code=1, err="Error: No such container: web")
    host.answer("podman", "image", code=125)
    host.answer("podman", "inspect", out=json.dumps([PODMAN]))
    assert from_container(project, "web", host).data["user"] == "101"


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
    monkeypatch.setattr(containers, "MAX_BYTES", 100)
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

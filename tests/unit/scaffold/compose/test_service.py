"""A service of a Compose file becomes a scenario; what does not is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from selab.errors import InputError
from selab.project import Project
from selab.scaffold.compose.application import from_compose
from selab.scaffold.container_builder import ContainerBuilder

HTML = {"target": "/data", "source": "html", "label": "shared"}


def drafted(project: Project, text: str, *services: str) -> ContainerBuilder:
    file = project.root / "compose.yaml"
    file.write_text(text)
    return from_compose(project, file, services).only


def service(project: Project, text: str) -> ContainerBuilder:
    return drafted(project, "services:\n  web:\n" + "".join(f"    {line}\n" for line in text.splitlines()))


@pytest.mark.parametrize(
    ("text", "ports"),
    [
        ('ports: ["80"]', [(8080, 80)]),
        ("ports: [8080:80]", [(8080, 80)]),
        ('ports: ["127.0.0.1:8001:80"]', [(8001, 80)]),
        ('ports: ["[::1]:8001:80/tcp"]', [(8001, 80)]),
        ('ports: ["9090-9091:8080-8081"]', [(9090, 8080), (9091, 8081)]),
        ('ports: ["3000-3001"]', [(3000, 3000), (3001, 3001)]),
        ("ports: [{target: 80, published: 8080}]", [(8080, 80)]),
        ('ports: [{target: 80, published: "8080", protocol: tcp, mode: host}]', [(8080, 80)]),
        ("ports: [{target: 80}]", [(8080, 80)]),
        ('ports: ["8000-9000:80"]', [(8000, 80)]),
        ("ports: [{target: 80, published: 8000-9000}]", [(8000, 80)]),
        ('ports: ["127.0.0.1::80"]', [(8080, 80)]),
    ],
)
def test_ports(text: str, ports: list[tuple[int, int]], project: Project) -> None:
    draft = service(project, text)
    assert ([(port["guest"], port["container"]) for port in draft.data["ports"]], draft.left) == (ports, [])


@pytest.mark.parametrize(
    "port",
    [
        '"53:53/udp"',
        '"x:y"',
        '"80:0"',
        '"1-65535:1-65535"',
        "{published: 80}",
        "[80]",
        "{target: 53, protocol: udp}",
    ],
)
def test_a_port_that_cannot_be_is_named(port: str, project: Project) -> None:
    draft = service(project, f"ports: [{port}]")
    assert (draft.data.get("ports"), len(draft.left)) == (None, 1)


@pytest.mark.parametrize(
    ("text", "volume"),
    [
        ("volumes: [/data]", {"target": "/data"}),
        ("volumes: ['./html:/data:ro,z']", HTML | {"read_only": True}),
        ("volumes: [cache:/data]", {"target": "/data"}),
        ("volumes: [/etc:/data]", {"target": "/data"}),
        ("volumes: [~/x:/data]", {"target": "/data"}),
        ("volumes: [~no-such-user/x:/data]", {"target": "/data"}),
        (
            "volumes: [{type: volume, source: cache, target: /data, read_only: true}]",
            {"target": "/data", "read_only": True},
        ),
        ("volumes: [{type: bind, source: html, target: /data, bind: {selinux: z}}]", HTML),
        ("volumes: [{type: tmpfs, target: /data}]", {"target": "/data"}),
        ("tmpfs: /data", {"target": "/data"}),
        ("tmpfs: ['/data:size=64m']", {"target": "/data"}),
    ],
)
def test_volumes(
    text: str, volume: dict[str, Any], project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(project.root / "home"))  # a file ~/x of the user would be no directory
    (project.root / "html").mkdir()
    assert service(project, text).data["volumes"] == [volume]


@pytest.mark.parametrize(
    "text",
    [
        "./selab.yaml:/etc/x",
        "/var/run/docker.sock:/d",
        "{type: npipe, source: x, target: /x}",
        "a:b:c:d",
        "C:\\x:/x",
        "[]",
    ],
)
def test_a_volume_that_cannot_be_is_named(text: str, project: Project) -> None:
    draft = service(project, f"volumes: [{text}]")
    assert (draft.data.get("volumes"), len(draft.left)) == (None, 1)


@pytest.mark.parametrize(
    "text", ["environment: {A: x, B: 3, C: true, D: 1.5}", "environment: [A=x, B=3, C=true, D=1.5]"]
)
def test_environment(text: str, project: Project) -> None:
    assert service(project, text).data["environment"] == {"A": "x", "B": "3", "C": "true", "D": "1.5"}


@pytest.mark.parametrize("entry", ["A", "A=${A}", "A=$A", "A=${A:?no}", "DB_PASSWORD=x", "=x", "a b=x"])
def test_a_variable_that_cannot_be_is_named(entry: str, project: Project) -> None:
    draft = service(project, f"environment: ['{entry}']")
    assert (draft.data.get("environment"), len(draft.left)) == (None, 1)


@pytest.mark.parametrize("entry", ["A=${A:?no}", "DB_PASSWORD=x"])
def test_the_value_of_a_variable_that_cannot_be_is_not_shown(entry: str, project: Project) -> None:
    assert entry not in service(project, f"environment: ['{entry}']").left[0]


@pytest.mark.parametrize(
    ("value", "text"), [("${A:-x}", "x"), ("${A-x}y", "xy"), ("a$$b", "a$b"), ("${A:-}", ""), ("5$", "5$")]
)
def test_the_default_of_a_variable_is_taken(value: str, text: str, project: Project) -> None:
    assert service(project, f"environment: {{V: '{value}'}}").data["environment"] == {"V": text}


@pytest.mark.parametrize("command", ["nginx -g 'daemon off;'", "[nginx, -g, daemon off;]"])
def test_a_command_is_split_as_a_shell_does(command: str, project: Project) -> None:
    assert service(project, f"command: {command}").data["command"] == ["nginx", "-g", "daemon off;"]


def test_the_rest(project: Project) -> None:
    draft = service(
        project,
        "image: nginx\ncap_add: [NET_ADMIN]\ncap_drop: [ALL]\nuser: 101\nread_only: true\nrestart: always",
    )
    assert draft.data == {
        "image": "nginx:latest",
        "cap_add": ["NET_ADMIN"],
        "cap_drop": ["ALL"],
        "user": "101",
        "read_only": True,
    }
    assert draft.left == []


@pytest.mark.parametrize(
    "text",
    [
        "privileged: true",
        "build: .",
        "entrypoint: [x]",
        "env_file: .env",
        "healthcheck: {}",
        'command: "it\'s"',
        "user: [[a]]",
        "cap_add: -x",
    ],
)
def test_what_a_scenario_has_nothing_for_is_named(text: str, project: Project) -> None:
    draft = service(project, text)
    assert (draft.data, len(draft.left)) == ({}, 1)


def test_the_named_one_is_taken(project: Project) -> None:
    assert drafted(project, "services: {web: {}, db: {image: redis:7}}", "db").data["image"] == "redis:7"


def test_an_unknown_one_is_answered_with_the_nearest(project: Project) -> None:
    with pytest.raises(InputError, match="Did you mean 'web'"):
        drafted(project, "services: {web: {}, db: {}}", "wib")


def test_aliases_and_merge_keys_are_expanded(project: Project) -> None:
    text = "x-a: &a {image: 'x:1', user: me}\nservices: {web: {<<: *a, user: you}}"
    data = drafted(project, text).data
    assert (data["image"], data["user"]) == ("x:1", "you")


@pytest.mark.parametrize("text", ["", "services: []", "services: {web: []}", "services: {}", "[", "x: 1"])
def test_a_file_that_is_none_is_refused(text: str, project: Project) -> None:
    with pytest.raises(InputError):
        drafted(project, text)


def test_a_file_that_is_not_there_is_refused(project: Project) -> None:
    with pytest.raises(InputError, match="not a file"):
        from_compose(project, Path("/nowhere/compose.yaml"), None)


def test_a_label(project: Project) -> None:
    draft = service(project, "security_opt: ['label=type:web.process', 'label:level:s0:c100,c200']")
    assert (draft.data["label"], draft.left) == ({"type": "web.process", "level": "s0:c100,c200"}, [])


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("secrets: [token]", "/run/secrets/token"),
        ("secrets: [{source: token, target: key}]", "/run/secrets/key"),
        ("configs: [http]", "/http"),
        ("configs: [{source: http, target: /etc/http.conf}]", "/etc/http.conf"),
    ],
)
def test_files_of_secrets_and_configs_are_named(text: str, path: str, project: Project) -> None:
    assert path in service(project, text).left[0]


def test_a_mounted_file_is_named_as_a_file(project: Project) -> None:
    draft = service(project, "volumes: ['./nginx.conf:/etc/nginx/nginx.conf:ro,Z']")
    assert ("volumes" in draft.data, "it is a file of the host" in draft.left[0]) == (False, True)


def test_secrets_are_recognised_by_whole_words_and_values(project: Project) -> None:
    draft = service(
        project,
        """environment:
  URL: "postgresql://${U:-me}:${P:-pw}@db/x"
  MYSQL_PWD: hunter2
  DB_DSN: "root:hunter2@tcp(db:3306)/x"
  KEYCLOAK_HOSTNAME: id.example.org""",
    )
    assert draft.data["environment"] == {"KEYCLOAK_HOSTNAME": "id.example.org"}
    assert "hunter2" not in " ".join(draft.left)


def test_variables_whose_default_is_used_are_named(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAG", "secret")
    (project.root / ".env").write_text("TAG=secret")
    draft = service(project, "image: web:${TAG:-1}")
    assert (draft.data["image"], draft.left) == (
        "web:1",
        ["the variables TAG: selab reads neither your environment nor .env, so only their defaults count"],
    )


def test_a_variable_without_a_value_is_named(project: Project) -> None:
    assert service(project, "image: web:${TAG}").left == [
        'image "web:${TAG}": the variable TAG has no value here'
    ]

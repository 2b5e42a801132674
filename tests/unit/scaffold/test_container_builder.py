"""A draft holds only what a scenario takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from selab.project import Project
from selab.scaffold.container_builder import MOST, ContainerBuilder, label_of
from selab.scaffold.remarks import MOST_LEFT


@pytest.mark.parametrize(
    ("reference", "image"),
    [
        ("nginx", "nginx:latest"),
        ("nginx:1.27", "nginx:1.27"),
        ("localhost:5000/app", "localhost:5000/app:latest"),
        ("nginx@sha256:" + "a" * 64, "nginx@sha256:" + "a" * 64),
    ],
)
def test_an_image_of_a_registry_has_a_tag(reference: str, image: str) -> None:
    draft = ContainerBuilder()
    draft.image(reference)
    assert draft.data["image"] == image


@pytest.mark.parametrize(
    "reference", ["sha256:" + "a" * 64, "0123456789ab", "--privileged", "", "a b", "../x"]
)
def test_what_cannot_be_pulled_is_no_image(reference: str) -> None:
    with pytest.raises(ValueError):
        ContainerBuilder().image(reference)


@pytest.mark.parametrize(
    "name",
    [
        "DB_PASSWORD",
        "db_pass",
        "API_TOKEN",
        "SSH_KEY",
        "CLIENT_SECRET",
        "AWS_CREDENTIALS",
        "MYSQL_ROOT_PASSWORD_FILE",
    ],
)
def test_what_is_named_like_a_secret_is_not_taken(name: str) -> None:
    draft = ContainerBuilder()
    with pytest.raises(ValueError, match="secret"):
        draft.variable(name, "x")
    assert draft.data == {}


@pytest.mark.parametrize("value", ["postgres://me:pw@db/x", "-----BEGIN PRIVATE KEY-----"])
def test_a_value_that_looks_like_a_secret_is_not_taken(value: str) -> None:
    with pytest.raises(ValueError, match="secret"):
        ContainerBuilder().variable("URL", value)


def test_other_variables_are() -> None:
    draft = ContainerBuilder()
    draft.variable("URL", "http://db:80/x")
    draft.variable("B", "")
    assert draft.data["environment"] == {"URL": "http://db:80/x", "B": ""}


@pytest.mark.parametrize(
    ("container", "host_port", "guest"),
    [(80, 8080, 8080), (80, None, 8080), (9000, None, 9000), (22, 22, 8022), (80, 80, 80), (80, 99999, None)],
)
def test_a_port_gets_one_in_the_guest(container: int, host_port: int | None, guest: int | None) -> None:
    draft = ContainerBuilder()
    with draft.trying("port"):
        draft.port(container, host_port)
    assert [port["guest"] for port in draft.data.get("ports", ())] == ([guest] if guest else [])


def test_two_ports_do_not_get_the_same_one() -> None:
    draft = ContainerBuilder()
    draft.port(80, 8080)
    draft.port(81, 8080)
    assert [port["guest"] for port in draft.data["ports"]] == [8080, 8081]
    assert draft.left == ["port 8080 of the host: in the guest it is 8081"]


def test_a_directory_of_the_project_becomes_a_volume(project: Project) -> None:
    (project.root / "data").mkdir()
    draft = ContainerBuilder()
    draft.volume(
        project, "/data", project.root / "scenarios" / ".." / "data", read_only=True, label="private"
    )
    assert (draft.data["volumes"], draft.left) == (
        [{"target": "/data", "source": "data", "read_only": True, "label": "private"}],
        [],
    )


@pytest.mark.parametrize("source", ["/etc", "/nowhere", "../..", "link", "missing"])
def test_another_directory_of_the_host_becomes_an_empty_one(source: str, project: Project) -> None:
    (project.root / "link").symlink_to("/etc")
    draft = ContainerBuilder()
    draft.volume(project, "/data", project.root / source)
    assert (draft.data["volumes"], len(draft.left)) == ([{"target": "/data"}], 1)


@pytest.mark.parametrize("source", ["selab.yaml", "x.sock"])
def test_a_file_of_the_host_becomes_no_volume(source: str, project: Project) -> None:
    draft = ContainerBuilder()
    with pytest.raises(ValueError, match="file"):
        draft.volume(project, "/data", project.root / source)
    assert draft.data == {}


@pytest.mark.parametrize("source", ["a\0b", "x" * 5000, "loop/x"])
def test_a_path_that_is_none_is_no_directory_of_the_project(
    source: str, project: Project, tmp_path: Path
) -> None:
    (project.root / "loop").symlink_to("loop")
    draft = ContainerBuilder()
    with draft.trying("volume"):
        draft.volume(project, "/data", project.root / source)
    assert "source" not in str(draft.data)


def test_what_is_refused_is_named_with_the_reason() -> None:
    draft = ContainerBuilder()
    with draft.trying("user"):
        draft.set("user", "--privileged")
    assert (draft.data, draft.left) == ({}, ["user: must be one line that does not begin with '-'"])


def test_a_builder_does_not_carry_over_thousands() -> None:
    draft = ContainerBuilder()
    for number in range(1000):
        with draft.trying(f"cap {number}"):
            draft.add("cap_add", "X")
        with draft.trying(f"variable {number}"):
            draft.variable(f"V{number}", "x")
    assert (len(draft.data["cap_add"]), len(draft.data["environment"]), len(draft.left)) == (
        MOST,
        MOST,
        MOST_LEFT + 1,
    )


def test_a_value_of_endless_length_is_refused() -> None:
    with pytest.raises(ValueError, match="too long"):
        ContainerBuilder().variable("A", "x" * 100_000)


@pytest.mark.parametrize(("options", "label"), [("ro,Z", "private"), ("z", "shared"), ("rw", ""), ("", "")])
def test_dockers_options_are_labels(options: str, label: str) -> None:
    assert label_of(options) == label


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("nginx.conf", "/etc/nginx/nginx.conf"),
        ("localtime", "/etc/localtime"),
        ("x", "/run/docker.sock"),
        ("my.cnf", "/x"),
    ],
)
def test_a_file_that_is_not_here_is_recognised_by_its_name(
    source: str, target: str, project: Project
) -> None:
    draft = ContainerBuilder()
    with pytest.raises(ValueError, match="file"):
        draft.volume(project, target, project.root / source)


@pytest.mark.parametrize("target", ["/etc/mysql/conf.d", "/srv/v1.2", "/etc/nginx"])
def test_a_directory_that_is_not_here_stays_a_volume(target: str, project: Project) -> None:
    draft = ContainerBuilder()
    draft.volume(project, target, project.root / "missing")
    assert draft.data["volumes"] == [{"target": target}]


def test_a_command_with_a_password_is_not_taken() -> None:
    draft = ContainerBuilder()
    with pytest.raises(ValueError, match="secret"):
        draft.command(["redis-server", "--password=hunter2"])
    assert draft.data == {}

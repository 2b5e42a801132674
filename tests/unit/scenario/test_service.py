"""What the service of a scenario may be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from selab.scenario.model import Scenario
from selab.scenario.service import Service, unit_name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("nginx", "nginx.service"),
        ("nginx.service", "nginx.service"),
        ("postgresql@17-main", "postgresql@17-main.service"),
        (r"a\x2db.c:d_e", r"a\x2db.c:d_e.service"),
        ("sshguard", "sshguard.service"),
        ("userdbd", "userdbd.service"),
    ],
)
def test_a_units_name_is_said_in_one_way(text: str, name: str) -> None:
    assert Service(unit=text).unit == name


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".service",
        "-x",
        "--now.service",
        "a b",
        "a/b",
        "a\n",
        "a@",
        "a@.service",
        "@a",
        "a.socket",
        "ä",
        "a" * 201,
    ]
    + ["a.target.service", "a;b", "*", "a$b"],
)
def test_a_name_that_no_service_can_have_is_refused(text: str) -> None:
    with pytest.raises(ValidationError, match=r"unit\n.*name of a service"):
        Service(unit=text)


@pytest.mark.parametrize(
    "unit",
    ["ssh", "sshd.service", "sshd@1", "docker", "containerd", "podman", "podman-restart", "auditd", "dbus"]
    + ["dbus-broker", "systemd-journald.service", "selab-guard", "serial-getty@ttyS0", "rescue", "user@0"],
)
def test_a_unit_that_the_laboratory_needs_is_refused(unit: str) -> None:
    with pytest.raises(ValidationError, match="selab needs this unit"):
        Service(unit=unit)


@pytest.mark.parametrize("package", ["nginx", "libstdc++", "python3.13", "GeoIP_x"])
def test_a_package_may_have_a_usual_name(package: str) -> None:
    assert Service(unit="x", packages=(package,)).packages == (package,)


@pytest.mark.parametrize("package", ["", "-y", "nginx-", "a b", "./a.deb", "a/b", "a:b", "a=1", "a*", "a\n"])
def test_a_package_that_is_an_option_or_a_file_is_refused(package: str) -> None:
    with pytest.raises(ValidationError, match="name of a package"):
        Service(unit="x", packages=(package,))


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({}, "either a unit or a command"),
        ({"unit": "x", "command": ("/bin/x",)}, "either a unit or a command"),
        ({"command": ("foo",)}, "absolute path"),
        ({"command": ("/opt/../bin/sh",)}, "absolute path"),
        ({"command": ("/bin/..",)}, "absolute path"),
        ({"command": ("/bin/x", "\0")}, "control characters"),
        ({"unit": "x", "user": "daemon"}, "has its own user"),
        ({"command": ("/bin/x",), "user": "-x"}, "pattern"),
        ({"command": ("/bin/x",), "user": "a b"}, "pattern"),
        ({"command": ("/bin/x",), "port": 1}, "no such key|not permitted"),
    ],
)
def test_a_service_that_contradicts_itself_is_refused(fields: dict[str, object], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        Service.model_validate(fields)


def test_a_command_has_a_user() -> None:
    service = Service(command=("/usr/sbin/foo", "-f", "$A %n"), user="daemon")
    assert (service.command, service.user) == (("/usr/sbin/foo", "-f", "$A %n"), "daemon")


@given(st.text(max_size=30))
def test_a_units_name_is_one_word_and_no_option(text: str) -> None:
    try:
        name = unit_name(text)
    except ValueError:
        return
    assert name.isascii() and name.isprintable() and name.endswith(".service")
    assert not name.startswith(("-", ".")) and "/" not in name and " " not in name


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"image": "x"}, "`image` belongs to a container"),
        ({"ports": []}, "`ports` belongs to a container"),
        ({"volumes": []}, "`volumes` belongs to a container"),
        ({"cap_add": ["chown"]}, "`cap_add` belongs to a container"),
        ({"cap_drop": ["chown"]}, "`cap_drop` belongs to a container"),
        ({"environment": {"A": "b"}}, "`environment` belongs to a container"),
        ({"read_only": True}, "`read_only` belongs to a container"),
        ({"network": "host"}, "`network` belongs to a container"),
        ({"pid": "host"}, "`pid` belongs to a container"),
        ({"ipc": "host"}, "`ipc` belongs to a container"),
        ({"command": ["a"]}, "write it below `service`"),
        ({"user": "a"}, "write it below `service`"),
    ],
)
def test_what_only_a_container_can_have_is_refused(fields: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Scenario.model_validate({"service": {"unit": "web"}, **fields})


def test_one_of_several_services_has_no_health() -> None:
    containers = {"a": {"service": {"unit": "web"}, "health": {}}, "b": {"image": "x"}}
    with pytest.raises(ValidationError, match="`health` belongs to a container"):
        Scenario.model_validate({"containers": containers})


def test_a_service_has_a_policy_a_label_and_an_order() -> None:
    web = {"service": {"unit": "web"}, "policy": "web", "label": {"type": "x_t"}, "after": {"b": "exited"}}
    of = Scenario.model_validate({"containers": {"a": web, "b": {"image": "x", "init": True}}})
    assert of.members["a"].service == Service(unit="web.service")

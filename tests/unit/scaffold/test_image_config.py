"""What an image says of its ports, volumes and user."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selab.errors import InputError, SelabError, Unreachable
from selab.guest import Guest
from selab.progress import Progress
from selab.project import Project
from selab.scaffold.image_config import ImageConfig, image_config, of_inspect, of_instructions, quoted
from tests.unit.fakes import FakeGuest


def connecting(guest: FakeGuest) -> Callable[[], contextlib.AbstractContextManager[Guest]]:
    return lambda: contextlib.nullcontext(guest)


@contextlib.contextmanager
def no_guest() -> Iterator[Guest]:
    raise Unreachable("There is no VM yet.", hint="`selab vm up` makes one.")
    yield


def test_an_image_of_the_project_is_read_from_its_dockerfile(imaged: Project) -> None:
    config = image_config(imaged, "httpd", no_guest, Progress())
    assert config == ImageConfig((("tcp", 80), ("tcp", 443), ("udp", 53)), ("/srv/web.d", "/var/log"))


def test_another_image_is_asked_of_the_guests_docker(project: Project) -> None:
    guest = FakeGuest()
    config = {"ExposedPorts": {"6379/tcp": {}}, "Volumes": {"/data": {}}, "User": "redis"}
    guest.answer("image", "inspect", "redis:7", out=json.dumps([{"Config": config}]))
    assert image_config(project, "redis:7", connecting(guest), Progress()) == ImageConfig(
        (("tcp", 6379),), ("/data",), "redis"
    )


def test_without_a_vm_the_next_command_is_named(project: Project) -> None:
    with pytest.raises(SelabError, match="selab vm up"):
        image_config(project, "redis:7", no_guest, Progress())


def test_an_image_that_the_guest_lacks_is_to_be_pulled(project: Project) -> None:
    guest = FakeGuest()
    guest.answer("inspect", code=1, err="Error: No such image: redis:7")
    with pytest.raises(SelabError, match="docker pull redis:7"):
        image_config(project, "redis:7", connecting(guest), Progress())


@pytest.mark.parametrize("name", ["--privileged:x", "a b:c", "x:y\nz", "../..", ""])
def test_what_is_no_reference_is_not_asked_about(name: str, project: Project) -> None:
    with pytest.raises(InputError, match="valid image name"):
        image_config(project, name, no_guest, Progress())


@pytest.mark.parametrize(
    ("line", "ports"),
    [
        ("EXPOSE 80", (("tcp", 80),)),
        ("EXPOSE 80 80/tcp", (("tcp", 80),)),
        ("EXPOSE 53/udp 8000-8002", (("udp", 53), ("tcp", 8000), ("tcp", 8001), ("tcp", 8002))),
    ],
)
def test_ports(line: str, ports: tuple[tuple[str, int], ...]) -> None:
    assert of_instructions([line]).ports == ports


@pytest.mark.parametrize("word", ["$PORT", "0", "65536", "1-65535", "90-80", "80/sctp", "eighty"])
def test_a_port_that_is_none_is_named(word: str) -> None:
    config = of_instructions([f"EXPOSE 80 {word}"])
    assert (config.ports, config.left) == ((("tcp", 80),), (f'the port "{word}" is left out',))


@pytest.mark.parametrize("line", ["VOLUME /data /srv/x", 'VOLUME ["/data", "/srv/x"]'])
def test_volumes(line: str) -> None:
    assert of_instructions([line]).volumes == ("/data", "/srv/x")


@pytest.mark.parametrize("path", ["/", "/a/../b", "data", "/a\nb", "/a:b"])
def test_a_volume_that_is_none_is_named(path: str) -> None:
    config = of_inspect(json.dumps([{"Config": {"Volumes": {path: {}, "/data": {}}}}]))
    assert (config.volumes, len(config.left)) == (("/data",), 1)


@pytest.mark.parametrize(
    ("user", "expected"),
    [("redis", "redis"), ("1000:1000", "1000:1000"), ("root", ""), ("0", ""), ("0:0", ""), ("-x", "")],
)
def test_the_user_is_empty_for_root(user: str, expected: str) -> None:
    assert of_inspect(json.dumps([{"Config": {"User": user}}])).user == expected


@pytest.mark.parametrize(
    ("lines", "expected"),
    [(["USER www-data", "USER redis"], "redis"), (["USER redis", "USER root"], ""), (["USER"], "")],
)
def test_of_several_users_the_last_one_counts(lines: list[str], expected: str) -> None:
    assert of_instructions(lines).user == expected


def test_the_ports_and_volumes_of_several_lines_are_taken_together() -> None:
    config = of_instructions(["EXPOSE 80", "VOLUME /a", "EXPOSE 443", "VOLUME /b"])
    assert (config.ports, config.volumes) == ((("tcp", 80), ("tcp", 443)), ("/a", "/b"))


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", '[{"Config": 1}]', "[" * 5000])
def test_an_answer_that_is_none_is_an_error(text: str) -> None:
    with pytest.raises(SelabError, match="docker image inspect"):
        of_inspect(text)


@given(st.text(max_size=80), st.sampled_from(["EXPOSE", "VOLUME", "USER"]))
def test_whatever_an_instruction_says_is_taken_or_named(text: str, instruction: str) -> None:
    config = of_instructions([f"{instruction} {text}"])
    assert all(line.isascii() and line.isprintable() for line in config.left)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("it's", '"it\'s"'),
        (["/bin/sh", "-c"], '"/bin/sh -c"'),
        ([{"Driver": None}], r'"[{\"Driver\": null}]"'),
        ("a\nb", r'"a\nb"'),
    ],
)
def test_a_value_of_an_import_is_quoted_on_one_line(value: object, text: str) -> None:
    assert quoted(value) == text

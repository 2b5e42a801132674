"""A denied access in words and as a rule."""

from __future__ import annotations

import pytest

from tests.unit.advice.conftest import need


def test_a_path_and_its_label_are_named() -> None:
    access = need("web_t", "shadow_t", "file", "read", "open", comm="apache2", path="/etc/shadow")
    assert access.in_words == (
        "apache2 (web_t) asked to open and read the file /etc/shadow, which is labelled shadow_t"
    )


@pytest.mark.parametrize(
    ("tclass", "permission", "text"),
    [
        ("capability", "sys_admin", "web_t asked for the capability sys_admin"),
        ("cap2_userns", "bpf", "web_t asked for the capability bpf"),
        ("process", "execmem", "web_t asked to execute writable memory of itself"),
        ("tcp_socket", "listen", "web_t asked to listen on its own tcp socket"),
    ],
)
def test_an_access_to_itself_names_no_other_type(tclass: str, permission: str, text: str) -> None:
    assert need("web_t", "web_t", tclass, permission).in_words == text


def test_without_a_path_the_type_of_the_object_is_named() -> None:
    assert need("web_t", "etc_t", "dir", "search").in_words == "web_t asked to search a directory of etc_t"


def test_a_port_is_the_object_if_there_is_no_path() -> None:
    access = need("web_t", "http_port_t", "tcp_socket", "name_bind", detail="src=80")
    assert access.in_words == "web_t asked to listen on the tcp socket src=80, which is labelled http_port_t"


def test_an_unknown_permission_is_named_as_the_policy_names_it() -> None:
    assert "asked to frobnicate" in need("web_t", "etc_t", "file", "frobnicate").in_words


@pytest.mark.parametrize(("target", "text"), [("web_t", "web_t self:fd use"), ("x_t", "web_t x_t:fd use")])
def test_as_a_rule_its_own_type_is_self(target: str, text: str) -> None:
    assert str(need("web_t", target, "fd", "use")) == text


@pytest.mark.parametrize(
    ("commands", "numbers"), [(0, (None,)), (0b10, (1,)), (0b1100_0001, (0, 6, 7)), (1 << 999, (999,))]
)
def test_the_commands_of_an_ioctl_are_listed_or_unknown(
    commands: int, numbers: tuple[int | None, ...]
) -> None:
    assert need("web_t", "etc_t", "file", "ioctl", commands=commands).numbers == numbers


@pytest.mark.parametrize(
    ("tclass", "what"),
    [("lnk_file", "a symbolic link of etc_t"), ("unix_stream_socket", "a unix stream socket of etc_t")],
)
def test_the_kind_of_the_object_is_named(tclass: str, what: str) -> None:
    assert need("web_t", "etc_t", tclass, "read").in_words == f"web_t asked to read {what}"


def test_a_path_is_named_rather_than_a_detail() -> None:
    words = need("web_t", "etc_t", "file", "read", path="/etc/a", detail="x=1").in_words
    assert "/etc/a" in words and "x=1" not in words


def test_several_capabilities_are_named() -> None:
    text = need("web_t", "web_t", "cap_userns", "setuid", "setgid", comm="su").in_words
    assert text == "su (web_t) asked for the capability setgid and setuid"


def test_contexts_are_evidence_and_not_identity() -> None:
    access = need("web_t", "etc_t", "file", "read")
    assert access == need("web_t", "etc_t", "file", "read", contexts=(("a", "b"),))
    assert access != need("web_t", "etc_t", "file", "read", hidden=True)

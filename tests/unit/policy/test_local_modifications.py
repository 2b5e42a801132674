"""Local changes of a store, as CIL, and what they replace."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selab.policy.local_modifications import local_modifications


@pytest.mark.parametrize(
    ("name", "line", "cil"),
    [
        (
            "ports.local",
            "portcon tcp 8081 system_u:object_r:web_port_t:s0",
            "(portcon tcp 8081 (system_u object_r web_port_t ((s0) (s0))))",
        ),
        ("ports.local", "portcon udp 10 - 20 u:r:t:s0", "(portcon udp (10 20) (u r t ((s0) (s0))))"),
        ("ports.local", "portcon tcp 9 u:r:t", "(portcon tcp 9 (u r t ((s0) (s0))))"),
        (
            "nodes.local",
            "nodecon ipv4 10.0.0.0 255.0.0.0 u:r:t:s0",
            "(nodecon (10.0.0.0) (255.0.0.0) (u r t ((s0) (s0))))",
        ),
        (
            "interfaces.local",
            "netifcon eth0 u:r:a:s0 u:r:b:s0",
            "(netifcon eth0 (u r a ((s0) (s0))) (u r b ((s0) (s0))))",
        ),
        (
            "ports.local",
            "portcon tcp 9 u:r:t:s0-s0:c0.c9,c11",
            "(portcon tcp 9 (u r t ((s0) (s0 ((range c0 c9) c11)))))",
        ),
    ],
)
def test_a_change_as_cil(name: str, line: str, cil: str) -> None:
    assert local_modifications({name: f"# by semanage\n\n{line}\n".encode()}).cil == f"{cil}\n"


def test_a_local_port_takes_the_place_of_the_policys_own() -> None:
    changes = local_modifications({"ports.local": b"portcon tcp 80 u:r:web_t:s0\n"})
    mine, other = "(portcon  tcp 80 (u r http_t ((s0) (s0))))", "(portcon  tcp 8080 (u r http_t ((s0) (s0))))"
    assert changes.applied(f"{mine}\n{other}\n") == f"{other}\n"


def test_a_boolean_that_was_set_is_set_in_the_policy() -> None:
    changes = local_modifications({"booleans.local": b"shiny=1\n"})
    assert (
        changes.applied("(boolean shiny false)\n(boolean dull false)\n")
        == "(boolean shiny true)\n(boolean dull false)\n"
    )


@pytest.mark.parametrize(
    ("name", "text"), [("users.local", b"user x roles { y };\n"), ("ports.local", b"portcon ?\n")]
)
def test_what_cannot_be_said_in_cil_is_named(name: str, text: bytes) -> None:
    assert local_modifications({name: text}).left_out == (name,)


@given(
    st.sampled_from(["ports.local", "nodes.local", "interfaces.local", "booleans.local"]),
    st.binary(max_size=80),
)
def test_any_bytes_are_read_or_named(name: str, data: bytes) -> None:
    changes = local_modifications({name: data})
    assert changes.cil.count("\n") == len(changes.statements)

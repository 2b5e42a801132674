"""The parts of a new policy are ASCII and end with a line break."""

from __future__ import annotations

import pytest

from selab.scaffold.policy_text import WIDTH, comment, escaped, port_rules
from selab.scaffold.target import Target


def test_a_comment_is_wrapped_and_has_no_character_for_m4_to_read() -> None:
    text = comment("ä\n' `" + "word " * 40)
    lines = text.splitlines()
    assert all(line.startswith("# ") and len(line) <= WIDTH + 2 for line in lines)
    assert text.isascii() and text.endswith("\n")


@pytest.mark.parametrize(
    ("path", "pattern"),
    [("/a.b", r"/a\.b"), ("/a+(b)", r"/a\+\(b\)"), ("/ä", r"/\xe4"), ("/a-b_c", "/a-b_c")],
)
def test_a_path_is_a_pattern_that_matches_only_it(path: str, pattern: str) -> None:
    assert escaped(path) == pattern


def test_each_protocol_has_its_sockets_and_its_ports() -> None:
    own, calls = port_rules("web", [("udp", 53), ("tcp", 80), ("tcp", 8)], Target(""))
    assert [line for line in own.splitlines() if not line.startswith("#")] == [
        "allow web_t self:tcp_socket create_stream_socket_perms;",
        "allow web_t self:udp_socket create_socket_perms;",
    ]
    assert (
        "on tcp 8, 80: the interface is unknown" in calls and "corenet_udp_bind_generic_node(web_t)" in calls
    )


def test_no_ports_need_no_rules() -> None:
    assert list(port_rules("web", (), Target(""))) == []

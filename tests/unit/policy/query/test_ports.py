"""Ports, their types, and the interfaces that let a domain listen on them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from selab.policy.base import BasePolicy
from selab.policy.interfaces import Interface, InterfaceTable
from selab.policy.language.statements import Grant
from selab.policy.query.ports import binding_interface, port_type, ports_of

PORTS = {
    "http_port_t": ["tcp 80", "tcp 8000-8010"],
    "odd_port_t": ["tcp 8005"],
    "dns_port_t": ["udp 53"],
    "high_t": ["tcp 1024-65535"],
}


@pytest.mark.parametrize(
    ("protocol", "number", "type_"),
    [
        ("tcp", 80, "http_port_t"),
        ("tcp", 8000, "http_port_t"),
        ("tcp", 8010, "http_port_t"),
        ("tcp", 8005, "odd_port_t"),
        ("tcp", 8011, "high_t"),
        ("tcp", 53, "port_t"),
        ("udp", 53, "dns_port_t"),
    ],
)
def test_the_smallest_range_says_the_type(protocol: str, number: int, type_: str) -> None:
    assert port_type(PORTS, protocol, number) == type_


def test_the_ports_are_those_of_the_flat_base(base: BasePolicy) -> None:
    with base.flat.open("a") as flat:
        flat.write(
            "(portcon  tcp 80 (system_u object_r http_port_t ((s0) (s0))))\n"
            "(portcon udp (1 9) (u r low_t ((s0) (s0))))\n"
        )
    assert ports_of(base) == {"http_port_t": ["tcp 80"], "low_t": ["udp 1-9"]}


def interface(
    name: str, *targets: str, source: str = "$1", deprecated: str = "", condition: str = ""
) -> Interface:
    grants = tuple(
        Grant("allow", source, target, "tcp_socket", frozenset({"name_bind"}), condition)
        for target in targets
    )
    return Interface(name, "interface", "x.if", 1, "", ("domain",), 1, deprecated, grants)


def test_the_interface_is_the_one_for_that_type_alone() -> None:
    table = InterfaceTable([interface("all", "http_port_t", "ssh_port_t"), interface("web", "http_port_t")])
    assert binding_interface(table, "tcp", "http_port_t") == "web"


@pytest.mark.parametrize(
    "more",
    [
        Grant("allow", "$1", "ssh_port_t", "tcp_socket", frozenset({"name_connect"})),
        Grant("dontaudit", "$1", "ssh_port_t", "tcp_socket", frozenset({"name_bind"})),
    ],
    ids=["a rule to connect", "a rule that permits nothing"],
)
def test_what_lets_nobody_listen_on_another_port_makes_no_difference(more: Grant) -> None:
    web = interface("web", "http_port_t")
    table = InterfaceTable([replace(web, grants=(*web.grants, more))])
    assert binding_interface(table, "tcp", "http_port_t") == "web"


@pytest.mark.parametrize(
    "other",
    [
        interface("old", "http_port_t", deprecated="use web()"),
        interface("theirs", "http_port_t", source="init_t"),
        interface("sometimes", "http_port_t", condition="shiny"),
    ],
    ids=lambda interface: interface.name,
)
def test_an_interface_that_does_not_always_grant_it_is_none(other: Interface) -> None:
    assert binding_interface(InterfaceTable([other]), "tcp", "http_port_t") == ""


def test_an_interface_for_another_protocol_is_none() -> None:
    assert binding_interface(InterfaceTable([interface("web", "http_port_t")]), "udp", "http_port_t") == ""

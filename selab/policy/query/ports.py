"""Find the type of a port in a base policy, and the interface that lets a domain listen on it."""

from __future__ import annotations

from collections.abc import Mapping

from selab.policy.base import BasePolicy
from selab.policy.interfaces import Interface, InterfaceTable
from selab.policy.language.declarations import read_flat

OTHER = "port_t"
"""The type of a port that no portcon statement covers (initial SID `port`)."""
Ports = Mapping[str, list[str]]
"""The ports of each type, as `tcp 80` or `udp 1024-65535`."""


def ports_of(base: BasePolicy) -> Ports:
    """Read the base policy's portcon statements, each of which is one line of the flat base."""
    with base.flat.open() as lines:
        return read_flat("".join(line for line in lines if line.startswith("(portcon "))).ports


def port_type(ports: Ports, protocol: str, number: int) -> str:
    """Return the type of a port: of several ranges the smallest (libsepol, cil_post_portcon_compare)."""
    sizes = [
        (high - low, name)
        for name, spans in ports.items()
        for low, high in _spans(spans, protocol)
        if low <= number <= high
    ]
    return min(sizes)[1] if sizes else OTHER


def _spans(spans: list[str], protocol: str) -> list[tuple[int, int]]:
    of_protocol = (numbers for kind, numbers in (span.split() for span in spans) if kind == protocol)
    return [
        (int(low), int(high or low)) for low, _, high in (numbers.partition("-") for numbers in of_protocol)
    ]


def binding_interface(table: InterfaceTable, protocol: str, type_: str) -> str:
    """Return the one-parameter interface that permits listening on ports of this type only; empty if none."""
    return next((interface.name for interface in table if _binds(interface, f"{protocol}_socket", type_)), "")


def _binds(interface: Interface, tclass: str, type_: str) -> bool:
    if interface.kind != "interface" or interface.deprecated or interface.required != 1:
        return False
    bound = {
        grant.target
        for grant in interface.grants
        if grant.kind == "allow" and "name_bind" in grant.permissions
    }
    return bound == {type_} and any(
        grant.source == "$1" and grant.tclass == tclass and not grant.condition
        for grant in interface.grants
        if grant.target == type_
    )

"""Parts of a new policy in the reference policy's language: comments, paths and the rules for ports."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator

from selab.scaffold.target import Target

WIDTH = 100
_SOCKETS = {"tcp": "create_stream_socket_perms", "udp": "create_socket_perms"}
"""What a server does with its own socket; the headers of every policy define both macros."""


def comment(text: str) -> str:
    """Format comment lines of a readable width. Untrusted text becomes ASCII, on one line for m4."""
    ascii_only = text.encode("ascii", "backslashreplace").decode("ascii")
    return "".join(
        f"# {line}\n"
        for line in textwrap.wrap(ascii_only, WIDTH, break_long_words=False, break_on_hyphens=False)
    )


def escaped(path: str) -> str:
    """Escape the path for a pattern of an .fc file, in ASCII."""
    text = path.encode("ascii", "backslashreplace").decode("ascii")
    return "".join(f"\\{char}" if char in ".^$?*+|[]({})" else char for char in text)


def port_rules(name: str, ports: Iterable[tuple[str, int]], target: Target) -> Iterator[str]:
    """Yield the module's own rules, then interface calls, as the reference policy's style requires.

    `ports` are pairs of protocol and number.
    """
    by_protocol: dict[str, list[int]] = {}
    for protocol, number in sorted(ports):
        by_protocol.setdefault(protocol, []).append(number)
    if by_protocol:
        yield "".join(_sockets(name, protocol, numbers) for protocol, numbers in by_protocol.items())
        yield "".join(_listens(name, protocol, numbers, target) for protocol, numbers in by_protocol.items())


def _sockets(name: str, protocol: str, numbers: list[int]) -> str:
    text = comment(
        f"It serves {protocol} {', '.join(map(str, numbers))} with its own {protocol.upper()} sockets."
    )
    return f"{text}allow {name}_t self:{protocol}_socket {_SOCKETS[protocol]};\n"


def _listens(name: str, protocol: str, numbers: list[int], target: Target) -> str:
    text = comment(f"It listens at the machine's addresses with {protocol.upper()},")
    return f"{text}corenet_{protocol}_bind_generic_node({name}_t)\n" + "".join(
        _port(name, protocol, numbers, target)
    )


def _port(name: str, protocol: str, numbers: list[int], target: Target) -> Iterator[str]:
    """Yield the call that permits listening on the ports of each type, or why there is none."""
    by_type: dict[str, list[int]] = {}
    for number in numbers:
        by_type.setdefault(target.port_type(protocol, number), []).append(number)
    for type_, of_type in by_type.items():
        ports = f"{protocol} {', '.join(map(str, of_type))}"
        if not type_:
            yield comment(
                f"on {ports}: the interface is unknown, as is the base policy. `selab suggest` finds it."
            )
        elif interface := target.binding_interface(protocol, type_):
            yield comment(f"on {ports} ({type_}).") + f"{interface}({name}_t)\n"
        else:
            yield comment(
                f"on {ports} ({type_}): the base policy has no interface for it; see `selab explain`."
            )

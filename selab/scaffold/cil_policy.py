"""Write a new policy in CIL for `selab new policy --cil`: a block as udica writes it, with comments."""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Iterator

from selab.policy.language.cil_names import PROCESS
from selab.scaffold.image_config import ImageConfig
from selab.scaffold.target import Target

CONTAINER, NETWORK = "container", "restricted_net_container"
"""The blocks of udica's templates with what any container may do, and with what a server's sockets need."""
ATTRIBUTES = ("domain", "container_domain", "mcs_constrained_type")
"""The attributes of a container's domain on Debian's policy and on CentOS's."""
NODE = "node_t"
"""The type of the machine's addresses in refpolicy and its descendants."""
WIDTH = 100
INDENTATION = "    "
_SOCKETS = {
    "tcp": "accept append bind connect create getattr getopt ioctl listen read setattr setopt shutdown write",
    "udp": "append bind connect create getattr getopt ioctl read setattr setopt shutdown write",
}
"""What a server does with its own socket."""


def cil_text(name: str, image: str, config: ImageConfig, target: Target, blocks: Collection[str]) -> str:
    """Return the text of the .cil. `blocks` are those that it can inherit from templates."""
    parts = [
        *_domain(name, target, blocks),
        *_ports(config, target, blocks),
        *_volumes(config, target),
    ]
    return f"{_about(image, config)}(block {name}\n{''.join(parts).rstrip()}\n)\n"


def _comment(text: str, indentation: str = INDENTATION) -> str:
    """Format comment lines of a readable width. Untrusted text becomes ASCII."""
    ascii_only = text.encode("ascii", "backslashreplace").decode("ascii")
    lines = textwrap.wrap(ascii_only, WIDTH, break_long_words=False, break_on_hyphens=False)
    return "".join(f"{indentation}; {line}\n" for line in lines)


def _statement(text: str) -> str:
    return f"{INDENTATION}({text})\n"


def _about(image: str, config: ImageConfig) -> str:
    what = f", and what the settings of the image {image} need" if image else ""
    text = _comment(f"A starting point: what any container may do{what}.", "")
    text += _comment(
        "A permissive run, `selab run SCENARIO --setenforce no`, shows the rest, and `selab suggest` writes "
        "the rules.",
        "",
    )
    if config.user:
        about_user = f"The image runs as the user {config.user}, not as root: it should need no capabilities."
    elif image:
        about_user = (
            "The image starts as root. To switch to another user, it needs "
            f"(allow {PROCESS} {PROCESS} (capability (setgid setuid)))."
        )
    else:
        return text
    return text + _comment(about_user, "")


def _domain(name: str, target: Target, blocks: Collection[str]) -> Iterator[str]:
    if CONTAINER in blocks:
        yield _comment(f"The container's domain is {name}.{PROCESS}, which the template declares.")
        yield _statement(f"blockinherit {CONTAINER}")
        return
    yield _comment(f"The container's domain is {name}.{PROCESS}.")
    yield _statement(f"type {PROCESS}")
    yield _statement(f"roletype system_r {PROCESS}")
    for attribute in ATTRIBUTES:
        if target.has_attribute(attribute):
            yield _statement(f"typeattributeset {attribute} ({PROCESS})")


def _ports(config: ImageConfig, target: Target, blocks: Collection[str]) -> Iterator[str]:
    by_protocol: dict[str, list[int]] = {}
    for protocol, number in sorted(config.ports):
        by_protocol.setdefault(protocol, []).append(number)
    if by_protocol and NETWORK in blocks:
        yield "\n" + _comment("It serves the network with its own sockets.")
        yield _statement(f"blockinherit {NETWORK}")
    for protocol, numbers in by_protocol.items():
        ports = ", ".join(map(str, numbers))
        if NETWORK not in blocks:
            yield "\n" + _comment(f"It serves {protocol} {ports} with its own sockets, at all addresses.")
            yield _statement(f"allow {PROCESS} self ({protocol}_socket ({_SOCKETS[protocol]}))")
            yield _statement(f"allow {PROCESS} {NODE} ({protocol}_socket (node_bind))")
        yield from _listens(protocol, numbers, target)


def _listens(protocol: str, numbers: list[int], target: Target) -> Iterator[str]:
    by_type: dict[str, list[int]] = {}
    for number in numbers:
        by_type.setdefault(target.port_type(protocol, number), []).append(number)
    for type_, of_type in by_type.items():
        ports = f"{protocol} {', '.join(map(str, of_type))}"
        if type_:
            yield _comment(f"It listens on {ports}.")
            yield _statement(f"allow {PROCESS} {type_} ({protocol}_socket (name_bind))")
        else:
            unknown = "the type is unknown, as is the base policy. `selab suggest` finds it."
            yield _comment(f"It listens on {ports}: {unknown}")


def _volumes(config: ImageConfig, target: Target) -> Iterator[str]:
    """Explain in a comment why volumes need no rule: by default they get the type of containers' files."""
    if config.volumes:
        yield "\n" + _comment(
            f"The volumes {', '.join(config.volumes)} need no rule: they are labelled {target.file_type}, "
            "as by Docker's :Z, unless a `filecon` statement names them."
        )

"""`selab new policy`: a module to begin with, in which every rule says what it is for."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

from selab.errors import InputError
from selab.progress import Progress
from selab.project import Project
from selab.run.request import NO_POLICY
from selab.scaffold.image_config import Connect, ImageConfig, image_config, quoted
from selab.scaffold.new_file import create, require_free
from selab.scaffold.target import FILES, TEMPLATE, Target, target_of

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
"""Narrower than what selab reads: not every compiler takes '.' and '-' in the name of a type."""
BARE = "A beginning: what any container may do."
WIDTH = 100
_SOCKETS = {"tcp": "create_stream_socket_perms", "udp": "create_socket_perms"}
"""What a server does with a socket of its own; both are macros of every policy's headers."""


@dataclass(frozen=True)
class NewPolicy:
    """The policy's file, below the project, and what a person should know of how it came about."""

    file: str
    remarks: tuple[str, ...]


def new_policy(
    project: Project, name: str, image: str | None, connect: Connect, progress: Progress
) -> NewPolicy:
    """Write a policy to begin with; for the `image` (a directory of images/, or one that the guest has), if one is named.

    Raises InputError where the name will not do or is taken; then nothing is written.
    """
    if not NAME.fullmatch(name):
        like = re.sub(r"\W", "_", name[:40], flags=re.ASCII)
        raise InputError(
            f"{quoted(name)} cannot be a new policy's name.",
            "Its type is called after it.",
            f"Name it {like}, say.",
        )
    if name == NO_POLICY:
        raise InputError(f"'{name}' means that a run has no policy.", hint="Take another name.")
    path = project.policies / f"{name}.te"
    require_free(*(path.with_suffix(ending) for ending in (".te", ".fc", ".if")))
    config = image_config(project, image, connect, progress) if image else ImageConfig()
    found = target_of(project, progress)
    if found.has(name):
        raise InputError(
            f"The base policy has '{name}' already.",
            f"A module {name}, or a type {name}_t.",
            f"Name it my_{name}, say.",
        )
    file = create(project, path, policy_text(name, image or "", config, found))
    return NewPolicy(file, (found.why, *(f"{image}: {line}." for line in config.left)))


def policy_text(name: str, image: str, config: ImageConfig, found: Target) -> str:
    """The text of the .te."""
    parts = [
        f"policy_module({name}, 1.0)\n",
        _about(image, config),
        _domain(name, found),
        *_ports(name, config, found),
    ]
    return "\n".join([*parts, *_volumes(name, config, found)])


def _comment(text: str) -> str:
    """Comment lines of a width that is easily read. What strangers wrote in it becomes ASCII: m4 goes by lines."""
    ascii_only = text.encode("ascii", "backslashreplace").decode("ascii")
    return "".join(
        f"# {line}\n"
        for line in textwrap.wrap(ascii_only, WIDTH, break_long_words=False, break_on_hyphens=False)
    )


def _about(image: str, config: ImageConfig) -> str:
    text = _comment(
        f"A beginning: what any container may do, and what the image {image} says that it needs."
        if image
        else BARE
    )
    text += _comment(
        "A permissive run, `selab run SCENARIO --setenforce no`, shows the rest, and `selab suggest` has the rules."
    )
    if config.user:
        return text + _comment(
            f"The image runs as the user {config.user}, not as root: capabilities should not be needed."
        )
    if image:
        return text + _comment(
            "The image starts as root. To give that up, it will ask for self:capability { setgid setuid }."
        )
    return text


def _domain(name: str, found: Target) -> str:
    if found.arguments == 1:
        return _comment(f"The container's domain, {name}_t.") + f"{TEMPLATE}({name})\n"
    require = (
        _comment("The template speaks of the type of a container's files.")
        + f"gen_require(`\n\ttype {FILES};\n')\n"
    )
    whose = FILES.removesuffix("_file_t")
    text = _comment(
        f"The container's domain, {name}_t. The second argument says whose files it uses: {FILES}."
    )
    return f"{require}\n{text}{TEMPLATE}({name}, {whose})\n"


def _ports(name: str, config: ImageConfig, found: Target) -> Iterator[str]:
    """Its own rules, then the calls of interfaces: the order of the reference policy's style."""
    by_protocol: dict[str, list[int]] = {}
    for protocol, number in sorted(config.ports):
        by_protocol.setdefault(protocol, []).append(number)
    if by_protocol:
        yield "".join(_sockets(name, protocol, numbers) for protocol, numbers in by_protocol.items())
        yield "".join(_listens(name, protocol, numbers, found) for protocol, numbers in by_protocol.items())


def _sockets(name: str, protocol: str, numbers: list[int]) -> str:
    text = _comment(
        f"It serves {protocol} {', '.join(map(str, numbers))}, with {protocol.upper()} sockets of its own."
    )
    return f"{text}allow {name}_t self:{protocol}_socket {_SOCKETS[protocol]};\n"


def _listens(name: str, protocol: str, numbers: list[int], found: Target) -> str:
    text = _comment(f"It listens at the machine's addresses, with {protocol.upper()},")
    return f"{text}corenet_{protocol}_bind_generic_node({name}_t)\n" + "".join(
        _port(name, protocol, numbers, found)
    )


def _port(name: str, protocol: str, numbers: list[int], found: Target) -> Iterator[str]:
    """The call that lets it listen on the ports of each type, or why there is none."""
    by_type: dict[str, list[int]] = {}
    for number in numbers:
        by_type.setdefault(found.port_type(protocol, number), []).append(number)
    for type_, of_type in by_type.items():
        ports = f"{protocol} {', '.join(map(str, of_type))}"
        if not type_:
            yield _comment(
                f"on {ports}: which interface is for that, the base policy says, and none is known yet. `selab suggest` has it."
            )
        elif interface := found.binding_interface(protocol, type_):
            yield _comment(f"on {ports} ({type_}).") + f"{interface}({name}_t)\n"
        else:
            yield _comment(
                f"on {ports} ({type_}): the base policy has no interface for that type; `selab explain` says what there is."
            )


def _volumes(name: str, config: ImageConfig, found: Target) -> Iterator[str]:
    """No rule: without a word in an .fc a volume gets the type of containers' files, which a container's domain may use."""
    if config.volumes:
        yield (
            _comment(
                f"Its volumes, {', '.join(config.volumes)}, need no rule: they are labelled {found.file_type}, as by Docker's :Z, unless "
                f"{name}.fc speaks of them. For a type of their own, declare it here and name the path in {name}.fc, as in"
            )
            + f"#   {_escaped(config.volumes[0])}(/.*)?\tgen_context(system_u:object_r:{name}_data_t,s0)\n"
        )


def _escaped(path: str) -> str:
    """The path as a pattern of an .fc file, in ASCII."""
    text = path.encode("ascii", "backslashreplace").decode("ascii")
    return "".join(f"\\{char}" if char in ".^$?*+|[]({})" else char for char in text)

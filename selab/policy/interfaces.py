"""Find out what the interfaces of the installed headers grant: m4 expands a marked call of each.

The macros and options are those with which a module is compiled.
"""

from __future__ import annotations

import contextlib
import gc
import json
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from selab.errors import InputError, SelabError
from selab.policy.base import BasePolicy
from selab.policy.integrity import read_with_digest, write_with_digest
from selab.policy.language.headers import Heading, headings
from selab.policy.language.statements import Grant, Permissions, Statements, parse
from selab.policy.language.words import NotAStatement
from selab.policy.macros import header_macros

FORMAT = 2
"""Raise it if the same headers give another file beside the base (test_cache_formats.py)."""

_MARK = "selabarg"
_BEGIN = re.compile(r"^#selab_begin (\w+)$", re.MULTILINE)
_ALL_CLASSES = "all_kernel_class_perms"
_CLASS = re.compile(r"\bclass\s+(\w+)\s*\{([^{}]*)\}")
_DEPRECATED = re.compile(r"Warning: (\w+)\(.{0,2000}\) has been deprecated[\s,]*(.*)$", re.MULTILINE)
_BROKEN_MACROS = re.compile(r"^m4: ?(.*ERROR: .*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Interface(Heading):
    """An interface or template, expanded with all its parameters; Heading describes the other fields.

    deprecated: what its warning advises (`use foo() instead`), or empty.
    grants: what its rules grant.
    attributes: memberships that it adds, such as ("$1", "domain").
    declares, requires: pairs of kind and name.
    broken: why it could not be parsed, or empty; a broken interface has no grants.
    """

    deprecated: str = ""
    grants: tuple[Grant, ...] = ()
    attributes: tuple[tuple[str, str], ...] = ()
    declares: tuple[tuple[str, str], ...] = ()
    requires: tuple[tuple[str, str], ...] = ()
    broken: str = ""


class InterfaceTable:
    """Interfaces by name, in the order of the headers. Iteration yields the interfaces."""

    def __init__(self, interfaces: Iterable[Interface]) -> None:
        self._by_name = {interface.name: interface for interface in interfaces}
        self.names = tuple(self._by_name)

    def get(self, name: str) -> Interface | None:
        return self._by_name.get(name)

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    def __iter__(self) -> Iterator[Interface]:
        return iter(self._by_name.values())

    def __len__(self) -> int:
        return len(self._by_name)

    def with_own(self, own: Iterable[Interface]) -> InterfaceTable:
        """Return this table with the interfaces `own`, which replace others of the same name, as in m4."""
        return InterfaceTable([*self, *own])


def interface_table(base: BasePolicy) -> InterfaceTable:
    """Return the interfaces of the base policy's headers, cached beside it.

    Raises SelabError if they are not cached and m4 is missing.
    """
    path = base.directory / "interfaces.json"
    interfaces = _cached(path)
    if interfaces is None:
        include = base.headers / "include"
        documented = [
            heading
            for file in sorted(include.glob("*/*.if"))
            for heading in headings(file.read_text(errors="replace"), file.relative_to(include).as_posix())
        ]
        interfaces = _expanded(base, documented, {})
        _store(interfaces, path)
    return InterfaceTable(interfaces)


def module_interfaces(base: BasePolicy, texts: Mapping[str, str]) -> tuple[Interface, ...]:
    """Expand the interfaces of a user's own .if files, which may call those of the headers.

    `texts` holds the text of each file by its name. Raises InputError if m4 cannot read a file to its end,
    for example because of an unclosed quote.
    """
    documented = [heading for file, text in texts.items() for heading in headings(text, file)]
    return tuple(_expanded(base, documented, texts)) if documented else ()


def _expanded(base: BasePolicy, documented: list[Heading], texts: Mapping[str, str]) -> list[Interface]:
    output, warnings = _run_m4(base, documented, texts)
    pieces = _BEGIN.split(output.replace(_MARK, "$"))
    bodies = dict(zip(pieces[1::2], pieces[2::2], strict=True))
    permissions = {
        tclass: frozenset(words.split()) for tclass, words in _CLASS.findall(bodies.get(_ALL_CLASSES, ""))
    }
    deprecated = {name: _advice(words) for name, words in _DEPRECATED.findall(warnings.replace(_MARK, "$"))}
    return [
        _interface(heading, bodies.get(heading.name, ""), permissions, deprecated.get(heading.name, ""))
        for heading in documented
    ]


def _interface(heading: Heading, body: str, permissions: Permissions, deprecated: str) -> Interface:
    expansion, broken = Statements(), ""
    try:
        expansion = parse(body, permissions)
    except NotAStatement as error:
        broken = str(error)
    heading_fields: dict[str, Any] = {each.name: getattr(heading, each.name) for each in fields(Heading)}
    return Interface(
        **heading_fields,
        deprecated=deprecated,
        grants=expansion.grants,
        attributes=expansion.attributes,
        declares=expansion.declares,
        requires=expansion.requires,
        broken=broken,
    )


def _advice(words: str) -> str:
    return words.strip().rstrip(".").removeprefix("please ") or "remove it"


def _run_m4(base: BasePolicy, documented: list[Heading], texts: Mapping[str, str]) -> tuple[str, str]:
    """Expand a call of each interface with m4; return the expansion and m4's warnings."""
    if not shutil.which("m4"):
        raise SelabError(
            "Interfaces cannot be expanded on this machine.",
            "Missing: m4.",
            "Run `script/setup` to install it.",
        )
    with tempfile.TemporaryDirectory(prefix="selab-interfaces-") as name:
        workdir = Path(name)
        for file, text in texts.items():
            (workdir / file).write_text(text)
        (workdir / "calls.m4").write_text(_calls(documented))
        done = header_macros(base).expand(workdir, ["calls.m4"], sorted(texts), lines=False)
        if match := _BROKEN_MACROS.search(done.error_text):
            raise InputError("m4 cannot read the interfaces.", match[1], "Look for an unclosed quote ` or '.")
        done.expect("The interfaces of the policy headers cannot be expanded.")
        return done.stdout.decode("utf-8", "replace"), done.error_text


def _calls(documented: Iterable[Heading]) -> str:
    lines = [f"#selab_begin {_ALL_CLASSES}", _ALL_CLASSES]
    for heading in documented:
        marks = ", ".join(f"{_MARK}{number}" for number in range(1, len(heading.parameters) + 1))
        lines += [f"#selab_begin {heading.name}", f"{heading.name}({marks})"]
    return "\n".join(lines) + "\n"


def _cached(path: Path) -> list[Interface] | None:
    """Read the interfaces that `_store` wrote; None if the file is damaged or has another format."""
    try:
        cached = json.loads(read_with_digest(path) or b"")
        if cached["format"] != FORMAT:
            return None
        with _no_collection():
            words = [frozenset(row) for row in cached["words"]]
            grants = [_grant(row, words) for row in cached["grants"]]
            return [_read(row, grants) for row in cached["interfaces"]]
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return None


@contextlib.contextmanager
def _no_collection() -> Iterator[None]:
    """Suspend garbage collection, which would take half of the time and free nothing."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _grant(row: list[Any], words: list[frozenset[str]]) -> Grant:
    kind, source, target, tclass, permissions, condition, result, source_except, target_except = row
    return Grant(
        kind,
        source,
        target,
        tclass,
        words[permissions],
        condition,
        result,
        words[source_except],
        words[target_except],
    )


def _read(row: list[Any], grants: list[Grant]) -> Interface:
    (
        name,
        kind,
        file,
        line,
        summary,
        parameters,
        required,
        deprecated,
        numbers,
        attributes,
        declares,
        requires,
        broken,
    ) = row
    granted = tuple(grants[at] for at in numbers)
    pairs = (_pairs(attributes), _pairs(declares), _pairs(requires))
    return Interface(
        name, kind, file, line, summary, tuple(parameters), required, deprecated, granted, *pairs, broken
    )


def _pairs(rows: list[list[str]]) -> tuple[tuple[str, str], ...]:
    return tuple((first, second) for first, second in rows)


def _store(interfaces: list[Interface], path: Path) -> None:
    """Write the interfaces to a file. Sets of words and grants, which most share, are written once."""
    words: dict[frozenset[str], int] = {}
    grants: dict[Grant, int] = {}
    rows = [
        _row(interface, [grants.setdefault(grant, len(grants)) for grant in interface.grants])
        for interface in interfaces
    ]

    def number(of: frozenset[str]) -> int:
        return words.setdefault(of, len(words))

    grant_rows = [
        [*(g.kind, g.source, g.target, g.tclass), number(g.permissions), g.condition, g.result]
        + [number(g.source_except), number(g.target_except)]
        for g in grants
    ]
    table = {
        "format": FORMAT,
        "words": [sorted(word_set) for word_set in words],
        "grants": grant_rows,
        "interfaces": rows,
    }
    write_with_digest(json.dumps(table, separators=(",", ":")).encode(), path)


def _row(interface: Interface, numbers: list[int]) -> list[object]:
    heading = [
        interface.name,
        interface.kind,
        interface.file,
        interface.line,
        interface.summary,
        interface.parameters,
        interface.required,
        interface.deprecated,
    ]
    return [*heading, numbers, interface.attributes, interface.declares, interface.requires, interface.broken]

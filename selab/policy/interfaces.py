"""What the interfaces of the installed policy headers grant: each is called with marked arguments, and m4 says what becomes of it.

The distribution's own Makefile makes the macros, with its own options, as it does for a module.
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
from selab.host.local import LocalHost
from selab.policy.base import BasePolicy
from selab.policy.language.headers import Heading, headings
from selab.policy.language.statements import Grant, NotAStatement, Permissions, Statements, parse
from selab.policy.toolchain import M4

FORMAT = 1
"""Raise it when what is kept beside the base changes its meaning."""
EXPAND_TIMEOUT = 120.0
"""Seconds for m4 over all headers: one natively; a loop in a user's macro never ends."""

_MARK = "selabarg"
_BEGIN = re.compile(r"^#selab_begin (\w+)$", re.MULTILINE)
_ALL_CLASSES = "all_kernel_class_perms"
_CLASS = re.compile(r"\bclass\s+(\w+)\s*\{([^{}]*)\}")
_DEPRECATED = re.compile(r"Warning: (\w+)\(.*\) has been deprecated[\s,]*(.*)$", re.MULTILINE)
_BROKEN_MACROS = re.compile(r"^m4: ?(.*ERROR: .*)$", re.MULTILINE)
_RULE = """\
expanded: tmp/all_interfaces.conf calls.m4
	$(M4) $(M4PARAM) $(m4support) $^ > $@
"""
"""Added to the distribution's Makefile: its macros and options, over a text of selab's own."""


@dataclass(frozen=True, slots=True)
class Interface(Heading):
    """An interface or template, called with all its parameters.

    `deprecated` is what its warning says to do (`use foo() instead`), nothing where it is in use. `attributes` are the memberships that it
    gives, as in ("$1", "domain"); `declares` and `requires` are (kind, name). `broken` says why it could not be read, and then it seems to
    grant nothing.
    """

    deprecated: str = ""
    grants: tuple[Grant, ...] = ()
    attributes: tuple[tuple[str, str], ...] = ()
    declares: tuple[tuple[str, str], ...] = ()
    requires: tuple[tuple[str, str], ...] = ()
    broken: str = ""


class InterfaceTable:
    """Interfaces by their names, in the order of the headers. Iterating gives the interfaces."""

    def __init__(self, interfaces: Iterable[Interface]) -> None:
        self._by_name = {one.name: one for one in interfaces}
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
        """This table and the interfaces `own`, which win, as the later definition does in m4."""
        return InterfaceTable([*self, *own])


def interface_table(base: BasePolicy) -> InterfaceTable:
    """The interfaces of the base policy's headers, kept beside it. Raises SelabError where they are not kept and m4 is missing."""
    path = base.directory / "interfaces.json"
    found = _kept(path)
    if found is None:
        include = base.headers / "include"
        told = [
            one
            for file in sorted(include.glob("*/*.if"))
            for one in headings(file.read_text(errors="replace"), file.relative_to(include).as_posix())
        ]
        found = _expanded(base, told, {})
        _keep(found, path)
    return InterfaceTable(found)


def module_interfaces(base: BasePolicy, texts: Mapping[str, str]) -> tuple[Interface, ...]:
    """The interfaces of a user's own .if files (`texts`: NAME.if to its text), which may call those of the headers.

    Raises InputError where m4 cannot read one to its end, as with a quote that is left open.
    """
    told = [one for file, text in texts.items() for one in headings(text, file)]
    return tuple(_expanded(base, told, texts)) if told else ()


def _expanded(base: BasePolicy, told: list[Heading], texts: Mapping[str, str]) -> list[Interface]:
    output, warnings = _run_m4(base, told, texts)
    pieces = _BEGIN.split(output.replace(_MARK, "$"))
    bodies = dict(zip(pieces[1::2], pieces[2::2], strict=True))
    permissions = {
        tclass: frozenset(words.split()) for tclass, words in _CLASS.findall(bodies.get(_ALL_CLASSES, ""))
    }
    deprecated = {name: _advice(words) for name, words in _DEPRECATED.findall(warnings.replace(_MARK, "$"))}
    return [
        _interface(one, bodies.get(one.name, ""), permissions, deprecated.get(one.name, "")) for one in told
    ]


def _interface(told: Heading, body: str, permissions: Permissions, deprecated: str) -> Interface:
    said, broken = Statements(), ""
    try:
        said = parse(body, permissions)
    except NotAStatement as error:
        broken = str(error)
    heading: dict[str, Any] = {each.name: getattr(told, each.name) for each in fields(Heading)}
    return Interface(
        **heading,
        deprecated=deprecated,
        grants=said.grants,
        attributes=said.attributes,
        declares=said.declares,
        requires=said.requires,
        broken=broken,
    )


def _advice(words: str) -> str:
    return words.strip().rstrip(".").removeprefix("please ") or "remove it"


def _run_m4(base: BasePolicy, told: list[Heading], texts: Mapping[str, str]) -> tuple[str, str]:
    """What m4 makes of a call of each interface, and its warnings."""
    if missing := [tool for tool in ("make", "m4") if not shutil.which(tool)]:
        raise SelabError(
            "What the interfaces grant cannot be told on this machine.",
            f"Missing: {' '.join(missing)}.",
            "`script/setup` installs them.",
        )
    include = base.headers / "include"
    with tempfile.TemporaryDirectory(prefix="selab-interfaces-") as name:
        workdir = Path(name)
        for file, text in texts.items():
            (workdir / file).write_text(text)
            (workdir / file).with_suffix(".te").touch()
        (workdir / "calls.m4").write_text(_calls(told))
        (workdir / "selab.mk").write_text(_RULE)
        argv = ["make", "-C", name, "-f", f"{include}/Makefile", "-f", "selab.mk", f"HEADERDIR={include}"]
        done = LocalHost().run(
            [*argv, f"NAME={base.facts.selinux_type}", "AWK=awk", f"M4={M4}", "expanded"],
            timeout=EXPAND_TIMEOUT,
        )
        if found := _BROKEN_MACROS.search(done.error_text):
            raise InputError(
                "m4 cannot read the interfaces.", found[1], "Look for a quote ` or ' that is not closed."
            )
        done.expect("The interfaces of the policy headers cannot be expanded.")
        return (workdir / "expanded").read_text(errors="replace"), done.error_text


def _calls(told: Iterable[Heading]) -> str:
    lines = [f"#selab_begin {_ALL_CLASSES}", _ALL_CLASSES]
    for one in told:
        marks = ", ".join(f"{_MARK}{number}" for number in range(1, len(one.parameters) + 1))
        lines += [f"#selab_begin {one.name}", f"{one.name}({marks})"]
    return "\n".join(lines) + "\n"


def _kept(path: Path) -> list[Interface] | None:
    """What `_keep` has written there; a file of another format, or one that is damaged, is none."""
    try:
        told = json.loads(path.read_text())
        if told["format"] != FORMAT:
            return None
        with _no_collection():
            words = [frozenset(one) for one in told["words"]]
            grants = [_grant(one, words) for one in told["grants"]]
            return [_read(one, grants) for one in told["interfaces"]]
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return None


@contextlib.contextmanager
def _no_collection() -> Iterator[None]:
    """Half of the time would go into looking for garbage among many small objects that all stay."""
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
    return tuple((one, other) for one, other in rows)


def _keep(interfaces: list[Interface], path: Path) -> None:
    """Sets of words and grants are written once each: most interfaces share theirs with others."""
    words: dict[frozenset[str], int] = {}
    grants: dict[Grant, int] = {}
    rows = [
        _written(one, [grants.setdefault(grant, len(grants)) for grant in one.grants]) for one in interfaces
    ]

    def number(of: frozenset[str]) -> int:
        return words.setdefault(of, len(words))

    kept = [
        [*(g.kind, g.source, g.target, g.tclass), number(g.permissions), g.condition, g.result]
        + [number(g.source_except), number(g.target_except)]
        for g in grants
    ]
    told = {"format": FORMAT, "words": [sorted(one) for one in words], "grants": kept, "interfaces": rows}
    LocalHost().put(json.dumps(told, separators=(",", ":")).encode(), str(path))


def _written(one: Interface, numbers: list[int]) -> list[object]:
    heading = [
        one.name,
        one.kind,
        one.file,
        one.line,
        one.summary,
        one.parameters,
        one.required,
        one.deprecated,
    ]
    return [*heading, numbers, one.attributes, one.declares, one.requires, one.broken]

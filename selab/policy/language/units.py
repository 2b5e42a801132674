"""The parts of a .te that can be taken away by themselves, and the text without some of them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from selab.policy.language.te import Block, Call, Item, Statement, placed, tokens

_RULES = frozenset({"allow", "auditallow", "dontaudit", "allowxperm", "auditallowxperm", "dontauditxperm"})
_RULES |= {
    "type_transition",
    "type_change",
    "type_member",
    "range_transition",
    "role_transition",
    "typeattribute",
    "permissive",
}
"""Statements that may go without anything else being declared less."""
_BLOCKS = frozenset({"optional_policy", "tunable_policy", "optional", "if"})
_REQUIRED = re.compile(r"^[ \t]*(?:type|attribute|bool|role)[ \t]+(\w+);[ \t]*\n", re.MULTILINE)
_NOTHING_REQUIRED = re.compile(r"^gen_require\(`\s*'\)[ \t]*\n", re.MULTILINE)
_ALLOW = re.compile(
    r"(?P<head>^[ \t]*allow\b[^;{}#\n]*(?:\{[^{}\n]*\}[^;{}#\n]*)?:[ \t]*(?P<tclass>\w+)[ \t]*)\{(?P<names>[\w\s]*)\}[ \t]*;",
    re.MULTILINE,
)
_WRITTEN_BY_SUGGEST = re.compile(r"^# \S+ \S+:\w+ ")


@dataclass(frozen=True)
class Unit:
    """A rule, a call or a block: its text, and from where to where it stands, its lines' ends included."""

    text: str
    start: int
    end: int


def units(te: str) -> tuple[Unit, ...]:
    """What can be taken away from a module's text, in its order: rules, calls of interfaces, whole blocks.

    Declarations and templates stay: without them nothing is left to be tried.
    """
    return tuple(_whole_lines(te, start, end) for item, start, end in placed(tokens(te)) if _may_go(item))


def _may_go(item: Item) -> bool:
    match item:
        case Call(name=name):
            return name not in ("policy_module", "module") and not name.endswith("_template")
        case Statement():
            return item.kind in _RULES
        case Block(name=name):
            return name in _BLOCKS


def _whole_lines(te: str, start: int, end: int) -> Unit:
    """The part with the rest of its last line, where that is only a comment, and what `selab suggest` has written above it."""
    text = te[start:end]
    rest = re.compile(r"[ \t]*(#[^\n]*)?(\n|$)").match(te, end)
    head = te.rfind("\n", 0, start) + 1
    if rest is None or te[head:start].strip():
        return Unit(text, start, end)
    above = te.rfind("\n", 0, max(head - 1, 0)) + 1
    if head and _WRITTEN_BY_SUGGEST.match(te[above:head]):
        head = above
    return Unit(text, head, rest.end())


def without(te: str, gone: Collection[Unit]) -> str:
    """The text without these units; nor what only they needed: names in gen_require, and the comments of a paragraph that is empty now."""
    if not gone:
        return te
    left = "".join(_left(te, gone))

    def kept(required: re.Match[str]) -> str:
        """One that nothing used before is a template's, which makes its name of an argument."""
        return required[0] if _is_used(required[1], left) or not _is_used(required[1], te) else ""

    return _NOTHING_REQUIRED.sub("", _REQUIRED.sub(kept, left))


def _left(te: str, gone: Collection[Unit]) -> Iterator[str]:
    """The paragraphs (lines up to an empty one) that are left."""
    for found in re.finditer(r"(?:[^\n]*\S[^\n]*(?:\n|$))+|\n", te):
        inside = [unit for unit in gone if found.start() <= unit.start < found.end()]
        text, at = "", found.start()
        for unit in sorted(inside, key=lambda each: each.start):
            text, at = text + te[at : unit.start], max(at, unit.end)
        text += te[at : max(at, found.end())]
        lines = [line for line in text.splitlines() if line.strip()]
        is_empty = inside and all(
            line.startswith("#") and not line.startswith("# selab suggest") for line in lines
        )
        yield "" if is_empty else text


def _is_used(name: str, text: str) -> bool:
    """Whether `name` stands anywhere but in one declaration, which is its own."""
    code = re.sub(r"#[^\n]*", "", text)
    return len(re.findall(rf"\b{re.escape(name)}\b", code)) > 1


def narrowed(te: str, needed: Mapping[str, Collection[str]]) -> str:
    """The text with only the permissions that are `needed` of their class in the braces of its allow rules.

    A set that would be empty stays, and what is a name for several permissions (`rw_file_perms`).
    """

    def braces(found: re.Match[str]) -> str:
        words = found["names"].split()
        kept = [name for name in words if name in needed.get(found["tclass"], ()) or name.endswith("_perms")]
        if not kept or kept == words:
            return found[0]
        return f"{found['head']}{kept[0] if len(kept) == 1 else '{ ' + ' '.join(kept) + ' }'};"

    return _ALLOW.sub(braces, te)

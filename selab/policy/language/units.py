"""Split a .te into the parts that can be removed one by one, and produce the text without some of them."""

from __future__ import annotations

import io
import re
from collections import Counter, deque
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from selab.policy.language.commands import commands_in_te, in_te
from selab.policy.language.te import Block, Call, Item, Statement, placed, tokens

_RULES = frozenset({"allow", "auditallow", "dontaudit"})
_RULES |= {
    "type_transition",
    "type_change",
    "type_member",
    "range_transition",
    "role_transition",
    "typeattribute",
    "permissive",
}
"""Statements that can be removed without removing a declaration. Extended rules are not among them: each of
them limits `ioctl` to the listed commands, so that a policy without it would allow more."""
_LIMITS = re.compile(r"\b(?:allow|auditallow|dontaudit)xperm\b")
_ENTERED = re.compile(r"init_(ranged_)?((daemon|system)_)?domain")
"""The interfaces by which systemd enters a domain. Without one, a service does not run in its domain."""
_BLOCKS = frozenset({"optional_policy", "tunable_policy", "optional", "if"})
_REQUIRED = re.compile(r"^[ \t]*(?:type|attribute|bool|role)[ \t]+(\w+);[ \t]*\n", re.MULTILINE)
_NOTHING_REQUIRED = re.compile(r"^gen_require\(`\s*'\)[ \t]*\n", re.MULTILINE)
_ALLOW = re.compile(
    r"(?P<head>^[ \t]*allow\b[^;{}#\n]*(?:\{[^{}\n]*\}[^;{}#\n]*)?:[ \t]*(?P<tclass>\w+)[ \t]*)"
    r"\{(?P<names>[\w\s]*)\}[ \t]*;",
    re.MULTILINE,
)
_ALLOWXPERM = re.compile(
    r"(?P<head>^[ \t]*allowxperm\b[^;{}#\n]*(?:\{[^{}\n]*\}[^;{}#\n]*)?:"
    r"[ \t]*(?P<tclass>\w+)[ \t]+ioctl[ \t]*)"
    r"\{(?P<commands>[ \t0-9a-fA-FxX-]+)\}[ \t]*;",
    re.MULTILINE,
)
_WRITTEN_BY_SUGGEST = re.compile(r"^# \S+ \S+:\w+ ")


@dataclass(frozen=True)
class Unit:
    """A rule, a call or a block in the text of a module.

    text: the unit itself.
    start, end: offsets of the unit in the module's text, including its line ends.
    """

    text: str
    start: int
    end: int


def units(te: str) -> tuple[Unit, ...]:
    """Return the rules, interface calls and whole blocks that can be removed from a module, in their order.

    Declarations, template calls and the calls by which systemd enters a domain are not units: without them
    there is nothing left to test.
    """
    return tuple(
        _whole_lines(te, start, end)
        for item, start, end in placed(tokens(te))
        if _may_go(item) and not _LIMITS.search(te, start, end)
    )


def _may_go(item: Item) -> bool:
    match item:
        case Call(name=name):
            declares = name in ("policy_module", "module") or name.endswith("_template")
            return not declares and not _ENTERED.fullmatch(name)
        case Statement():
            return item.kind in _RULES
        case Block(name=name):
            return name in _BLOCKS


def _whole_lines(te: str, start: int, end: int) -> Unit:
    """Extend the part by a trailing comment on its last line and by the comment that `selab suggest` wrote
    above it.
    """
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
    """Return the text without these units, their gen_require names and the comments of emptied paragraphs.

    A name stays in gen_require if another statement still uses it. What the module itself declares stays,
    because its file contexts may use it.
    """
    if not gone:
        return te
    left = "".join(_left(te, gone))
    uses_left, uses_before, declared = _uses(left), _uses(te), _declared(te)

    def replacement(required: re.Match[str]) -> str:
        """Keep a name that nothing used before: a template builds that name from an argument."""
        name = required[1]
        return required[0] if uses_left[name] > 1 or uses_before[name] <= 1 or name in declared else ""

    return _NOTHING_REQUIRED.sub("", _REQUIRED.sub(replacement, left))


def _declared(te: str) -> frozenset[str]:
    """Return the names that the module declares, and does not only require."""
    statements = (
        te[start:end].split() for item, start, end in placed(tokens(te)) if isinstance(item, Statement)
    )
    return frozenset(
        words[1].rstrip(";,")
        for words in statements
        if words[0] in ("type", "attribute", "bool", "role") and len(words) > 1
    )


def _left(te: str, gone: Collection[Unit]) -> Iterator[str]:
    """Yield what remains of each paragraph (the lines up to an empty line)."""
    waiting = deque(sorted(gone, key=lambda each: each.start))
    for start, end in _paragraphs(te):
        inside: list[Unit] = []
        while waiting and waiting[0].start < end:
            unit = waiting.popleft()
            if unit.start >= start:
                inside.append(unit)
        parts, at = [], start
        for unit in inside:
            parts.append(te[at : unit.start])
            at = max(at, unit.end)
        text = "".join(parts) + te[at : max(at, end)]
        lines = [line for line in text.splitlines() if line.strip()]
        is_empty = inside and all(
            line.startswith("#") and not line.startswith("# selab suggest") for line in lines
        )
        yield "" if is_empty else text


def _paragraphs(te: str) -> Iterator[tuple[int, int]]:
    """Yield where each run of lines with text begins and ends, and the line end of each empty line."""
    start = at = 0
    for line in io.StringIO(te, newline="\n"):
        at += len(line)
        if line.strip():
            continue
        if start < at - len(line):
            yield start, at - len(line)
        if line.endswith("\n"):
            yield at - 1, at
        start = at
    if start < at:
        yield start, at


def _uses(text: str) -> Counter[str]:
    """Count each name outside comments. A name that is used occurs more than once: its declaration counts."""
    return Counter(re.findall(r"\w+", re.sub(r"#[^\n]*", "", text)))


def narrowed(
    te: str, needed: Mapping[str, Collection[str]], commands: Mapping[str, int] | None = None
) -> str:
    """Reduce the permission sets of the allow rules to the permissions that are `needed` of their class, and
    the sets of the allowxperm rules to the ioctl `commands`.

    A set that would become empty stays, and so do names of permission sets (`rw_file_perms`), complements of
    commands, and the commands of a class without known ones.
    """

    def braces(match: re.Match[str]) -> str:
        words = match["names"].split()
        needed_names = [
            name for name in words if name in needed.get(match["tclass"], ()) or name.endswith("_perms")
        ]
        if not needed_names or needed_names == words:
            return match[0]
        braced = needed_names[0] if len(needed_names) == 1 else f"{{ {' '.join(needed_names)} }}"
        return f"{match['head']}{braced};"

    def limited(match: re.Match[str]) -> str:
        listed = commands_in_te(match["commands"])
        left = listed & (commands or {}).get(match["tclass"], 0)
        return f"{match['head']}{in_te(left)};" if left and left != listed else match[0]

    return _ALLOWXPERM.sub(limited, _ALLOW.sub(braces, te))

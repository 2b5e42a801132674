"""The lines of file contexts, as a module's CIL declares them and as `setfiles` reads them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from selab.policy.language.cil import Node, statements, text_of
from selab.policy.pattern import MatchTime

_LITERAL = re.compile(r"(?:\\.|[^.^$?*+|\[({\\])*")
"""Matches up to the first character that makes a path a pattern (libsemanage: semanage_fc_find_meta)."""
_BEGINNING = re.compile(r"(?:\\[^A-Za-z0-9]|[^.^$?*+|\[({\\])*")
"""Matches the beginning of a pattern that every matching path has, but for its last character."""
_ALIAS = re.compile(r"\(typealiasactual (\S+) (\S+)\)")
_NO_LEVEL = "systemlow"
"""The level of a module that was compiled without levels, which its base declares (module_to_cil.c)."""
_LABELS = re.compile(r"\((?:filecon|context|level|levelrange) ")
KINDS = {
    "any": "",
    "file": "--",
    "dir": "-d",
    "char": "-c",
    "block": "-b",
    "socket": "-s",
    "pipe": "-p",
    "symlink": "-l",
}
TEMPLATES = ("HOME_DIR", "HOME_ROOT")
"""Lines for home directories, which genhomedircon expands, begin with these words; a run has no homes."""
USERS = ("USER", "ROLE")
"""Lines with these words, such as `%{USERID}`, are for it too (libsemanage, semanage_split_fc)."""
SHALLOW = 2
"""Components that a path needs to be searched for files to label, to avoid scanning all of /usr or /var."""


@dataclass(frozen=True)
class FileSpec:
    """One line of file contexts; the last line that matches a path applies.

    pattern: regular expression that matches whole paths.
    kind: `--` and the like for one kind of file, or empty for all.
    context: the context, or `<<none>>`.
    """

    pattern: str
    kind: str
    context: str

    def __str__(self) -> str:
        return "\t".join(part for part in (self.pattern, self.kind, self.context) if part)

    @property
    def type(self) -> str:
        """Return the type of the context, or "" for `<<none>>`."""
        return self.context.split(":")[2] if self.context.count(":") > 1 else ""

    def resolved(self, aliases: Mapping[str, str]) -> FileSpec:
        """Return the line with the type's own name if it has an alias, which is a key of `aliases`."""
        user, role, name, *level = self.context.split(":", 3) if self.context.count(":") > 1 else ["", "", ""]
        return (
            replace(self, context=":".join([user, role, aliases[name], *level])) if name in aliases else self
        )

    @property
    def is_template(self) -> bool:
        """Return whether genhomedircon expands the line."""
        return self.pattern.startswith(TEMPLATES) or any(word in str(self) for word in USERS)

    @property
    def stem(self) -> str:
        """Return what every matching path begins with."""
        return _unescaped(self._literal)

    @property
    def is_pattern(self) -> bool:
        return self._literal != self.pattern

    @property
    def place(self) -> str:
        """Return the path that contains all matches: for a pattern, the directory of its stem."""
        if not self.is_pattern or self.pattern[len(self._literal) :].startswith("(/"):
            return self.stem
        return self.stem.rsplit("/", 1)[0]

    @property
    def is_deep(self) -> bool:
        """Return whether its place can be searched: an absolute path that is not too wide."""
        return self.place.startswith("/") and self.place.count("/") >= SHALLOW

    @property
    def _literal(self) -> str:
        match = _LITERAL.match(self.pattern)
        return match[0] if match else ""

    @property
    def rank(self) -> tuple[bool, int, int, bool]:
        """Return the sort key; more specific is greater (libsemanage, src/semanage_store.c).

        A path is more specific than a pattern, a longer stem or text than a shorter one, one kind of file
        than all.
        """
        return not self.is_pattern, len(self.stem), len(_unescaped(self.pattern)), bool(self.kind)

    def matches(self, path: str, limit: MatchTime) -> bool:
        """Return whether the pattern matches `path`, for any kind of file, within `limit`.

        Raises UnreadablePattern if selab cannot evaluate the pattern, unless its beginning decides.
        """
        return path.startswith(self._beginning) and limit.matches(self.pattern, path)

    @property
    def _beginning(self) -> str:
        """Return what every matching path begins with. To compile thousands of patterns takes a second."""
        match = _BEGINNING.match(self.pattern)
        if match is None or "|" in self.pattern:
            return ""
        text = _unescaped(match[0])
        return text[:-1] if self.pattern[match.end() : match.end() + 1] in ("?", "*", "{") else text


def read_specs(lines: Iterable[str]) -> Iterator[FileSpec]:
    """Parse lines of file contexts (selabel_file(5)); comments and lines of another form are left out."""
    for line in lines:
        words = line.split()
        if len(words) in (2, 3) and not words[0].startswith("#"):
            yield FileSpec(words[0], words[1] if len(words) == 3 else "", words[-1])


def filecons(cil: str) -> list[FileSpec]:
    """Parse the file contexts of a module's CIL or of a flat base, with those that genhomedircon expands.

    A line is `(filecon "PATH" KIND (USER ROLE TYPE (LOW HIGH)))`, with `()` for `<<none>>`. In a module that
    is written in CIL, the statement may be in a block or in the call of a macro, and use a context, a range
    or a level by its name (secilc's CIL reference). secil2tree does not print a path that is an argument of a
    macro, so such a line is left out.
    """
    written: list[list[Node]] = []
    named: dict[tuple[str, str], Node] = {("level", _NO_LEVEL): ["s0"]}
    for line in cil.split("\n"):
        if _LABELS.search(line):
            for statement in statements(line):
                _sort(statement, written, named)
    specs = (_spec(pattern, kind, context, named) for _, pattern, kind, context in written)
    return [spec for spec in specs if spec and spec.pattern.startswith(("/", *TEMPLATES))]


def _sort(statement: Node, written: list[list[Node]], named: dict[tuple[str, str], Node]) -> None:
    """Add the `filecon` statements in a statement, and the contexts, ranges and levels with a name."""
    match statement:
        case ["filecon", _, _, _]:
            written.append(statement)
        case ["context" | "levelrange" | "level" as kind, str(name), value]:
            named[kind, name] = value
        case ["macro", *_] | str():
            pass  # the calls of a macro have its statements with their arguments
        case _:
            for part in statement:
                _sort(part, written, named)


def _spec(pattern: Node, kind: Node, context: Node, named: Mapping[tuple[str, str], Node]) -> FileSpec | None:
    def value(of: str, node: Node) -> Node:
        return named.get((of, node), "") if isinstance(node, str) else node

    match pattern, kind, value("context", context):
        case str(), str(), []:
            return FileSpec(pattern.strip('"'), KINDS[kind], "<<none>>")
        case str(), str(), [str(user), str(role), str(name), levels]:
            ends = [_level(value("level", level)) for level in value("levelrange", levels)]
            context = ":".join([user, role, name, "-".join(dict.fromkeys(ends))])
            return FileSpec(pattern.strip('"'), KINDS[kind], context)
    return None


def _level(level: Node) -> str:
    """Format a level as a context has it: `s0`, `s0:c1,c5.c7`."""
    match level:
        case [str(sensitivity)]:
            return sensitivity
        case [str(sensitivity), *categories]:
            return f"{sensitivity}:{','.join(map(_categories, categories))}"
    return text_of(level)


def _categories(expression: Node) -> str:
    match expression:
        case ["range", str(first), str(last)]:
            return f"{first}.{last}"
        case [*parts]:
            return ",".join(map(_categories, parts))
    return text_of(expression)


def aliases(cil: str) -> dict[str, str]:
    """Return the types' own names by their aliases in `cil`, for FileSpec.resolved."""
    return dict(_ALIAS.findall(cil))


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)

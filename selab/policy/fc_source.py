"""The entries of a module's .fc after m4, each with its line in the file that the user wrote."""

from __future__ import annotations

import re
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from selab.errors import InputError
from selab.policy.base import HOMES, BasePolicy
from selab.policy.filecon import FileSpec, aliases
from selab.policy.macros import header_macros
from selab.policy.module import PolicyModule

SYNTAX = re.compile(
    r"(?P<pattern>[^\s#]\S*)(?:\s+(?P<kind>-[-bcdpls]))?\s+"
    r"(?P<context>(?:[\w$]+:){2}(?P<type>[\w$]+)(?::\S+)?|<<none>>)"
)
"""An entry after m4 (file_contexts(5))."""
BEGINNINGS = ("/", "HOME_DIR", "HOME_ROOT")
"""An entry's path begins with one of these."""
FORM = "Write: /path(/.*)?  --  gen_context(system_u:object_r:TYPE,s0), without `--` for every kind of file."

_SYNC = re.compile(r'#line (\d+)(?: "(?:.*/)?([^"/]*)")?')
_PATH = re.compile(r"^[ \t]*((?:/|HOME_DIR|HOME_ROOT)[^\s#]*)")
_QUOTED = re.compile(r"`[^`'\n]*'")
_WORD = re.compile(r"\b([A-Za-z_]\w*)(?P<call>\()?")
_DEFINED = re.compile(r"\bdefine\(`(\w+)'")
_BUILTINS = re.compile(
    r"change(?:com|quote)|debug(?:file|mode)|(?:un)?divert|divnum|dnl|dumpdef|m4exit|sysval|trace(?:off|on)|"
    r"__(?:gnu|unix|file|line|program)__"
)
"""Macros of GNU m4 that need no arguments, so m4 replaces the word alone."""
_CALLED_BUILTINS = re.compile(
    r"builtin|changeword|decr|define|defn|errprint|esyscmd|eval|format|ifdef|ifelse|s?include|incr|index|"
    r"indir|len|m4wrap|maketemp|mkstemp|patsubst|popdef|pushdef|regexp|shift|substr|syscmd|translit|undefine"
)
"""Macros of GNU m4 that m4 replaces only before a parenthesis, as in `index(/.*)?`."""


@dataclass(frozen=True)
class Entry:
    """A line of file contexts after m4.

    line: its line in the user's file, counted from 1; for the output of a macro, the line of the call.
    text: the line.
    """

    line: int
    text: str

    @property
    def spec(self) -> FileSpec | None:
        """The entry's parts, or None if the line is not an entry."""
        match = SYNTAX.fullmatch(self.text)
        if match is None or not match["pattern"].startswith(BEGINNINGS):
            return None
        return FileSpec(match["pattern"], match["kind"] or "", match["context"])


@dataclass(frozen=True)
class MacroWord:
    """A word of a path that m4 replaces.

    line: its line, counted from 1.
    path: the path as the user wrote it.
    word: the word.
    quoted: the path with the word in m4's quotes, so that m4 leaves it as it is.
    """

    line: int
    path: str
    word: str
    quoted: str

    @property
    def problem(self) -> str:
        return f"m4 replaces the word '{self.word}' of the path '{self.path}', because it is a macro."

    @property
    def remedy(self) -> str:
        return f"Quote the word: {self.quoted}"


def macro_words(text: str, base: BasePolicy) -> Iterator[MacroWord]:
    """Yield the words of paths in a .fc that m4 replaces.

    These are m4's own macros, and those of the headers' support files, which come before the .fc. Without
    quotes around it, `interface` in a path turns into a piece of a macro, and `divert` disappears.
    """
    if not text.strip():
        return
    support: set[str] = set()
    for file in sorted((base.headers / "include" / "support").glob("*.spt")):
        support.update(_DEFINED.findall(file.read_text(errors="replace")))
    for number, line in enumerate(text.split("\n"), 1):
        path = match[1] if (match := _PATH.match(line)) else ""
        for word in _WORD.finditer(_QUOTED.sub(lambda quoted: " " * len(quoted[0]), path)):
            if (
                word[1] in support
                or _BUILTINS.fullmatch(word[1])
                or (word["call"] and _CALLED_BUILTINS.fullmatch(word[1]))
            ):
                start, end = word.span(1)
                yield MacroWord(number, path, word[1], f"{path[:start]}`{word[1]}'{path[end:]}")


def entries(module: PolicyModule, base: BasePolicy) -> list[Entry]:
    """Return the lines of the module's .fc after m4, without comments and empty lines.

    Needs m4 on this machine if the module has a .fc. Raises InputError if m4 cannot read the .fc.
    """
    source = module.texts.get("fc", b"")
    if not source.strip():
        return []
    with tempfile.TemporaryDirectory(prefix="selab-contexts-") as name:
        path = Path(name) / f"{module.name}.fc"
        path.write_bytes(source)
        done = header_macros(base).expand_contexts(path, lines=True)
    if not done.ok:
        fault = re.search(r"\.fc:(\d+): *(.+)", done.error_text)
        raise InputError(
            "m4 cannot read the file contexts.",
            f"{module.path.with_suffix('.fc')}:{fault[1] if fault else 1}: "
            + (fault[2] if fault else done.error_text.strip()[:200]),
            "Look for an unclosed quote ` or '.",
        )
    return list(_exact(expanded_lines(done.text, path.name), module))


def expanded_lines(output: str, file: str) -> Iterator[Entry]:
    """Yield the lines that m4 made of `file`, from output with synchronization lines (m4's option -s)."""
    name, line = "", 0
    for text in output.splitlines():
        if sync := _SYNC.fullmatch(text):
            line = int(sync[1])
            name = sync[2] if sync[2] is not None else name
            continue
        if name == file and (entry := text.strip()) and not entry.startswith("#"):
            yield Entry(line, entry)
        line += 1


def _exact(expanded: Iterable[Entry], module: PolicyModule) -> Iterator[Entry]:
    """Correct the line of each entry that the user wrote in the arguments of a macro, such as `ifdef`.

    m4 reports the line of the macro's name for all lines of its arguments.
    """
    written: defaultdict[str, list[int]] = defaultdict(list)
    lines = module.texts["fc"].decode("utf-8", "backslashreplace").split("\n")
    for number in range(len(lines), 0, -1):
        if words := lines[number - 1].split():
            written[words[0]].append(number)
    for entry in expanded:
        candidates = written[entry.text.split()[0]]
        while candidates and candidates[-1] < entry.line:
            candidates.pop()
        yield Entry(candidates.pop() if candidates else entry.line, entry.text)


@dataclass(frozen=True)
class Conflict:
    """Two entries for the same path and kind of file with different contexts, which libsepol refuses.

    line: line of the later entry in the module's .fc.
    spec: the later entry.
    other: the entry that it contradicts.
    place: where the other entry is.
    """

    line: int
    spec: FileSpec
    other: FileSpec
    place: str

    @property
    def problem(self) -> str:
        path = " ".join(part for part in (self.spec.pattern, self.spec.kind) if part)
        return f"'{path}' has the context {self.spec.context} here, and {self.other.context} {self.place}."

    @property
    def remedy(self) -> str:
        return "Remove one of the entries, or write a more specific path: two contexts for one path conflict."


def conflicts(
    own: Iterable[tuple[int, FileSpec]], others: Iterable[tuple[str, FileSpec]], base: BasePolicy
) -> list[Conflict]:
    """Return the entries that contradict an earlier one, one of `others`, or one of the base policy.

    `own` are a module's entries with their lines, `others` those of other modules with their places. libsepol
    3.4 to 3.8 refuses such entries only if it reports warnings as well.
    """
    theirs = (*base.file_contexts(), *base.file_contexts(HOMES))
    first = {(spec.pattern, spec.kind): (spec, "in the base policy") for spec in theirs}
    for place, spec in others:
        first.setdefault((spec.pattern, spec.kind), (spec, f"in {place}"))
    different = []
    for line, spec in own:
        other, place = first.setdefault((spec.pattern, spec.kind), (spec, f"in line {line}"))
        if _comparable(spec.context) != _comparable(other.context):
            different.append(Conflict(line, spec, other, place))
    names = aliases(base.flat.read_text()) if different else {}
    return [
        each
        for each in different
        if _comparable(each.spec.resolved(names).context) != _comparable(each.other.resolved(names).context)
    ]


def _comparable(context: str) -> tuple[str, ...]:
    """Return what libsepol compares: of the categories only whether a level has any (cil_post.c)."""
    user, role, name, *levels = context.split(":", 3) if context.count(":") > 1 else ("", "", context)
    low, _, high = "".join(levels).replace(" ", "").partition("-")
    return user, role, name, *(re.sub(r":.*", ":", level) for level in (low, high or low))


class WrittenEntries:
    """The entries of a module's .fc as the user wrote them, before m4."""

    def __init__(self, module: PolicyModule) -> None:
        self._by_path: defaultdict[str, list[tuple[int, list[str]]]] = defaultdict(list)
        self._found: dict[tuple[str, str, str], int] = {}
        text = module.texts.get("fc", b"").decode("utf-8", "backslashreplace")
        for number, line in enumerate(text.split("\n"), 1):
            if words := line.split():
                self._by_path[words[0]].append((number, words))

    def line(self, spec: FileSpec) -> int:
        """Return the last line that begins with the path of `spec`, or 0 if a macro wrote the entry.

        A line with the type and the kind of `spec` is preferred.
        """
        name = spec.type or spec.context
        key = (spec.pattern, spec.kind, name)
        if key not in self._found:
            self._found[key] = max(
                (
                    (name in words[-1], spec.kind in words if spec.kind else len(words) == 2, number)
                    for number, words in self._by_path.get(spec.pattern, [])
                ),
                default=(False, False, 0),
            )[-1]
        return self._found[key]


def equivalences(base: BasePolicy) -> list[tuple[str, str]]:
    """Return the guest's equivalences: paths, and the paths that are looked up in their place.

    libselinux applies those of `semanage fcontext -e` (file_contexts.subs) first, and then those of the
    distribution (file_contexts.subs_dist) to the result (label_file.c, selabel_sub_key).
    """
    local, distributed = _pairs(base, "subs"), _pairs(base, "subs_dist")
    hidden = [path for path, _ in local]
    return [(path, looked_up(target, distributed)) for path, target in local] + [
        pair for pair in distributed if not any(_is_below(pair[0], path) for path in hidden)
    ]


def _pairs(base: BasePolicy, suffix: str) -> list[tuple[str, str]]:
    path = base.directory / "contexts" / "files" / f"file_contexts.{suffix}"
    lines = path.read_text(errors="replace").splitlines() if path.is_file() else []
    words = [line.split() for line in lines]
    return [(pair[0], pair[1]) for pair in words if len(pair) == 2 and not pair[0].startswith("#")]


def _is_below(path: str, directory: str) -> bool:
    return path == directory or path.startswith(f"{directory.rstrip('/')}/")


def looked_up(path: str, equivalent: Iterable[tuple[str, str]]) -> str:
    """Return the path that libselinux looks up for `path`: of two equivalences, the longer one applies."""
    below = [pair for pair in equivalent if _is_below(path, pair[0])]
    source, target = max(below, key=lambda pair: len(pair[0]), default=("", ""))
    return target.rstrip("/") + path.removeprefix(source.rstrip("/")) or "/"


def other_names(path: str, equivalent: Iterable[tuple[str, str]]) -> list[str]:
    """Return the paths that libselinux looks up as `path`."""
    pairs = list(equivalent)
    names = [
        source.rstrip("/") + path.removeprefix(target.rstrip("/"))
        for source, target in pairs
        if _is_below(path, target)
    ]
    return [name for name in dict.fromkeys(names) if looked_up(name, pairs) == path]


def rewritten(pattern: str, equivalent: Iterable[tuple[str, str]]) -> str:
    """Return the pattern to write in place of `pattern`, or an empty string if `pattern` can match.

    The guest looks up a path below an equivalence under another path, so an entry for it never matches.
    """
    for path, target in equivalent:
        rest = _after(pattern, path.rstrip("/"))
        if rest is not None and (not rest or rest.startswith(("/", "(/"))):
            new = "".join(f"\\{char}" if char in ".^$?*+|[({\\" else char for char in target.rstrip("/"))
            return "" if new + rest == pattern else new + rest
    return ""


def _after(pattern: str, path: str) -> str | None:
    """Return what follows the literal `path` in a pattern; None if the pattern does not begin with it."""
    at = 0
    for char in path:
        at += pattern.startswith(f"\\{char}", at)
        if not pattern.startswith(char, at):
            return None
        at += 1
    return pattern[at:]

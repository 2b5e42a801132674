"""File contexts: the base policy's and the candidates' as one list, in the order in which the last match counts."""

from __future__ import annotations

import hashlib
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from selab.policy.base import BasePolicy
from selab.policy.compile import CompiledModule

_LITERAL = re.compile(r"(?:\\.|[^.^$?*+|\[({\\])*")
"""Up to the first character that makes a path a pattern (libsemanage, src/semanage_store.c: semanage_fc_find_meta)."""
_FILECON = re.compile(r'^\s*\(filecon "([^"]*)" (\w+) (\(.*\))\)$', re.MULTILINE)
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
"""Beginnings of lines for every user's home, which genhomedircon expands; a run has nobody's home."""
SHALLOW = 2
"""Parts a path must have to be searched for files to label: nobody wants all of /usr or /var looked through for a run."""


@dataclass(frozen=True)
class FileSpec:
    """One line: a pattern that matches whole paths, `--` and the like for one kind of file or nothing for all, and a context."""

    pattern: str
    kind: str
    context: str

    def __str__(self) -> str:
        return "\t".join(part for part in (self.pattern, self.kind, self.context) if part)

    @property
    def stem(self) -> str:
        """What every path that it matches begins with."""
        return _unescaped(self._literal)

    @property
    def is_pattern(self) -> bool:
        return self._literal != self.pattern

    @property
    def place(self) -> str:
        """The path that holds all that it matches: itself where it is no pattern, otherwise the directory that its stem ends in."""
        if not self.is_pattern or self.pattern[len(self._literal) :].startswith("(/"):
            return self.stem
        return self.stem.rsplit("/", 1)[0]

    @property
    def is_deep(self) -> bool:
        """Whether its place is one to search for files: an absolute path, which no program reads as an option, and not too wide."""
        return self.place.startswith("/") and self.place.count("/") >= SHALLOW

    @property
    def _literal(self) -> str:
        found = _LITERAL.match(self.pattern)
        return found[0] if found else ""

    @property
    def rank(self) -> tuple[bool, int, int, bool]:
        """More specific is greater: no pattern, a longer stem, a longer text, one kind of file (libsemanage, src/semanage_store.c)."""
        return not self.is_pattern, len(self.stem), len(_unescaped(self.pattern)), bool(self.kind)

    def matches(self, path: str) -> bool:
        """Whether the pattern matches `path`, whatever kind of file that is. False where Python cannot read the pattern."""
        try:
            with warnings.catch_warnings(action="ignore"):
                return re.fullmatch(self.pattern, path) is not None
        except (re.error, OverflowError, RecursionError):
            return False


@dataclass(frozen=True)
class FileContexts:
    """`own` are the candidates' lines; `text` has the base policy's as well, as `setfiles` reads them."""

    own: tuple[FileSpec, ...]
    text: str

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()[:20]

    @property
    def places(self) -> tuple[str, ...]:
        """Where in a file system something may lie that a candidate labels, none within another."""
        found = sorted({spec.place for spec in self.own if spec.is_deep})
        return tuple(path for path in found if not any(path.startswith(f"{other}/") for other in found))

    @property
    def too_wide(self) -> tuple[str, ...]:
        """The candidates' patterns that are not looked for, since they may match anywhere."""
        return tuple(spec.pattern for spec in self.own if not spec.is_deep)

    def cover(self, directory: str) -> bool:
        """Whether a candidate has a line for `directory` or for what lies in it."""
        return any(spec.matches(directory) or spec.matches(f"{directory}/x") for spec in self.own)


def file_contexts(base: BasePolicy, candidates: Sequence[CompiledModule]) -> FileContexts:
    """The file contexts with `candidates`. A candidate's line takes the place of one of the base policy with the same pattern and kind."""
    own = tuple(spec for candidate in candidates for spec in _filecons(candidate.cil))
    if not own:
        return FileContexts((), "")
    return FileContexts(own, "".join(f"{spec}\n" for spec in specs_with(base, own)))


def specs_with(base: BasePolicy, own: Iterable[FileSpec] = ()) -> list[FileSpec]:
    """The guest's file contexts with `own`, in the order in which the last match counts; those of homes left out."""
    files = base.directory / "contexts" / "files"
    theirs = {(spec.pattern, spec.kind): spec for spec in _specs(_lines(files / "file_contexts"))}
    together = theirs | {(spec.pattern, spec.kind): spec for spec in own}
    local = {(spec.pattern, spec.kind): spec for spec in _specs(_lines(files / "file_contexts.local"))}
    ordered = sorted((spec for key, spec in together.items() if key not in local), key=lambda spec: spec.rank)
    return [*ordered, *local.values()]


def _lines(path: Path) -> list[str]:
    return path.read_text(errors="surrogateescape").splitlines() if path.exists() else []


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)


def _specs(lines: Iterable[str]) -> Iterator[FileSpec]:
    for line in lines:
        words = line.split()
        if len(words) in (2, 3) and not words[0].startswith("#"):
            yield FileSpec(words[0], words[1] if len(words) == 3 else "", words[-1])


def _filecons(cil: str) -> Iterator[FileSpec]:
    """What a module's .fc has become in CIL: `(filecon "PATH" KIND (USER ROLE TYPE (LOW HIGH)))`, with `()` for `<<none>>`."""
    for pattern, kind, context in _FILECON.findall(cil):
        if not pattern.startswith(TEMPLATES):
            user, role, name, *levels = re.findall(r"[^\s()]+", context) or ("", "", "")
            yield FileSpec(pattern, KINDS[kind], f"{user}:{role}:{name}:{levels[0]}" if user else "<<none>>")

"""Merge the file contexts of the base policy and of candidates into one ordered list."""

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
"""Matches up to the first character that makes a path a pattern (libsemanage: semanage_fc_find_meta)."""
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
"""Lines for home directories, which genhomedircon expands, begin with these words; a run has no homes."""
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

    def matches(self, path: str) -> bool:
        """Return whether the pattern matches `path`, for any kind of file, as far as Python can parse it."""
        try:
            with warnings.catch_warnings(action="ignore"):
                return re.fullmatch(self.pattern, path) is not None
        except (re.error, OverflowError, RecursionError):
            return False


@dataclass(frozen=True)
class FileContexts:
    """The file contexts under candidates.

    own: lines of the candidates.
    text: lines of the base policy and the candidates, as `setfiles` reads them.
    """

    own: tuple[FileSpec, ...]
    text: str

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()[:20]

    @property
    def places(self) -> tuple[str, ...]:
        """Return the paths under which a candidate may label files, none inside another."""
        places = sorted({spec.place for spec in self.own if spec.is_deep})
        return tuple(path for path in places if not any(path.startswith(f"{other}/") for other in places))

    @property
    def too_wide(self) -> tuple[str, ...]:
        """Return the candidates' patterns that are not searched for because they may match anywhere."""
        return tuple(spec.pattern for spec in self.own if not spec.is_deep)

    def cover(self, directory: str) -> bool:
        """Return whether a candidate has a line for `directory` or for files in it."""
        return any(spec.matches(directory) or spec.matches(f"{directory}/x") for spec in self.own)


def file_contexts(base: BasePolicy, candidates: Sequence[CompiledModule]) -> FileContexts:
    """Return the file contexts with `candidates`.

    A candidate's line replaces a line of the base policy with the same pattern and kind.
    """
    own = tuple(spec for candidate in candidates for spec in _filecons(candidate.cil))
    if not own:
        return FileContexts((), "")
    return FileContexts(own, "".join(f"{spec}\n" for spec in specs_with(base, own)))


def specs_with(base: BasePolicy, own: Iterable[FileSpec] = ()) -> list[FileSpec]:
    """Return the guest's file contexts with `own`, in order of precedence and without home directories."""
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
    """Parse a module's compiled .fc.

    A line is `(filecon "PATH" KIND (USER ROLE TYPE (LOW HIGH)))`, with `()` for `<<none>>`.
    """
    for pattern, kind, context in _FILECON.findall(cil):
        if not pattern.startswith(TEMPLATES):
            user, role, name, *levels = re.findall(r"[^\s()]+", context) or ("", "", "")
            yield FileSpec(pattern, KINDS[kind], f"{user}:{role}:{name}:{levels[0]}" if user else "<<none>>")

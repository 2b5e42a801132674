"""Merge the file contexts of the base policy and of candidates into one ordered list."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from selab.policy.base import BasePolicy
from selab.policy.compile import CompiledModule
from selab.policy.fc_source import equivalences, looked_up, other_names, rewritten
from selab.policy.filecon import FileSpec, filecons
from selab.policy.pattern import MatchTime, compiled_pattern


@dataclass(frozen=True)
class FileContexts:
    """The file contexts under candidates.

    own: lines of the candidates.
    text: lines of the base policy and the candidates, as `setfiles` reads them.
    equivalent: the guest's equivalences: paths, and the paths that are looked up in their place.
    """

    own: tuple[FileSpec, ...]
    text: str
    equivalent: tuple[tuple[str, str], ...] = ()

    @property
    def data(self) -> bytes:
        """Return the text as bytes. The local lines of the base policy may contain any bytes."""
        return self.text.encode("utf-8", "surrogateescape")

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.data).hexdigest()[:20]

    @property
    def places(self) -> tuple[str, ...]:
        """Return the paths under which a candidate may label files, none inside another.

        A file with another name for such a path gets its label too: if /run is equivalent to /var/run,
        a line for /var/run/x labels /run/x.
        """
        lines = {spec.place for spec in self.own if spec.is_deep}
        places = sorted(
            lines | {name for line in lines for name in other_names(line, self.equivalent)},
        )
        return tuple(path for path in places if not any(path.startswith(f"{other}/") for other in places))

    @property
    def too_wide(self) -> tuple[str, ...]:
        """Return the candidates' patterns that are not searched for because they may match anywhere."""
        return tuple(spec.pattern for spec in self.own if not spec.is_deep)

    def cover(self, directory: str) -> bool:
        """Return whether a candidate has a line for `directory` or for files in it.

        Raises UnreadablePattern if selab cannot evaluate a pattern in the time that all of them may take.
        """
        limit = MatchTime()
        place = looked_up(directory, self.equivalent)
        return any(spec.matches(path, limit) for spec in self.own for path in (place, f"{place}/x"))


def file_contexts(base: BasePolicy, candidates: Sequence[CompiledModule]) -> FileContexts:
    """Return the file contexts with `candidates`.

    A candidate's line replaces a line of the base policy with the same pattern and kind. Raises
    UnreadablePattern if selab cannot evaluate a pattern of a candidate.
    """
    specs = (spec for candidate in candidates for spec in filecons(candidate.cil))
    own = tuple(spec for spec in specs if not spec.is_template)
    for spec in own:
        compiled_pattern(spec.pattern)
    if not own:
        return FileContexts((), "")
    text = "".join(f"{spec}\n" for spec in specs_with(base, own))
    return FileContexts(own, text, tuple(equivalences(base)))


def never_matching(base: BasePolicy, contexts: FileContexts) -> list[tuple[str, str]]:
    """Return the candidates' patterns under an equivalence of the guest, each with the pattern to write.

    The guest looks up such a path under another one, so the pattern labels nothing. A pattern is left out if
    the candidates have the other one as well.
    """
    pairs = equivalences(base)
    own = {(spec.pattern, spec.kind): spec.context for spec in contexts.own}
    return [
        (pattern, path)
        for (pattern, kind), context in own.items()
        if (path := rewritten(pattern, pairs)) and own.get((path, kind)) != context
    ]


def specs_with(base: BasePolicy, own: Iterable[FileSpec] = ()) -> list[FileSpec]:
    """Return the guest's file contexts with `own`, in order of precedence and without home directories."""
    theirs = {(spec.pattern, spec.kind): spec for spec in base.file_contexts()}
    together = theirs | {(spec.pattern, spec.kind): spec for spec in own}
    local = {(spec.pattern, spec.kind): spec for spec in base.file_contexts("file_contexts.local")}
    ordered = sorted((spec for key, spec in together.items() if key not in local), key=lambda spec: spec.rank)
    return [*ordered, *local.values()]


def runtime_type(contexts: Path, what: str) -> str:
    """Return a type of container runtimes, or "" if the policy names none (selinux_lxc_contexts_path(3)).

    `contexts` is the policy's directory of that name, and `what` is `process`, `file` or another entry of its
    file lxc_contexts.
    """
    try:
        text = (contexts / "lxc_contexts").read_text(errors="replace")
    except OSError:
        return ""
    line = re.search(rf'^[^\S\n]*{what}\s*=\s*"[^:"]+:[^:"]+:([^:"]+)', text, re.MULTILINE)
    return line[1] if line else ""

"""The candidate as the user wrote it: NAME.te, and NAME.fc and NAME.if where they exist."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from selab.errors import InputError
from selab.project import Project, nearest

DECLARED_NAME = re.compile(r"^\s*(?:policy_module\s*\(\s*([\w.-]+)|module\s+([\w.-]+)\s+[\d.]+\s*;)", re.MULTILINE)


@dataclass(frozen=True)
class PolicyModule:
    """A policy module's sources.

    `texts` maps the ending (`te`, `fc`, `if`) to the file's bytes, read once, so that all of a run sees the same.
    """

    name: str
    directory: Path
    texts: dict[str, bytes]

    @property
    def te(self) -> Path:
        return self.directory / f"{self.name}.te"

    @property
    def digest(self) -> str:
        """Changes with every byte of every source."""
        whole = hashlib.sha256()
        for ending, text in sorted(self.texts.items()):
            whole.update(f"{ending} {len(text)}\n".encode() + text)
        return whole.hexdigest()

    def line(self, ending: str, number: int) -> str:
        """Line `number` (from 1) of a source, or nothing where there is none."""
        lines = self.texts.get(ending, b"").decode("utf-8", "backslashreplace").splitlines()
        return lines[number - 1].strip() if 0 < number <= len(lines) else ""


def policy_names(project: Project) -> list[str]:
    return sorted(path.stem for path in project.policies.glob("*.te"))


def load_module(project: Project, name: str) -> PolicyModule:
    """The policy module `name` of the project. Raises InputError for an unknown one, or one whose name is not its file's."""
    te = project.policies / f"{name}.te"
    if name not in policy_names(project):
        raise InputError(f"There is no policy '{name}'.", f"Looked in {project.policies}.", nearest(name, policy_names(project)))
    try:
        texts = {ending: path.read_bytes() for ending in ("te", "fc", "if") if (path := te.with_suffix(f".{ending}")).exists()}
    except OSError as error:
        raise InputError(f"The policy '{name}' cannot be read.", str(error)) from error
    if b"\0" in b"".join(texts.values()):
        raise InputError(f"The policy '{name}' is not text.", str(te))
    source = texts["te"].decode("utf-8", "backslashreplace")
    declared = DECLARED_NAME.search(source)
    if declared is None:
        raise InputError(f"The policy '{name}' does not say its name.", str(te), f"Begin it with `policy_module({name}, 1.0)`.")
    said = declared.group(1) or declared.group(2)
    if said != name:
        line = source[: declared.start(1 if declared.group(1) else 2)].count("\n") + 1
        raise InputError(
            f"The module '{said}' is in a file of another name.", f"{te}:{line}", f"Name the file {said}.te, or the module {name}."
        )
    return PolicyModule(name, project.policies, texts)

"""The candidate as the user wrote it: NAME.te, and NAME.fc and NAME.if where they exist."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from selab.errors import InputError
from selab.project import CONFIG, IDENTIFIER, PolicyConfig, Project, inside, nearest

DECLARED_NAME = re.compile(
    r"^\s*(?:policy_module\s*\(\s*([\w.-]+)|module\s+([\w.-]+)\s+[\d.]+\s*;)", re.MULTILINE
)


@dataclass(frozen=True)
class PolicyModule:
    """A policy module's sources.

    `texts` maps the ending (`te`, `fc`, `if`) to the file's bytes, read once, so that all of a run sees the same. `requires` are the other
    modules of the project that selab.yaml says it needs, those that they need among them, in the order in which they build on another.
    """

    name: str
    directory: Path
    texts: dict[str, bytes]
    requires: tuple[PolicyModule, ...] = ()

    @property
    def all(self) -> tuple[PolicyModule, ...]:
        """The modules that it requires, and itself: what is compiled, each beside the others, and linked together."""
        return (*self.requires, self)

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


def require_policy(project: Project, name: str) -> None:
    """Raise InputError, with the nearest names, unless the project has the policy `name`."""
    if name not in (known := policy_names(project)):
        hint = f"{nearest(name, known)} `selab new policy {name}` writes one to begin with.".strip()
        raise InputError(f"There is no policy '{name}'.", f"Looked in {project.policies}.", hint)


def load_module(project: Project, name: str, *, above: tuple[str, ...] = ()) -> PolicyModule:
    """The policy module `name` of the project. Raises InputError for an unknown one, or one whose name is not its file's.

    `above` are the modules that led here by requiring it.
    """
    require_policy(project, name)
    te = project.policies / f"{name}.te"
    if not IDENTIFIER.fullmatch(name):
        raise InputError(
            f"'{name}' cannot be a policy's name.",
            str(te),
            "Use letters, digits, '_', '.' and '-', a letter first.",
        )
    files = {
        ending: path for ending in ("te", "fc", "if") if (path := te.with_name(f"{name}.{ending}")).exists()
    }
    try:
        texts = {
            ending: inside(project.drafts or project.root, path, f"The policy '{name}'").read_bytes()
            for ending, path in files.items()
        }
    except OSError as error:
        raise InputError(f"The policy '{name}' cannot be read.", str(error)) from error
    if b"\0" in b"".join(texts.values()):
        raise InputError(f"The policy '{name}' is not text.", str(te))
    source = texts["te"].decode("utf-8", "backslashreplace")
    declared = DECLARED_NAME.search(source)
    if declared is None:
        raise InputError(
            f"The policy '{name}' does not say its name.",
            str(te),
            f"Begin it with `policy_module({name}, 1.0)`.",
        )
    said = declared.group(1) or declared.group(2)
    if said != name:
        line = source[: declared.start(1 if declared.group(1) else 2)].count("\n") + 1
        raise InputError(
            f"The module '{said}' is in a file of another name.",
            f"{te}:{line}",
            f"Name the file {said}.te, or the module {name}.",
        )
    return PolicyModule(name, project.policies, texts, _required(project, name, above))


def _required(project: Project, name: str, above: tuple[str, ...]) -> tuple[PolicyModule, ...]:
    found: dict[str, PolicyModule] = {}
    for other in project.config.policies.get(name, PolicyConfig()).requires:
        if other in (*above, name):
            chain = " requires ".join((*above, name, other))
            raise InputError(
                "Two policies require each other.", chain, f"See `policies:` in {project.root / CONFIG}."
            )
        try:
            module = load_module(project, other, above=(*above, name))
        except InputError as error:
            raise InputError(
                f"The policy '{name}' requires '{other}': {error.what}", error.detail, error.hint
            ) from error
        found |= {each.name: each for each in module.all}
    return tuple(found.values())

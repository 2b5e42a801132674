"""A new file of the project, which takes nobody's place."""

from __future__ import annotations

import os
from pathlib import Path

from selab.errors import InputError
from selab.project import Project, inside


def require_free(*paths: Path) -> None:
    """Raise InputError where one of them is there already, if only as a link that leads nowhere."""
    if there := [path for path in paths if os.path.lexists(path)]:
        raise InputError(
            f"There is a {there[0].name} already.",
            str(there[0]),
            "Nothing was written. Take another name, or move it away.",
        )


def create(project: Project, path: Path, text: str) -> str:
    """Write a new file, and return its path below the project. Raises InputError where it is there already."""
    inside(project.root, path.parent, f"The directory {path.parent.name}/")
    path.parent.mkdir(exist_ok=True)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        require_free(path)
        raise
    return str(path.relative_to(project.root))

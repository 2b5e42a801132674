"""Create new files of the project without replacing existing ones."""

from __future__ import annotations

import os
from pathlib import Path

from selab.errors import InputError
from selab.project import Project, inside


def require_free(*paths: Path) -> None:
    """Raise InputError if one of the paths exists, even as a dangling link."""
    if there := [path for path in paths if os.path.lexists(path)]:
        raise InputError(
            f"{there[0].name} already exists.",
            str(there[0]),
            "Nothing was written. Choose another name, or move the file away.",
        )


def create(project: Project, path: Path, text: str) -> str:
    """Write a new file and return its path below the project. Raises InputError if it exists."""
    inside(project.root, path.parent, f"The directory {path.parent.name}/")
    path.parent.mkdir(exist_ok=True)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        require_free(path)
        raise
    return str(path.relative_to(project.root))

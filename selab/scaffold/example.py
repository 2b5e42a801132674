"""Provide the example project that comes with selab: Apache in a container, with an incomplete policy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from selab.errors import InputError
from selab.project import CONFIG

PARTS = (CONFIG, "Vagrantfile", "policies/selab_apache.te", "scenarios/apache.yaml", "images/httpd")


def example() -> Path:
    """Return the directory of the example: in the installed package, or the top of a checkout."""
    package = Path(__file__).parents[1]
    installed = package / "example"
    return installed if installed.is_dir() else package.parent


def _files() -> Iterator[tuple[str, Path]]:
    root = example()
    for part in PARTS:
        source = root / part
        for path in sorted(source.rglob("*")) if source.is_dir() else [source]:
            if path.is_file():
                yield str(path.relative_to(root)), path


def init(directory: Path) -> list[str]:
    """Make `directory` a working project, and return the files that were written.

    Raises InputError, without writing anything, if one of the files exists.
    """
    files = dict(_files())
    there = sorted(name for name in files if (directory / name).exists() or (directory / name).is_symlink())
    if there:
        raise InputError(
            "This directory already contains a selab project.",
            f"It contains {', '.join(there)}.",
            "Nothing was written. Use an empty directory.",
        )
    for name, source in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as file:
            file.write(source.read_bytes())
        path.chmod(source.stat().st_mode & 0o777 | 0o600)
    return list(files)

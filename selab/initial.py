"""The example project that comes with selab: Apache in a container, with a draft of its policy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from selab.errors import InputError
from selab.project import CONFIG

PARTS = ("Vagrantfile", "policies/selab_apache.te", "scenarios/apache.yaml", "images/httpd")
PROJECT = "# What selab does in this project. Every key may be left out; the README shows them.\nvm:\n  box: auto\n"


def example() -> Path:
    """Where the example is: in the installed package, or in a checkout, of which it is the top."""
    package = Path(__file__).parent
    installed = package / "example"
    return installed if installed.is_dir() else package.parent


def _files() -> Iterator[tuple[str, Path]]:
    for part in PARTS:
        source = example() / part
        for path in sorted(source.rglob("*")) if source.is_dir() else [source]:
            if path.is_file():
                yield str(path.relative_to(example())), path


def init(directory: Path) -> list[str]:
    """Make `directory` a project that works, and return the files that were written. Raises InputError where one of them is there already:
    then nothing is written."""
    wanted = {CONFIG: PROJECT.encode(), **{name: path.read_bytes() for name, path in _files()}}
    modes = {name: path.stat().st_mode & 0o777 for name, path in _files()}
    there = sorted(name for name in wanted if (directory / name).exists() or (directory / name).is_symlink())
    if there:
        raise InputError("Here is a project already.", f"There are: {', '.join(there)}.", "Nothing was written. Go to an empty directory.")
    for name, data in wanted.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as file:
            file.write(data)
        path.chmod(modes.get(name, 0o644) | 0o600)
    return list(wanted)

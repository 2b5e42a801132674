"""The example project that comes with selab: Apache in a container, with a draft of its policy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from selab.errors import InputError
from selab.project import CONFIG

PARTS = (CONFIG, "Vagrantfile", "policies/selab_apache.te", "scenarios/apache.yaml", "images/httpd")


def example() -> Path:
    """Where the example is: in the installed package, or in a checkout, of which it is the top."""
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
    """Make `directory` a project that works, and return the files that were written. Raises InputError where one of them is there already:
    then nothing is written."""
    wanted = dict(_files())
    there = sorted(name for name in wanted if (directory / name).exists() or (directory / name).is_symlink())
    if there:
        raise InputError(
            "Here is a project already.",
            f"There are: {', '.join(there)}.",
            "Nothing was written. Go to an empty directory.",
        )
    for name, source in wanted.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as file:
            file.write(source.read_bytes())
        path.chmod(source.stat().st_mode & 0o777 | 0o600)
    return list(wanted)

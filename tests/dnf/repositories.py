"""Build the repositories of packages.toml with rpmbuild and createrepo_c: a folder for each release."""

from __future__ import annotations

import subprocess
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
RELEASES = {9: "5.14.0-503.15.1.el9", 10: "6.12.0-55.9.1.el10"}
"""The releases of CentOS Stream, each with the version of its kernel."""
DEFINES = (
    "_build_id_links none",
    "__os_install_post %{nil}",
    "_source_payload w0.gzdio",
    "_binary_payload w0.gzdio",
)


@dataclass(frozen=True)
class Package:
    """An entry of packages.toml, whose keys are described there."""

    name: str
    repository: str
    version: str
    requires: Sequence[str] = ()
    provides: Sequence[str] = ()
    conflicts: Sequence[str] = ()
    obsoletes: Sequence[str] = ()
    files: Sequence[str] = ()
    texts: Mapping[str, str] = field(default_factory=dict)


def packages(release: int, newest: str = "") -> list[Package]:
    """Return the packages of a release, whose newest kernel is the one that runs, or `newest`."""
    kernel = RELEASES[release]
    text = (HERE / "packages.toml").read_text()
    for word, value in (("RELEASE", str(release)), ("KERNEL", kernel), ("NEWEST", newest or kernel)):
        text = text.replace(word, value)
    entries = tomllib.loads(text)["package"]
    chosen = (entry for entry in entries if release in entry.pop("releases", tuple(RELEASES)))
    return [Package(**entry) for entry in chosen]


def build(target: Path, contents: Sequence[Package]) -> None:
    """Make a repository of `contents` for each name of a repository, in a folder of that name in `target`."""
    for repository in sorted({package.repository for package in contents}):
        folder = target / repository
        folder.mkdir(parents=True)
        spec = target / f"{repository}.spec"
        spec.write_text("\n".join(_spec([item for item in contents if item.repository == repository])))
        defines = [word for define in (*DEFINES, f"_rpmdir {folder}") for word in ("--define", define)]
        subprocess.run(
            [
                "rpmbuild",
                "-bb",
                "--quiet",
                "--target",
                "x86_64",
                *defines,
                "--define",
                f"_topdir {target}/build",
                spec,
            ],
            check=True,
            capture_output=True,
        )
        subprocess.run(["createrepo_c", "--quiet", folder], check=True, capture_output=True)


def _spec(contents: Sequence[Package]) -> Iterator[str]:
    """Write the lines of a file from which rpmbuild makes each of `contents`, and no other package."""
    yield from ("Name: source", "Version: 1", "Release: 1", "Summary: x", "License: x", "AutoReqProv: no")
    yield from ("%description", "x", "%install")
    for path in sorted({path for package in contents for path in package.files}):
        yield f"mkdir -p %{{buildroot}}{Path(path).parent}"
        yield f"printf '#!/bin/sh\\n' >%{{buildroot}}{path}; chmod 755 %{{buildroot}}{path}"
    for package in contents:
        for path, text in package.texts.items():
            yield from (f"mkdir -p %{{buildroot}}{Path(path).parent}", f"cat >%{{buildroot}}{path} <<'END'")
            yield from (*text.strip().splitlines(), "END")
    for package in contents:
        epoch, _, version = package.version.rpartition(":")
        number, _, release = version.partition("-")
        yield f"%package -n {package.name}"
        yield from (f"Version: {number}", f"Release: {release}", "Summary: x", "AutoReqProv: no")
        if epoch:
            yield f"Epoch: {epoch}"
        for tag in ("requires", "provides", "conflicts", "obsoletes"):
            yield from (f"{tag.title()}: {value}" for value in getattr(package, tag))
        yield from (
            f"%description -n {package.name}",
            "x",
            f"%files -n {package.name}",
            *package.files,
            *package.texts,
        )

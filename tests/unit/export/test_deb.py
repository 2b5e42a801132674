"""The format deb, built by the dpkg-deb of this machine."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from selab.export.deb import SCRIPTS, deb, package_name

from .conftest import MaterialOf, cil, paths, written

needs_dpkg = pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="dpkg-deb is not installed")
DIRECTORY = "usr/share/selinux/packages/web-selinux"
PACKAGE = "web-selinux"


@needs_dpkg
def test_the_tree_builds_and_the_package_has_the_policy(proven: MaterialOf, tmp_path: Path) -> None:
    material = proven(cil())
    exported = deb(material)
    out = written(exported, tmp_path / "out")
    subprocess.run(exported.commands[0].split(), cwd=out, check=True, capture_output=True)
    (package,) = out.glob("*.deb")
    control = subprocess.run(["dpkg-deb", "-f", package], capture_output=True, text=True, check=True).stdout
    assert f"Package: web-selinux\nVersion: {material.version}\n" in control
    assert "Proven by the enforcing run" in control
    subprocess.run(["dpkg-deb", "-x", package, tmp_path / "root"], check=True)
    root = tmp_path / "root" / DIRECTORY
    files = sorted(path.relative_to(root).as_posix() for path in root.rglob("*.cil"))
    assert files == ["templates/base_container.cil", "web.cil"]


def test_nothing_of_the_policy_is_in_the_maintainer_scripts(proven: MaterialOf) -> None:
    exported = deb(proven(cil()))
    scripts = {Path(file.path).name: file for file in exported.files if "/DEBIAN/" in file.path}
    assert set(scripts) == {"control", *SCRIPTS}
    for name in SCRIPTS:
        assert b"web" not in scripts[name].data
        assert scripts[name].mode == 0o755


@pytest.mark.parametrize(
    ("policy", "name"),
    [("my_web", "my-web-selinux"), ("Web.x", "web.x-selinux"), ("_a", "a-selinux"), ("_", "policy-selinux")],
)
def test_the_packages_name_is_one_of_debian(policy: str, name: str) -> None:
    assert package_name(policy) == name


class Installed:
    """The package's files below a directory, its scripts with their paths there, and a recording semodule."""

    def __init__(self, proven: MaterialOf, directory: Path) -> None:
        exported = deb(proven(cil()))
        self.root = written(exported, directory / "out") / paths(exported)[0].partition("/")[0]
        self.log, self.bin = directory / "log", directory / "bin"
        self.bin.mkdir()
        (directory / "run").mkdir()
        (self.bin / "semodule").write_text(f'#!/bin/sh\necho "$@" >>{self.log}\n')
        (self.bin / "semodule").chmod(0o755)
        for script in SCRIPTS:
            path = self.root / "DEBIAN" / script
            text = path.read_text().replace("/usr/share", f"{self.root}/usr/share")
            path.write_text(text.replace("/run/", f"{directory}/run/").replace("/etc/", f"{directory}/etc/"))

    def runs(self, script: str, *words: str) -> str:
        """Run a maintainer script, and return the arguments of semodule."""
        environment = {"PATH": f"{self.bin}:/usr/bin:/bin", "DPKG_MAINTSCRIPT_PACKAGE": PACKAGE}
        subprocess.run([self.root / "DEBIAN" / script, *words], env=environment, check=True)
        return self.log.read_text() if self.log.exists() else ""


def test_the_module_and_its_template_are_installed_in_one_transaction(
    proven: MaterialOf, tmp_path: Path
) -> None:
    package = Installed(proven, tmp_path)
    directory = package.root / DIRECTORY
    assert package.runs("preinst", "install") == ""
    assert package.runs("postinst", "configure") == (
        f"-X 200 -i {directory}/web.cil {directory}/templates/base_container.cil\n"
    )


def test_the_module_is_removed_and_its_template_stays(proven: MaterialOf, tmp_path: Path) -> None:
    assert Installed(proven, tmp_path).runs("prerm", "remove") == "-X 200 -r web\n"


def test_an_upgrade_removes_nothing(proven: MaterialOf, tmp_path: Path) -> None:
    assert Installed(proven, tmp_path).runs("prerm", "upgrade", "2.0") == ""

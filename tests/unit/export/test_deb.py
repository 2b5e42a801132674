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
        self.before = directory / "run" / f"{PACKAGE}.file_contexts"
        self.program("semodule", f'echo "$@" >>{self.log}')
        self.program("selinuxenabled", "exit 1")
        self.program("fixfiles", f'echo fixfiles "$@" >>{self.log}; cat "$2" >>{self.log}')
        for script in SCRIPTS:
            path = self.root / "DEBIAN" / script
            text = path.read_text().replace("/usr/share", f"{self.root}/usr/share")
            path.write_text(text.replace("/run/", f"{directory}/run/").replace("/etc/", f"{directory}/etc/"))

    def program(self, name: str, body: str) -> None:
        """Make a program of the target."""
        (self.bin / name).write_text(f"#!/bin/sh\n{body}\n")
        (self.bin / name).chmod(0o755)

    def runs(self, script: str, *words: str) -> str:
        """Run a maintainer script, and return what semodule and fixfiles were called with."""
        assert self.ended(script, *words).returncode == 0
        return self.log.read_text() if self.log.exists() else ""

    def ended(self, script: str, *words: str) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": f"{self.bin}:/usr/bin:/bin", "DPKG_MAINTSCRIPT_PACKAGE": PACKAGE}
        argv = [self.root / "DEBIAN" / script, *words]
        return subprocess.run(argv, env=environment, capture_output=True, text=True)


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


def with_contexts(package: Installed, directory: Path) -> None:
    """Give the target a policy with file contexts, as the package finds it."""
    for policy in ("default", "other"):
        files = directory / "etc" / "selinux" / policy / "contexts" / "files"
        files.mkdir(parents=True)
        (files / "file_contexts").write_text(f"/of/{policy} u:r:t\n")
    (directory / "etc/selinux/config").write_text(
        "# SELINUXTYPE=no\nSELINUXTYPE=default\nSELINUX=enforcing\n"
    )


@pytest.mark.parametrize(("enabled", "relabelled"), [(True, True), (False, False)])
def test_what_the_new_file_contexts_change_is_relabelled_where_selinux_is_enabled(
    proven: MaterialOf, tmp_path: Path, enabled: bool, relabelled: bool
) -> None:
    package = Installed(proven, tmp_path)
    with_contexts(package, tmp_path)
    package.program("selinuxenabled", f"exit {0 if enabled else 1}")
    package.runs("preinst", "install")
    done = package.runs("postinst", "configure").splitlines()[1:]
    assert done == ([f"fixfiles -C {package.before} restore", "/of/default u:r:t"] if relabelled else [])
    assert not package.before.exists()


def test_without_contexts_from_before_nothing_is_relabelled(proven: MaterialOf, tmp_path: Path) -> None:
    package = Installed(proven, tmp_path)
    package.program("selinuxenabled", "exit 0")
    assert "fixfiles" not in package.runs("postinst", "configure")


@pytest.mark.parametrize("words", [("abort-upgrade", "1.0"), ("triggered", "x")])
def test_only_the_configuration_installs(proven: MaterialOf, tmp_path: Path, words: tuple[str, ...]) -> None:
    assert Installed(proven, tmp_path).runs("postinst", *words) == ""


def test_every_module_of_the_package_is_installed_and_removed(proven: MaterialOf, tmp_path: Path) -> None:
    package = Installed(proven, tmp_path)
    directory = package.root / DIRECTORY
    (directory / "also.cil").touch()
    (directory / "templates/net_container.cil").touch()
    package.runs("postinst", "configure")
    assert package.runs("prerm", "remove").splitlines() == [
        f"-X 200 -i {directory}/also.cil {directory}/web.cil "
        f"{directory}/templates/base_container.cil {directory}/templates/net_container.cil",
        "-X 200 -r also -r web",
    ]


@pytest.mark.parametrize(("script", "action"), [("postinst", "configure"), ("prerm", "remove")])
def test_a_semodule_that_fails_fails_the_package(
    proven: MaterialOf, tmp_path: Path, script: str, action: str
) -> None:
    package = Installed(proven, tmp_path)
    with_contexts(package, tmp_path)
    package.runs("preinst", "install")
    package.program("semodule", "exit 5")
    assert (package.ended(script, action).returncode, package.before.exists()) == (5, True)


def test_contexts_that_cannot_be_kept_stop_the_installation(proven: MaterialOf, tmp_path: Path) -> None:
    package = Installed(proven, tmp_path)
    with_contexts(package, tmp_path)
    package.program("cp", "exit 1")
    assert package.ended("preinst", "install").returncode == 1


def test_a_relabelling_that_fails_is_reported_and_fails_no_installation(
    proven: MaterialOf, tmp_path: Path
) -> None:
    package = Installed(proven, tmp_path)
    with_contexts(package, tmp_path)
    package.program("selinuxenabled", "exit 0")
    package.program("fixfiles", "exit 1")
    package.runs("preinst", "install")
    ended = package.ended("postinst", "configure")
    assert (ended.returncode, "fixfiles restore" in ended.stderr, package.before.exists()) == (0, True, False)

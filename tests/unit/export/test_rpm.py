"""The format rpm, built by the rpmbuild of this machine.

Debian's rpm has no macros of selinux-policy, so the tests define ones that leave their arguments in the
scriptlets, and a directory with the headers that selinux-policy-devel would bring.
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from selab.export.rpm import rpm
from selab.policy.base import BasePolicy
from selab.policy.module import PolicyModule

from .conftest import FC, TE, MaterialOf, cil, paths, te, text_of, written

MACROS = """\
%selinux_relabel_pre(s:) : relabel-pre %{-s*}
%selinux_relabel_post(s:) : relabel-post %{-s*}
%selinux_modules_install(s:) : install %{-s*} %*
%selinux_modules_uninstall(s:) : uninstall %{-s*} %*
"""
MAKEFILE = """\
HEADERDIR := {headers}
include $(HEADERDIR)/Makefile
%.if:
\ttouch $@
%.fc:
\ttouch $@
"""
"""A module may have no .if and no .fc: the Makefile of the distributions creates them."""
needs_rpmbuild = pytest.mark.skipif(shutil.which("rpmbuild") is None, reason="rpmbuild is not installed")


def build(out: Path, spec: str, base: BasePolicy, tmp_path: Path) -> Path:
    """Build the package and return its file."""
    (tmp_path / "macros").write_text(MACROS)
    share = tmp_path / "share"
    (share / "selinux/devel").mkdir(parents=True)
    headers = base.headers / "include"
    makefile = MAKEFILE.format(headers=headers)
    (share / "selinux/devel/Makefile").write_text(makefile)
    defines = {"_topdir": out, "_datadir": share, "_dbpath": tmp_path / "db", "_tmppath": tmp_path}
    options = [word for name, value in defines.items() for word in ("--define", f"{name} {value}")]
    command = ["rpmbuild", "-bb", "--nodeps", "--load", str(tmp_path / "macros"), *options, str(out / spec)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    (package,) = (out / "RPMS").rglob("*.rpm")
    return package


def query(package: Path, *words: str) -> str:
    done = subprocess.run(["rpm", "-qp", *words, package], capture_output=True, text=True, check=True)
    return done.stdout


@needs_rpmbuild
@pytest.mark.toolchain
def test_the_package_of_a_te_has_the_compiled_module_and_its_scriptlets(
    proven: MaterialOf, centos: BasePolicy, tmp_path: Path
) -> None:
    material = proven(te(fc=FC))
    out = written(rpm(material), tmp_path / "out")
    package = build(out, "SPECS/web-selinux.spec", centos, tmp_path)
    directory = f"{tmp_path}/share/selinux/packages/targeted/web-selinux"
    assert query(package, "-l").splitlines() == [directory, f"{directory}/web.pp"]
    scripts = query(package, "--scripts")
    assert f": install targeted {directory}/web.pp" in scripts
    assert ": uninstall targeted web\n" in scripts
    assert ": relabel-pre targeted" in scripts and ": relabel-post targeted" in scripts
    assert query(package, "--qf", "%{VERSION} %{ARCH}") == f"{material.version} noarch"
    assert "Proven by the enforcing run" in query(package, "--qf", "%{DESCRIPTION}")


@needs_rpmbuild
@pytest.mark.toolchain
def test_the_package_of_a_policy_in_cil_has_its_template_and_leaves_it_installed(
    proven: MaterialOf, centos: BasePolicy, tmp_path: Path
) -> None:
    out = written(rpm(proven(cil())), tmp_path / "out")
    package = build(out, "SPECS/web-selinux.spec", centos, tmp_path)
    names = [Path(line).name for line in query(package, "-l").splitlines()]
    assert names == ["web-selinux", "base_container.cil", "web.cil"]
    assert ": uninstall targeted web\n" in query(package, "--scripts")


@needs_rpmbuild
@pytest.mark.toolchain
def test_macros_and_commands_in_a_policy_do_nothing_when_the_package_is_built(
    proven: MaterialOf, centos: BasePolicy, tmp_path: Path
) -> None:
    marker = tmp_path / "ran"
    hostile = f"# %(touch {marker}) %{{lua:os.execute('touch {marker}')}}\n"
    hostile += f"ifdef(`esyscmd',`esyscmd(touch {marker})')\n"
    module = te(fc=f"# %(touch {marker})\n".encode(), te=TE + hostile.encode())
    out = written(rpm(proven(module)), tmp_path / "out")
    build(out, "SPECS/web-selinux.spec", centos, tmp_path)
    assert not marker.exists()


def test_the_policys_texts_are_not_in_the_spec_file(proven: MaterialOf) -> None:
    exported = rpm(proven(te(fc=FC)))
    assert paths(exported) == ["SPECS/web-selinux.spec", "SOURCES/web.fc", "SOURCES/web.te"]
    spec = text_of(exported, "SPECS/web-selinux.spec")
    assert "http_port_t" not in spec and "/srv/web" not in spec


def test_what_the_policy_requires_is_built_and_installed_with_it(proven: MaterialOf) -> None:
    other = PolicyModule("db", Path("policies"), {"te": b"policy_module(db, 1.0)\n"})
    spec = text_of(rpm(proven(replace(te(), requires=(other,)))), "SPECS/web-selinux.spec")
    assert "' db.pp\n" in spec and "' web.pp\n" in spec
    assert "%selinux_modules_uninstall -s %{selinuxtype} db web" in spec

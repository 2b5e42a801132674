"""Export a spec file, which builds an RPM package with the macros of selinux-policy's packages.

The policy's texts are sources of their own: rpmbuild expands macros in a spec file, also in its comments.
"""

from __future__ import annotations

from collections.abc import Iterator

from selab.export.files import Exported, ExportedFile
from selab.export.material import Material
from selab.policy.module import PolicyModule
from selab.policy.toolchain import M4

NAME = "{}-selinux"
"""The name of a package with the module, as distributions name theirs."""
TYPE = "targeted"
"""The policy that Fedora, CentOS and RHEL install."""
MAKEFILE = "%{_datadir}/selinux/devel/Makefile"
LICENSE = "LicenseRef-unknown"
"""selab does not know the licence, and rpmbuild requires one."""


def rpm(material: Material) -> Exported:
    """Return a spec file in SPECS and the policy's sources in SOURCES."""
    spec = f"SPECS/{NAME.format(material.name)}.spec"
    sources = [ExportedFile(f"SOURCES/{file.path}", file.data, file.mode) for file in material.sources()]
    text = "".join(f"{line}\n" for line in _spec(material, [file.path for file in sources]))
    build = f'rpmbuild -bb --define "_topdir $PWD" {spec}'
    note = f"Replace {LICENSE} in the spec file by the policy's licence."
    return Exported([ExportedFile(spec, text.encode()), *sources], (build,), (note,))


def _spec(material: Material, sources: list[str]) -> Iterator[str]:
    # Only names that fit IDENTIFIER, the header and constants go into this text.
    modules = material.module.all
    yield from (f"# {line}" for line in material.proof.header)
    yield f"%global selinuxtype {TYPE}"
    yield "%global packages %{_datadir}/selinux/packages/%{selinuxtype}/%{name}"
    yield ""
    yield f"Name: {NAME.format(material.name)}"
    yield f"Version: {material.version}"
    yield "Release: 1%{?dist}"
    yield f"Summary: SELinux policy module {material.name}"
    yield f"License: {LICENSE}"
    yield "BuildArch: noarch"
    yield from (f"Source{number}: {path.rpartition('/')[2]}" for number, path in enumerate(sources))
    yield "BuildRequires: make"
    yield "BuildRequires: selinux-policy-devel"
    yield "Requires: selinux-policy-%{selinuxtype}"
    yield "%{?selinux_requires}"
    yield ""
    yield "%description"
    yield from material.proof.header
    yield ""
    yield "%prep"
    yield "%setup -q -c -T"
    yield "cp -p " + " ".join(f"%{{SOURCE{number}}}" for number in range(len(sources))) + " ."
    yield ""
    yield "%build"
    yield from _build(modules)
    yield ""
    yield "%install"
    yield from (f"install -D -m 0644 {_built(each)} %{{buildroot}}{_installed(each)}" for each in modules)
    yield ""
    yield from _scriptlets(modules)
    yield "%files"
    yield "%dir %{packages}"
    yield from map(_installed, modules)


def _build(modules: tuple[PolicyModule, ...]) -> Iterator[str]:
    for each in modules:
        if each.language == "te":
            # m4 without the builtins that run commands: a policy's text may call them.
            yield f"make -f {MAKEFILE} NAME=%{{selinuxtype}} M4='{M4}' {each.name}.pp"


def _scriptlets(modules: tuple[PolicyModule, ...]) -> Iterator[str]:
    """Yield the scriptlets. Templates stay if the package goes: other policies may inherit from them."""
    names = " ".join(each.name for each in modules if not each.is_template)
    yield "%pre"
    yield "%selinux_relabel_pre -s %{selinuxtype}"
    yield ""
    yield "%post"
    yield f"%selinux_modules_install -s %{{selinuxtype}} {' '.join(map(_installed, modules))}"
    yield ""
    yield "%postun"
    yield "if [ $1 -eq 0 ]; then"
    yield f"    %selinux_modules_uninstall -s %{{selinuxtype}} {names}"
    yield "fi"
    yield ""
    yield "%posttrans"
    yield "%selinux_relabel_post -s %{selinuxtype}"
    yield ""


def _built(module: PolicyModule) -> str:
    return f"{module.name}.pp" if module.language == "te" else f"{module.name}.cil"


def _installed(module: PolicyModule) -> str:
    return f"%{{packages}}/{_built(module)}"

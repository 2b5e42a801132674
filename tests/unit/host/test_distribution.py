"""The tables of packages by family, and which family this machine belongs to."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

import pytest

from selab.host import distribution
from selab.policy import toolchain
from selab.vm import provider

from .os_release import OS_RELEASE

NAMES = sorted(set(distribution.FAMILIES.values()))
TOOLS = provider.TOOLS["libvirt"]


def on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    (tmp_path / "os-release").write_text(text)
    monkeypatch.setattr(distribution, "OS_RELEASE", tmp_path / "os-release")


@pytest.mark.parametrize("release", sorted(OS_RELEASE))
def test_the_family_is_recognised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, release: str) -> None:
    text, family = OS_RELEASE[release]
    on(tmp_path, monkeypatch, text)
    assert distribution.family() == family


@pytest.mark.parametrize("text", ["", "ID=plan9\n", "VARIANT_ID=fedora\nNAME=debian\n"])
def test_another_system_has_no_family(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    on(tmp_path, monkeypatch, text)
    assert distribution.family() == ""


def test_a_system_without_the_file_has_no_family(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distribution, "OS_RELEASE", tmp_path / "missing")
    assert distribution.family() == ""


@pytest.mark.parametrize("family", NAMES)
def test_each_table_has_the_programs_that_selab_looks_for(family: str) -> None:
    table = distribution.host_packages(family)
    in_another_package = {"secil2tree"} | ({"virsh"} if family == "suse" else set())
    assert {*TOOLS, *toolchain.TOOLS} - set(table.packages) <= in_another_package


def test_debians_table_has_the_packages_that_other_modules_name() -> None:
    packages = distribution.host_packages("debian").packages
    names = {**TOOLS, **toolchain.TOOLS}
    assert {
        tool: packages[tool] for tool in names if tool in packages and packages[tool] != names[tool]
    } == {}


def test_the_packages_of_the_tests_and_for_selinux_are_not_what_selab_needs() -> None:
    assert not {"shellcheck", "semanage"} & distribution.host_packages("debian").packages.keys()


@pytest.mark.parametrize("family", NAMES)
def test_each_line_of_a_table_has_one_of_the_known_forms(family: str) -> None:
    text = files("selab").joinpath(f"host/packages/{family}.txt").read_text()
    known = re.compile(r"#.*|@(refresh|install|manual|label)\|.+|\[(selinux|dev)\]|[^|@]+\|[^|]+\|[^|]+")
    assert [line for line in text.splitlines() if not known.fullmatch(line)] == []


@pytest.mark.parametrize("family", NAMES)
def test_each_table_names_the_type_that_libvirt_gives_to_a_kernel(family: str) -> None:
    assert distribution.host_packages(family).label == "virt_content_t"


@pytest.mark.parametrize(
    ("release", "words"),
    [
        ("debian12", ["`env DEBIAN_FRONTEND=noninteractive apt-get install", "qemu-utils", "vagrant`"]),
        ("fedora43", ["`dnf -y install qemu-img vagrant`"]),
        ("centos9", ["EPEL", "COPR", "`dnf -y install qemu-img vagrant`"]),
        ("leap", ["`zypper --non-interactive install --no-recommends qemu-tools vagrant`"]),
    ],
)
def test_the_command_to_install_has_this_systems_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, release: str, words: list[str]
) -> None:
    on(tmp_path, monkeypatch, OS_RELEASE[release][0])
    text = distribution.how_to_install(["vagrant", "qemu-img"], TOOLS)
    assert [word for word in words if word not in text] == []


def test_qemu_has_els_name_on_el(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on(tmp_path, monkeypatch, OS_RELEASE["rhel9"][0])
    assert "install qemu-kvm`" in distribution.how_to_install(["qemu-system-x86_64"], TOOLS)


def test_an_unknown_system_gets_names_and_no_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on(tmp_path, monkeypatch, "ID=plan9\n")
    text = distribution.how_to_install(["vagrant", "qemu-img"], TOOLS)
    assert "qemu-utils, vagrant" in text
    assert "`" not in text

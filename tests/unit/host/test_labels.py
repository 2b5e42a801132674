"""SELinux on this machine: its mode, and the labels of files."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

import pytest

from selab.host import labels


@pytest.fixture
def selinux(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Replace the file of the kernel that has the mode, and keep only the programs of this directory."""
    monkeypatch.setattr(labels, "MODE", tmp_path / "enforce")
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def program(directory: Path, name: str, body: str) -> None:
    (directory / name).write_text(f"#!/bin/sh\n{body}\n")
    (directory / name).chmod(0o755)


@pytest.mark.parametrize(("text", "mode"), [("1", True), ("0", False), (None, None)])
def test_the_mode_is_the_kernels(selinux: Path, text: str | None, mode: bool | None) -> None:
    if text is not None:
        (selinux / "enforce").write_text(text)
    assert labels.enforcing() is mode


@pytest.mark.parametrize(
    ("label", "type_"),
    [
        (b"system_u:object_r:virt_content_t:s0\0", "virt_content_t"),
        (b"system_u:object_r:svirt_image_t:s0:c1,c2\0", "svirt_image_t"),
        (b"system_u:object_r:var_t", "var_t"),
        (b"\xff:x", ""),
        (b"", ""),
    ],
)
def test_the_type_is_the_third_field_of_the_label(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, label: bytes, type_: str
) -> None:
    read = {(tmp_path, "security.selinux"): label}
    monkeypatch.setattr(os, "getxattr", lambda path, name: read[path, name])
    assert labels.type_of(tmp_path) == type_


def test_a_file_that_does_not_exist_has_no_type(tmp_path: Path) -> None:
    assert labels.type_of(tmp_path / "missing") == ""


def test_the_type_by_the_rules_is_what_matchpathcon_says(selinux: Path) -> None:
    program(selinux, "matchpathcon", '[ "$*" = "-n /a b" ] && echo system_u:object_r:etc_t:s0')
    assert labels.type_by_rules(Path("/a b")) == "etc_t"


def test_without_matchpathcon_the_type_by_the_rules_is_unknown(selinux: Path) -> None:
    assert labels.type_by_rules(selinux) == ""


@pytest.mark.parametrize("directory", ["/var/cache/selab/boxes", "/srv/c++ (a.b)/boxes", "/a[1]{2}|$^?*\\b"])
def test_the_rule_matches_the_directory_and_what_is_in_it_and_nothing_else(directory: str) -> None:
    *command, expression = shlex.split(labels.rule_for(Path(directory), "virt_content_t"))
    assert command == ["semanage", "fcontext", "-a", "-t", "virt_content_t"]
    assert " " not in expression
    matches = re.compile(expression).fullmatch
    assert matches(directory)
    assert matches(f"{directory}/debian13-1/vmlinuz")
    assert not matches(f"{directory}2")


@pytest.mark.parametrize(("mode", "restored"), [("1", True), ("0", True), (None, False)])
def test_a_label_is_restored_if_selinux_is_on(selinux: Path, mode: str | None, restored: bool) -> None:
    if mode is not None:
        (selinux / "enforce").write_text(mode)
    program(selinux, "restorecon", f'echo "$*" >{selinux}/called')
    labels.restore(Path("/a b"))
    assert (selinux / "called").exists() is restored
    if restored:
        assert (selinux / "called").read_text() == "/a b\n"


def test_a_machine_without_restorecon_keeps_the_label(selinux: Path) -> None:
    (selinux / "enforce").write_text("1")
    labels.restore(selinux)

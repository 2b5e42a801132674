"""Vagrant's provider for this machine."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from selab.vm import provider


@pytest.mark.parametrize(
    ("platform", "programs", "expected"),
    [
        ("linux", {"virsh"}, "libvirt"),
        ("linux", {"virsh", "VBoxManage"}, "libvirt"),
        ("linux", {"VBoxManage"}, "virtualbox"),
        ("linux", set(), "libvirt"),
        ("darwin", {"virsh"}, "virtualbox"),
    ],
)
def test_libvirt_is_the_provider_on_linux_unless_only_virtualbox_is_there(
    monkeypatch: pytest.MonkeyPatch, platform: str, programs: set[str], expected: str
) -> None:
    monkeypatch.setattr(provider.sys, "platform", platform)
    monkeypatch.setattr(provider.shutil, "which", lambda name: name if name in programs else None)
    assert provider.default_provider() == expected


@pytest.mark.parametrize(
    ("version", "closes"),
    [
        ("7.0.10r158379", True),
        ("6.1.28r147628", True),
        ("6.1.26r145957", False),
        ("WARNING: no kernel module\n6.1.50_Debianr161033", True),
        ("no version", False),
        ("", False),
    ],
)
def test_virtualbox_closes_the_loopback_since_6_1_28(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, version: str, closes: bool
) -> None:
    program = tmp_path / "VBoxManage"
    program.write_text(f"#!/bin/sh\ncat <<'END'\n{version}\nEND\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert provider.virtualbox_closes_loopback() is closes


@pytest.mark.parametrize(
    "error", [FileNotFoundError("VBoxManage"), subprocess.TimeoutExpired("VBoxManage", 1)]
)
def test_a_virtualbox_that_does_not_answer_closes_nothing(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(provider, "run_group", refuse)
    assert provider.virtualbox_closes_loopback() is False

"""Vagrant's provider for this machine."""

from __future__ import annotations

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

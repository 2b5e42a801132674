"""The first VM of a box is made alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from selab.errors import SelabError
from selab.progress import Progress
from selab.vm import first_boot

from .conftest import FakeVm


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(first_boot, "FIRST_LIMIT", 0.1)


@pytest.fixture
def known(lab: FakeVm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A box in Vagrant's store and in libvirt's pool."""
    monkeypatch.setenv("VAGRANT_HOME", str(tmp_path / "home"))
    place = tmp_path / "home" / "boxes" / "known" / "0" / "libvirt"
    place.mkdir(parents=True)
    (place / "metadata.json").write_text("{}")
    lab.virsh("vol-list", " known_vagrant_box_image_0_1_box.img  /x")
    return "known"


def at_once(first: str, second: str) -> bool:
    """Whether VMs of two boxes are made at once. Raises SelabError if the second has to wait for too long."""
    with (
        first_boot.first_alone(first, "libvirt", Progress()),
        first_boot.first_alone(second, "libvirt", Progress()),
    ):
        return True


def test_vms_of_a_box_that_is_known_are_made_at_once(known: str) -> None:
    assert at_once(known, known)


def test_the_first_vm_of_a_box_is_made_alone(lab: FakeVm) -> None:
    with pytest.raises(SelabError, match="still making the first VM"):
        at_once("new", "new")


def test_the_first_vms_of_two_boxes_are_made_at_once(lab: FakeVm) -> None:
    assert at_once("new", "other")


def test_a_box_that_only_vagrant_knows_is_not_known(lab: FakeVm, known: str) -> None:
    lab.virsh("vol-list", "")
    with pytest.raises(SelabError, match="still making the first VM"):
        at_once(known, known)


def test_of_a_box_that_is_not_named_vms_are_made_one_after_the_other(lab: FakeVm) -> None:
    with pytest.raises(SelabError, match="still making the first VM"):
        at_once("", "")

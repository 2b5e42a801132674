"""The boxes in the cache directory."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from selab.errors import InputError, SelabError
from selab.host.local import LocalHost
from selab.vm.box import store
from selab.vm.box.store import FACTS, Box, box_at, directory_of, half_made, list_boxes, read_box, remove_box

FILES = ("box.box", "vmlinuz", "initrd.img")


@pytest.fixture(autouse=True)
def boxes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory of the boxes. Files are removed without the user's subordinate ids."""
    monkeypatch.setenv("SELAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(store, "as_root", lambda argv: argv)
    return tmp_path / "cache" / "boxes"


def make(profile: str = "debian13", digest: str = "a" * 64, content: str = "x") -> Box:
    """Build a box whose files have `content`."""
    box = box_at(directory_of(profile, digest), profile, digest, "quiet")
    with half_made(box) as half:
        for name in FILES:
            (half / name).write_text(content)
    return box


def test_a_new_directory_of_boxes_gets_its_label_once(boxes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    restored: list[Path] = []
    monkeypatch.setattr(store, "restore", restored.append)
    make()
    make("other")
    assert restored == [boxes]


def test_qemu_reads_the_kernels_of_finished_boxes_only(boxes: Path) -> None:
    box = make()
    (boxes / ".half-x").mkdir()
    (boxes / ".half-x" / "vmlinuz").write_text("")
    assert store.read_by_qemu(boxes) == [box.initrd, box.kernel]
    assert store.read_by_qemu(boxes / "missing") == []


def test_a_finished_box_is_read_as_it_was_made() -> None:
    box = make()
    assert read_box(box.directory) == box
    assert (box.name, box.cmdline) == (f"selab-debian13-{'a' * 12}", "quiet")


@pytest.mark.parametrize("name", FILES)
def test_a_box_with_a_missing_or_truncated_file_does_not_count(name: str) -> None:
    box = make()
    (box.directory / name).write_text("")
    assert read_box(box.directory) is None
    (box.directory / name).unlink()
    assert read_box(box.directory) is None


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"profile": "x"}'])
def test_a_directory_without_valid_facts_has_no_box(text: str) -> None:
    box = make()
    (box.directory / FACTS).write_text(text)
    assert read_box(box.directory) is None


def test_a_box_from_before_sizes_were_recorded_counts() -> None:
    box = make()
    facts = json.loads((box.directory / FACTS).read_text())
    del facts["sizes"]
    (box.directory / FACTS).write_text(json.dumps(facts))
    assert read_box(box.directory) == box


def test_the_newest_box_is_listed_first() -> None:
    old, new = make(digest="b" * 64), make(digest="a" * 64)
    os.utime(old.directory / FACTS, (1, 1))
    assert list_boxes() == [new, old]


def test_a_box_that_is_built_again_replaces_the_first(boxes: Path) -> None:
    make(content="first")
    assert make(content="second").file.read_text() == "second"
    assert len(list(boxes.iterdir())) == 1


def test_a_build_that_fails_leaves_the_earlier_box(boxes: Path) -> None:
    box = make()
    with pytest.raises(KeyboardInterrupt), half_made(box) as half:
        (half / "box.box").write_text("half")
        raise KeyboardInterrupt
    assert read_box(box.directory) == box
    assert list(boxes.iterdir()) == [box.directory]


def test_a_box_that_is_still_being_built_is_not_listed() -> None:
    box = box_at(directory_of("debian13", "a" * 64), "debian13", "a" * 64, "")
    with half_made(box) as half:
        (half / "box.box").write_text("half")
        assert list_boxes() == []


def test_removing_a_box_leaves_the_others(boxes: Path) -> None:
    box, other = make(digest="a" * 64), make(digest="b" * 64)
    remove_box(box.name)
    assert list_boxes() == [other]
    assert list(boxes.iterdir()) == [other.directory]


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    box = make()
    with pytest.raises(InputError, match="no box") as caught:
        remove_box(box.name[:-1])
    assert box.name in caught.value.hint


def test_remains_that_cannot_be_removed_are_an_error(boxes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    boxes.mkdir(parents=True)
    monkeypatch.setattr(LocalHost, "run", lambda *_, **__: None)
    with pytest.raises(SelabError, match="cannot be removed") as caught:
        store.remove_tree(boxes)
    assert caught.value.detail == str(boxes)

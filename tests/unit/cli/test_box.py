"""`selab box`: which box each command is about."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from selab.project import Project
from selab.vm.box import Box
from selab.vm.boxes import fallback

from .conftest import Selab

Capture = pytest.CaptureFixture[str]


@pytest.mark.parametrize(("words", "profile"), [((), fallback()), (("other",), "other")])
def test_a_box_is_built_with_the_projects_images(
    selab: Selab,
    project: Project,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
    words: tuple[str, ...],
    profile: str,
) -> None:
    calls: list[tuple[str, Path]] = []

    def build_box(profile: str, images: Path, progress: object) -> SimpleNamespace:
        calls.append((profile, images))
        return SimpleNamespace(name="selab-x", file=Path("/cache/box.box"))

    monkeypatch.setattr("selab.vm.box.build_box", build_box)
    assert selab("box", "build", *words) == 0
    assert calls == [(profile, project.images)]
    assert capsys.readouterr().out == "selab-x /cache/box.box\n"


def test_the_name_alone_is_printed_for_a_cache_key(
    selab: Selab, project: Project, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setattr("selab.vm.box.box_name", lambda profile, images: f"selab-{profile}-{images.name}")
    assert selab("box", "name", "debian13") == 0
    assert capsys.readouterr().out == "selab-debian13-images\n"


def test_a_box_is_listed_with_its_size(
    selab: Selab, monkeypatch: pytest.MonkeyPatch, capsys: Capture, tmp_path: Path
) -> None:
    file = tmp_path / "box.box"
    file.write_bytes(b"x" * 3 * 2**20)
    box = Box("selab-x", "x", tmp_path, file, file, file, "", "d")
    monkeypatch.setattr("selab.vm.box.list_boxes", lambda: [box])
    assert selab("box", "list") == 0
    assert capsys.readouterr().out == f"selab-x 3 MiB {tmp_path}\n"


def test_a_box_that_is_not_there_is_wrong_input(selab: Selab, capsys: Capture) -> None:
    assert selab("box", "remove", "selab-x") == 2
    assert "There is no box 'selab-x'" in capsys.readouterr().err


def test_a_removed_box_is_reported_beside_the_results(
    selab: Selab, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    names: list[str] = []
    monkeypatch.setattr("selab.vm.box.remove_box", names.append)
    assert selab("box", "remove", "selab-x") == 0
    captured = capsys.readouterr()
    assert (names, captured.out, captured.err) == (["selab-x"], "", "removed selab-x\n")

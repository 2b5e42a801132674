"""The recipe of a box, its digest, and the boxes in the cache: all that needs no packages."""

from __future__ import annotations

import os
import shutil
import time
from collections import namedtuple
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from filelock import FileLock, Timeout

from selab.errors import CommandFailed, InputError, SelabError
from selab.guest import Completed
from selab.images import source
from selab.images.source import ImageSource
from selab.progress import Progress
from selab.vm.box import box_name, build, build_box, find_box, list_boxes, recipe, remove_box, store
from selab.vm.box.recipe import Plan, Recipe

MINIMAL = 'suite = "trixie"\ndisk_gib = 4\ncmdline = "root=/dev/vda"\npackages = ["a"]\n'
Usage = namedtuple("Usage", "total used free")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SELAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(build, "require", lambda tools: None)
    return tmp_path / "cache" / "boxes"


@pytest.fixture
def images(tmp_path: Path) -> Path:
    image = tmp_path / "images" / "httpd"
    image.mkdir(parents=True)
    (image / "Dockerfile").write_text("FROM debian:trixie\n")
    (image / "packages").write_text("apache2\n")
    return tmp_path / "images"


def make(plan: Plan, half: Path, progress: Progress) -> None:
    for name in ("box.box", "vmlinuz", "initrd.img"):
        (half / name).write_text(plan.digest)


def test_the_recipe_that_is_shipped_is_valid(images: Path) -> None:
    plan = recipe.plan("debian13", images)
    paths = {file.path for file in plan.recipe.file}
    assert {"/etc/selinux/config", "/etc/docker/daemon.json", "/etc/audit/auditd.conf"} <= paths
    assert [image.name for image in plan.images] == ["httpd"]
    assert "systemctl mask -- " in plan.recipe.rootfs.setup
    assert '"' not in plan.recipe.cmdline


@pytest.mark.parametrize(
    "text",
    [
        MINIMAL + 'colour = "red"\n',
        MINIMAL + '[[file]]\npath = "/x"\ncontent = ""\nowner = "me"\n',
        MINIMAL + '[[file]]\npath = "x"\ncontent = ""\n',
        MINIMAL.replace("4", "1"),
        "suite = ",
        "",
    ],
)
def test_a_recipe_with_a_mistake_is_refused(text: str) -> None:
    with pytest.raises(SelabError, match="recipe") as caught:
        recipe.parse(text)
    assert len(str(caught.value).splitlines()) <= 3


@pytest.mark.parametrize("change", ["trixie", "4", "/dev/vda", '"a"'])
def test_the_digest_changes_with_the_recipe(change: str) -> None:
    assert recipe._digest(recipe.parse(MINIMAL), ()) != recipe._digest(
        recipe.parse(MINIMAL.replace(change, change[:-1] + "9" + change[-1])), ()
    )


def test_the_digest_changes_with_an_image_and_with_the_builder(
    images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digests = {recipe.plan("debian13", images).digest}
    (images / "httpd" / "packages").write_text("apache2\ncurl\n")
    digests.add(recipe.plan("debian13", images).digest)
    monkeypatch.setattr(recipe, "VERSION", 99)
    digests.add(recipe.plan("debian13", images).digest)
    shutil.rmtree(images / "httpd")
    digests.add(recipe.plan("debian13", images).digest)
    assert len(digests) == 4


def test_an_unknown_profile_is_refused(images: Path) -> None:
    with pytest.raises(InputError, match="debian13"):
        find_box("debian12", images)


def test_a_box_is_built_once_found_listed_and_removed(
    images: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "_build", make)
    assert find_box("debian13", images) is None
    box = build_box("debian13", images, Progress())
    monkeypatch.setattr(build, "_build", None)
    assert build_box("debian13", images, Progress()) == find_box("debian13", images) == box
    assert list_boxes() == [box]
    assert box.name == f"selab-debian13-{box.digest[:12]}"
    assert cache.stat().st_mode & 0o005 == 0o005 and box.directory.stat().st_mode & 0o777 == 0o755
    remove_box(box.name)
    assert list_boxes() == []
    with pytest.raises(InputError):
        remove_box(box.name)


def test_others_can_read_a_box_whatever_the_umask_is(
    images: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "_build", make)
    before = os.umask(0o077)
    try:
        box = build_box("debian13", images, Progress())
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in (cache, box.directory)} == {0o755}
    assert {path.stat().st_mode & 0o777 for path in box.directory.iterdir()} == {0o644}


def test_a_box_that_lacks_a_file_is_built_again(
    images: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "_build", make)
    build_box("debian13", images, Progress()).kernel.unlink()
    assert find_box("debian13", images) is None
    assert build_box("debian13", images, Progress()).kernel.exists()
    assert not list(cache.glob(".half-*"))


def test_a_build_that_fails_leaves_nothing(
    images: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(plan: Plan, half: Path, progress: Progress) -> None:
        make(plan, half, progress)
        raise KeyboardInterrupt

    monkeypatch.setattr(build, "_build", fail)
    with pytest.raises(KeyboardInterrupt):
        build_box("debian13", images, Progress())
    assert {path.name for path in cache.iterdir()} - {".lock"} == set()


def test_an_interrupted_build_begins_no_other_image(
    tmp_path: Path, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[str] = []

    def image_tar(image: ImageSource, out: Path, progress: Progress, stop: Event) -> None:
        started.append(image.name)
        assert stop.wait(10)
        raise SelabError("ended")

    def unpack(recipe: Recipe, root: Path) -> None:
        while not started:
            time.sleep(0.01)
        raise KeyboardInterrupt

    shutil.copytree(images / "httpd", images / "redis")
    monkeypatch.setattr(source, "build_image_tar", image_tar)
    monkeypatch.setattr(build, "_unpack", unpack)
    with pytest.raises(KeyboardInterrupt):
        build._build(recipe.plan("debian13", images), tmp_path, Progress())
    assert started == ["httpd"]


def test_an_image_that_fails_ends_the_images(images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[str] = []

    def fail(image: ImageSource, out: Path, progress: Progress, stop: Event) -> None:
        started.append(image.name)
        raise SelabError("no such package")

    shutil.copytree(images / "httpd", images / "redis")
    monkeypatch.setattr(source, "build_image_tar", fail)
    with pytest.raises(SelabError):
        build._image_tars(recipe.plan("debian13", images).images, Event())
    assert started == ["httpd"]


def test_what_a_killed_build_left_is_not_a_box_and_is_removed(
    images: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = cache / ".half-killed"
    left.mkdir(parents=True)
    make(recipe.plan("debian13", images), left, Progress())
    (left / "box.json").write_text("{}")
    monkeypatch.setattr(build, "_build", make)
    assert list_boxes() == []
    build_box("debian13", images, Progress())
    assert not left.exists()


def test_two_builds_wait_on_each_other(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "LOCK_WAIT", 0.01)
    with (
        store.building(Progress()),
        pytest.raises(SelabError, match="still building"),
        store.building(Progress()),
    ):
        pass
    with pytest.raises(Timeout), store.building(Progress()):
        FileLock(cache / ".lock").acquire(timeout=0)


def test_a_full_disk_is_told_in_three_lines(images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build.shutil, "disk_usage", lambda path: Usage(10 << 30, 9 << 30, 1 << 30))
    with pytest.raises(SelabError, match=r"1\.0 GiB free, and building needs 6") as caught:
        build_box("debian13", images, Progress())
    assert len(str(caught.value).splitlines()) == 3


class FakeHost:
    """Answers setfiles with `relabelled`, and debugfs with `complaint` on standard error."""

    relabelled = b""
    complaint = b""

    def __init__(self, limits: None = None) -> None:
        """A build has no limits."""

    def run(
        self, argv: list[str], *, input: bytes = b"", timeout: float = 0, limit: int | None = None
    ) -> Completed:
        answers = {
            "semodule": (b"", b""),
            "setfiles": (self.relabelled, b""),
            "mke2fs": (b"", b""),
            "debugfs": (b"", b"debugfs 1.47.0 (5-Feb-2023)\n" + self.complaint),
        }
        programs = answers.keys() & {Path(word).name for word in argv}
        assert len(programs) == 1, f"this host has no configured answer for {argv!r}"
        return Completed(tuple(argv), 0, *answers[programs.pop()])


def test_the_labels_are_what_setfiles_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "LocalHost", FakeHost)
    with pytest.raises(SelabError, match="sshd"):
        build._labels(tmp_path)
    relabelled = (
        b"Would relabel /usr/sbin/sshd from <no context> to system_u:object_r:sshd_exec_t:s0\n"
        b"Would relabel /a from b from <no context> to system_u:object_r:etc_t:s0\nOther\n"
    )
    monkeypatch.setattr(FakeHost, "relabelled", relabelled)
    assert build._labels(tmp_path)[1] == ("/a from b", "system_u:object_r:etc_t:s0")


def test_the_labels_do_not_depend_on_those_that_the_files_have_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[list[str]] = []

    class Recorded(FakeHost):
        relabelled = b"Would relabel /usr/sbin/sshd from a:b:c:s0 to system_u:object_r:sshd_exec_t:s0\n"

        def run(self, argv: list[str], **options: Any) -> Completed:
            commands.append(argv)
            return super().run(argv, **options)

    monkeypatch.setattr(build, "LocalHost", Recorded)
    build._labels(tmp_path)
    assert "-F" in commands[-1]


def test_labels_that_could_not_be_written_are_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "LocalHost", FakeHost)
    labels = [('/a"b', "system_u:object_r:etc_t:s0")]
    build._write_disk(tmp_path, labels, tmp_path / "raw", 1)
    monkeypatch.setattr(FakeHost, "complaint", b'/a"b: File not found by ext2_lookup\n')
    with pytest.raises(CommandFailed, match="File not found"):
        build._write_disk(tmp_path, labels, tmp_path / "raw", 1)
    assert (
        'ea_set "/a""b" security.selinux system_u:object_r:etc_t:s0'
        in (tmp_path / "labels.debugfs").read_text()
    )


def test_the_name_of_a_box_is_known_before_it_is_built(images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "_build", make)
    monkeypatch.setattr(build, "check_space", lambda directory: None)
    name = box_name("debian13", images)
    assert build_box("debian13", images, Progress()).name == name


def test_another_list_of_packages_gives_another_name(images: Path) -> None:
    before = box_name("debian13", images)
    (images / "httpd" / "packages").write_text("apache2 curl\n")
    assert box_name("debian13", images) != before


@pytest.mark.parametrize("has_templates", [False, True])
def test_the_base_policy_of_a_box_has_the_templates_that_the_box_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_templates: bool
) -> None:
    """Its fingerprint must be that of the guest's survey."""
    packed: list[list[str]] = []

    def run(argv: list[str], what: str) -> Completed:
        packed.append(argv)
        return Completed(tuple(argv), 0, b"archive", b"")

    if has_templates:
        (tmp_path / "usr/share/udica/templates").mkdir(parents=True)
    monkeypatch.setattr(build, "_run", run)
    monkeypatch.setattr(build, "keep_base", lambda *_: None)
    build._keep_policy(tmp_path, tmp_path)
    assert ("usr/share/udica/templates" in packed[0]) is has_templates

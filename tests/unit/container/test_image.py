"""The image that a scenario names, and how a guest gets it."""

from __future__ import annotations

from pathlib import Path

import pytest

from selab.container import image
from selab.container.image import BOX_IMAGES, BUILD_TIMEOUT, IMPORT_TIMEOUT, Image, ensure_image, find_image
from selab.container.runtime import runtimes
from selab.errors import InputError, SelabError
from selab.progress import Progress
from selab.project import Project
from tests.unit.fakes import FakeGuest, recorded_network

DOCKER = runtimes()["docker"]


@pytest.fixture(autouse=True)
def nothing_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("this test builds no image")

    monkeypatch.setattr(image, "image_tar", refuse)


def ensure(guest: FakeGuest, image: Image, cache: Path) -> None:
    ensure_image(guest, DOCKER, image, cache, Progress(), recorded_network(guest.commands))


def tar_of(image: Image) -> str:
    assert image.source is not None
    return f"{BOX_IMAGES}/{image.source.tar_name}"


def test_a_directory_is_an_image_whose_tag_changes_with_its_files(project: Project, httpd: Image) -> None:
    assert httpd.source is not None
    assert httpd.reference == f"selab/httpd:{httpd.source.digest[:12]}"
    (project.images / "Httpd" / "files" / "etc" / "x").write_text("y")
    assert find_image(project, "Httpd").reference != httpd.reference


@pytest.mark.parametrize("name", ["httpd:2", "quay.io/x/y", "localhost/x"])
def test_a_reference_is_left_to_the_registry(project: Project, name: str) -> None:
    assert find_image(project, name) == Image(name, None)


def test_a_name_that_is_neither_lists_the_images(project: Project, httpd: Image) -> None:
    with pytest.raises(InputError, match="There is no image 'redis'") as caught:
        find_image(project, "redis")
    assert "Httpd" in caught.value.detail and "redis:latest" in caught.value.hint


def test_a_project_without_images_has_none(project: Project) -> None:
    project.images.rmdir()
    with pytest.raises(InputError, match="There is no image 'redis'"):
        find_image(project, "redis")


def test_an_image_outside_the_project_is_refused(project: Project, tmp_path: Path) -> None:
    outside = tmp_path.parent / f"{tmp_path.name}-outside"
    outside.mkdir()
    (project.images / "away").symlink_to(outside)
    with pytest.raises(InputError, match="The image 'away'"):
        find_image(project, "away")


def test_an_image_of_the_box_is_imported_with_its_settings(httpd: Image, tmp_path: Path) -> None:
    guest = FakeGuest()
    guest.answer("test -s", tar_of(httpd))
    guest.answer("docker import")
    ensure(guest, httpd, tmp_path)
    words = ("--change", "ENV A=b", "--change", "ENV C=d", "--change", "EXPOSE 80")
    assert guest.commands[-1] == ("docker", "import", *words, tar_of(httpd), httpd.reference)
    assert guest.timeouts[-1] == IMPORT_TIMEOUT


def test_an_image_that_the_box_lacks_is_built_here_and_imported(
    httpd: Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "built.tar").write_bytes(b"a tar")
    monkeypatch.setattr(image, "can_build_images", lambda: True)
    tars = {(httpd.source, tmp_path): tmp_path / "built.tar"}
    monkeypatch.setattr(image, "image_tar", lambda source, cache, progress: tars[source, cache])
    guest = FakeGuest()
    guest.answer("test -s", code=1)
    guest.answer("docker import")
    ensure(guest, httpd, tmp_path)
    assert guest.files == {tar_of(httpd): b"a tar"}
    assert guest.commands[-1][-2:] == (tar_of(httpd), httpd.reference)


def test_without_the_tools_it_is_built_in_the_guest_from_its_own_files_only(
    httpd: Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image, "can_build_images", lambda: False)
    guest = FakeGuest()
    guest.answer("test -s", code=1)
    guest.answer("docker build")
    ensure(guest, httpd, tmp_path)
    directory = "/var/lib/selab/build-image/Httpd"
    assert sorted(guest.files) == [
        f"{directory}/{name}" for name in ("Dockerfile", "files/etc/x", "packages")
    ]
    assert (guest.files[f"{directory}/files/etc/x"], guest.timeouts[-1]) == (b"x", BUILD_TIMEOUT)
    assert guest.commands[-3:] == [
        ("network", "open"),
        ("docker", "build", "--quiet", "--tag", httpd.reference, directory),
        ("network", "closed"),
    ]


def test_the_network_is_open_for_a_pull_only(tmp_path: Path) -> None:
    guest = FakeGuest()
    guest.answer("docker pull")
    ensure(guest, Image("x.test/x:1", None), tmp_path)
    assert guest.commands == [
        ("network", "open"),
        ("docker", "pull", "--quiet", "x.test/x:1"),
        ("network", "closed"),
    ]
    assert guest.timeouts == [BUILD_TIMEOUT]


def test_the_network_stays_closed_for_an_image_of_the_box(httpd: Image, tmp_path: Path) -> None:
    guest = FakeGuest()
    guest.answer("test -s", tar_of(httpd))
    guest.answer("docker import")
    ensure(guest, httpd, tmp_path)
    assert ("network", "open") not in guest.commands


@pytest.mark.parametrize(
    ("word", "what"),
    [("pull", "cannot be pulled"), ("import", "cannot be imported"), ("build", "cannot be built")],
)
def test_a_failure_of_the_runtime_ends_the_run(
    httpd: Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, word: str, what: str
) -> None:
    monkeypatch.setattr(image, "can_build_images", lambda: False)
    guest = FakeGuest()
    guest.answer("test -s", code=0 if word == "import" else 1)
    guest.answer(f"docker {word}", code=1, err="no space left on device")
    with pytest.raises(SelabError, match=what) as caught:
        ensure(guest, Image("x.test/x:1", None) if word == "pull" else httpd, tmp_path)
    assert "no space left" in str(caught.value)

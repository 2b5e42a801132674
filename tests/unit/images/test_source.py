"""Images: what is read from a directory, and the tars that are built from it."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from selab.errors import InputError
from selab.images import source as source_module
from selab.images.rootfs import Entry, Rootfs
from selab.images.source import build_image_tar, image_tar, read_dockerfile, read_image
from selab.progress import Progress

DEB822 = """\
# a comment
Types: deb
URIs: {security}
Suites: bookworm-security
Components: main

Types: deb deb-src
# another
URIs:
 {mirror}
Suites: bookworm
Components: main contrib
"""


def test_a_dockerfile_tells_its_suite_and_how_the_image_runs() -> None:
    text = (
        '# CMD no\nFROM debian:trixie-slim\nRUN true \\\n && true\nENV A=1 \\\n    B="x  y"\n'
        'expose 80\nCMD ["a", "b"]\n'
    )
    assert read_dockerfile(text) == ("trixie", ('ENV A=1 B="x  y"', "EXPOSE 80", 'CMD ["a", "b"]'))


@pytest.mark.parametrize("text", ["", "FROM alpine\n", "FROM debian:trixie\nFROM debian:trixie\n"])
def test_another_base_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        read_dockerfile(text)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    directory = tmp_path / "web"
    (directory / "files" / "etc").mkdir(parents=True)
    (directory / "Dockerfile").write_text('FROM debian:trixie\nCMD ["x"]\n')
    (directory / "packages").write_text("apache2\ncurl\n")
    (directory / "files" / "etc" / "x.conf").write_text("x")
    return directory


def test_an_image_is_read(image: Path) -> None:
    source = read_image(image)
    assert (source.name, source.suite, source.packages) == ("web", "trixie", ("apache2", "curl"))
    assert source.files == (Entry("/etc/x.conf", b"x", 0o644),)
    assert source.changes == ('CMD ["x"]',)


@pytest.mark.parametrize("name", ["Dockerfile", "packages", "files/etc/x.conf", "files/new"])
def test_the_digest_changes_with_every_file(image: Path, name: str) -> None:
    before = read_image(image).digest
    path = image / name
    path.write_text((path.read_text() if path.exists() else "") + "\nxz\n")
    assert read_image(image).digest != before


def test_the_digest_changes_with_the_mode_and_with_the_builder(
    image: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = read_image(image).digest
    (image / "files/etc/x.conf").chmod(0o755)
    changed = read_image(image).digest
    assert changed != before
    monkeypatch.setattr(source_module, "VERSION", 99)
    assert read_image(image).digest not in (before, changed)


@pytest.mark.parametrize(
    "name",
    ["./evil.deb", "/tmp/evil.deb", "-o=x", "?narrow(x)", "~n.", "a,b", "$(id)", "pkg=1", "x/sid", "a;b"],
)
def test_what_is_not_a_packages_name_is_refused(image: Path, name: str) -> None:
    (image / "packages").write_text(f"apache2\n{name}\n")
    with pytest.raises(InputError, match="is not the name of a package"):
        read_image(image)


@pytest.mark.parametrize("name", ["packages", "Dockerfile", "files"])
def test_an_image_is_not_read_from_outside_of_its_directory(image: Path, tmp_path: Path, name: str) -> None:
    (image / name).rename(tmp_path / "elsewhere")
    (image / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="outside"):
        read_image(image)


def test_links_in_an_images_files_are_left_out(image: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "key").write_text("swordfish")
    (image / "files" / "directory").symlink_to(tmp_path / "secret")
    (image / "files" / "file").symlink_to(tmp_path / "secret" / "key")
    assert [entry.path for entry in read_image(image).files] == ["/etc/x.conf"]


def test_an_image_has_nothing_but_an_overlay(
    image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Rootfs] = []
    monkeypatch.setattr(source_module, "build_tar", lambda what, out, stop: seen.append(what))
    source = read_image(image)
    build_image_tar(source, tmp_path / "x.tar", Progress())
    assert seen == [Rootfs("trixie", "essential", ("apache2", "curl"), overlay=source.files)]


def test_a_directory_without_a_package_list_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_image(tmp_path)


def test_an_image_that_another_selab_made_meanwhile_is_taken(
    image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source_module, "build_tar", None)
    made = b"made" + bytes(2 * tarfile.BLOCKSIZE)
    (tmp_path / "x.tar").write_bytes(made)
    build_image_tar(read_image(image), tmp_path / "x.tar", Progress())
    assert (tmp_path / "x.tar").read_bytes() == made


@pytest.mark.parametrize(
    ("cached", "is_built"),
    [(None, True), (b"half" * 1000, True), (bytes(2 * tarfile.BLOCKSIZE), False)],
    ids=["no tar", "half a tar", "a whole tar"],
)
def test_a_tar_is_built_unless_a_whole_one_is_in_the_cache(
    image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cached: bytes | None, is_built: bool
) -> None:
    whole = b"built" + bytes(2 * tarfile.BLOCKSIZE)
    monkeypatch.setattr(source_module, "build_tar", lambda what, out, stop: out.write_bytes(whole))
    source = read_image(image)
    tar = tmp_path / "images" / source.tar_name
    tar.parent.mkdir()
    if cached is not None:
        tar.write_bytes(cached)
    assert image_tar(source, tmp_path, Progress()) == tar
    assert (tar.read_bytes() == whole) is is_built

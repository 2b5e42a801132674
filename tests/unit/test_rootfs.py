"""Mirrors, Dockerfiles, images and mmdebstrap's command line: all that needs no packages."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from selab import rootfs
from selab.errors import CommandFailed, InputError, SelabError
from selab.guest import Completed
from selab.progress import Progress
from selab.rootfs import MIRROR, Entry, Rootfs, build_tar, find_mirror, read_dockerfile, read_image

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


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("sources.list", "deb http://m.test/debian bookworm main", "http://m.test/debian"),
        ("sources.list", "deb [arch=amd64 signed-by=/k.gpg] https://m.test/debian/ bookworm main # x", "https://m.test/debian"),
        ("sources.list", "# deb http://m.test/debian bookworm main", MIRROR),
        ("sources.list", "deb-src http://m.test/debian bookworm main", MIRROR),
        ("sources.list", "deb http://m.test/debian bookworm contrib", MIRROR),
        ("sources.list", "deb http://m.test/debian-security bookworm-security main", MIRROR),
        ("sources.list", "deb http://m.test/ubuntu noble main", MIRROR),
        ("sources.list.d/x.list", "deb file:/srv/debian bookworm main", "file:/srv/debian"),
        ("sources.list.d/x.bak", "deb http://m.test/debian bookworm main", MIRROR),
        ("sources.list.d/debian.sources", DEB822.format(security="http://m.test/debian-security", mirror="http://m.test/debian"), "http://m.test/debian"),
        ("sources.list.d/off.sources", "Enabled: no\nTypes: deb\nURIs: http://m.test/debian\nComponents: main\n", MIRROR),
    ],
)  # fmt: skip
def test_the_mirror_is_the_one_of_the_hosts_apt(tmp_path: Path, name: str, text: str, expected: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    assert find_mirror(tmp_path) == expected


def test_without_sources_the_mirror_is_debians_own(tmp_path: Path) -> None:
    assert find_mirror(tmp_path) == MIRROR


def test_a_dockerfile_tells_its_suite_and_how_the_image_runs() -> None:
    text = '# CMD no\nFROM debian:trixie-slim\nRUN true \\\n && true\nENV A=1 \\\n    B="x  y"\nexpose 80\nCMD ["a", "b"]\n'
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
    path.write_text((path.read_text() if path.exists() else "") + "\nx\n")
    assert read_image(image).digest != before


def test_the_digest_changes_with_the_mode_and_with_the_builder(image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = read_image(image).digest
    (image / "files/etc/x.conf").chmod(0o755)
    changed = read_image(image).digest
    assert changed != before
    monkeypatch.setattr(rootfs, "VERSION", 99)
    assert read_image(image).digest not in (before, changed)


def test_a_directory_without_a_package_list_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_image(tmp_path)


class Mmdebstrap:
    """Stands in for the host: writes the tar that mmdebstrap was asked for, or fails."""

    def __init__(self, fails: bool = False) -> None:
        self.fails = fails
        self.overlay: list[tuple[str, int]] = []

    def run(self, argv: list[str], *, input: bytes = b"", timeout: float = 0) -> Completed:
        if "mmdebstrap" not in argv:
            return Completed(tuple(argv), 0, b'Acquire::http::Proxy "http://p.test:1";\nAPT::Other "1";\nAcquire::Empty "";\n', b"")
        assert '--aptopt=Acquire::http::Proxy "http://p.test:1";' in argv
        assert not [word for word in argv if word.startswith("--aptopt") and "Proxy" not in word]
        Path(argv[-2]).write_bytes(b"tar")
        hook = next(word for word in argv if word.startswith("--customize-hook=tar-in"))
        with tarfile.open(hook.split()[1]) as tar:
            self.overlay = [(member.name, member.mode) for member in tar]
        return Completed(tuple(argv), 1 if self.fails else 0, b"", b"I: x\nE: no such package\nI: y\n")


@pytest.fixture
def able(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rootfs, "_obstacle", lambda tools: None)


@pytest.mark.usefixtures("able")
def test_a_tar_is_made_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host = Mmdebstrap()
    monkeypatch.setattr(rootfs, "Host", lambda: host)
    build_tar(Rootfs("trixie", "essential", ("a",), files=(Entry("/etc/s", b"1", 0o440),)), tmp_path / "x.tar")
    assert [path.name for path in tmp_path.iterdir()] == ["x.tar"]
    assert host.overlay[0] == ("etc/s", 0o440)


@pytest.mark.usefixtures("able")
def test_a_failed_build_leaves_nothing_and_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rootfs, "Host", lambda: Mmdebstrap(fails=True))
    with pytest.raises(CommandFailed, match="no such package"):
        build_tar(Rootfs("trixie", "essential", ("a",)), tmp_path / "x.tar")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("able")
def test_an_interrupted_build_leaves_no_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(command: list[str]) -> None:
        place = next(word for word in command if word.startswith("TMPDIR=")).partition("=")[2]
        (Path(place) / "mmdebstrap.x").mkdir()
        raise KeyboardInterrupt

    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr(rootfs, "as_root", list)
    monkeypatch.setattr(rootfs, "_mmdebstrap", interrupted)
    with pytest.raises(KeyboardInterrupt):
        build_tar(Rootfs("trixie", "essential", ("a",)), tmp_path / "x.tar")
    assert list((tmp_path / "tmp").iterdir()) == []


def test_an_image_that_another_selab_made_meanwhile_is_taken(image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rootfs, "build_tar", None)
    (tmp_path / "x.tar").write_bytes(b"made")
    rootfs.build_image_tar(read_image(image), tmp_path / "x.tar", Progress())
    assert (tmp_path / "x.tar").read_bytes() == b"made"


def test_missing_tools_are_named_by_their_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rootfs, "tool", lambda name: name)
    with pytest.raises(SelabError, match="apt-get install e2fsprogs mmdebstrap") as caught:
        rootfs.require({"mke2fs": "e2fsprogs"})
    assert len(str(caught.value).splitlines()) == 3
    assert not rootfs.can_build_images()


def test_a_plain_user_needs_subordinate_ids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rootfs.getpass, "getuser", lambda: "ann")
    path = tmp_path / "subuid"
    for text, enough in (("ann:1:65536\n", True), ("ann:1:65535\n", False), ("bob:1:65536\n", False), ("broken\n", False)):
        path.write_text(text)
        assert rootfs._has_subordinates(path) is enough
    assert not rootfs._has_subordinates(tmp_path / "none")

"""Mirrors and mmdebstrap's command line: all that needs no packages."""

from __future__ import annotations

import os
import subprocess
import tarfile
import time
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Timer

import pytest

from selab.errors import CommandFailed, SelabError
from selab.guest import Completed
from selab.host.local import LocalHost
from selab.images import rootfs
from selab.images.rootfs import MIRROR, Entry, Rootfs, build_tar, find_mirror

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
        (
            "sources.list",
            "deb [arch=amd64 signed-by=/k.gpg] https://m.test/debian/ bookworm main # x",
            "https://m.test/debian",
        ),
        ("sources.list", "# deb http://m.test/debian bookworm main", MIRROR),
        ("sources.list", "deb-src http://m.test/debian bookworm main", MIRROR),
        ("sources.list", "deb http://m.test/debian bookworm contrib", MIRROR),
        ("sources.list", "deb http://m.test/debian-security bookworm-security main", MIRROR),
        ("sources.list", "deb http://m.test/ubuntu noble main", MIRROR),
        ("sources.list.d/x.list", "deb file:/srv/debian bookworm main", "file:/srv/debian"),
        ("sources.list.d/x.bak", "deb http://m.test/debian bookworm main", MIRROR),
        (
            "sources.list.d/debian.sources",
            DEB822.format(security="http://m.test/debian-security", mirror="http://m.test/debian"),
            "http://m.test/debian",
        ),
        (
            "sources.list.d/off.sources",
            "Enabled: no\nTypes: deb\nURIs: http://m.test/debian\nComponents: main\n",
            MIRROR,
        ),
    ],
)
def test_the_mirror_is_the_one_of_the_hosts_apt(tmp_path: Path, name: str, text: str, expected: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    assert find_mirror(tmp_path) == expected


def test_without_sources_the_mirror_is_debians_own(tmp_path: Path) -> None:
    assert find_mirror(tmp_path) == MIRROR


def test_an_images_files_are_added_to_the_finished_tar_and_are_never_in_a_file_system_here(
    builder: Builder,
) -> None:
    builder.does(
        'while read -r word; do case $word in */.half-*) tar -cf "$word" -C / etc/hostname;; esac; '
        'done <"$SEEN/arguments"\n'
    )
    overlay = (
        Entry("/etc/apt/apt.conf.d/99x", b'APT::Update::Pre-Invoke {"touch made";};'),
        Entry("/var/run/x", b"x"),
    )
    build_tar(Rootfs("trixie", "essential", ("a",), overlay=overlay), builder.out / "x.tar")
    assert "apt.conf.d" not in (builder.seen / "files").read_text()
    with tarfile.open(builder.out / "x.tar") as tar:
        assert tar.getnames() == ["etc/hostname", "etc/apt/apt.conf.d/99x", "var/run/x"]


def test_an_images_file_stands_in_the_tar_instead_of_the_packages_own(builder: Builder) -> None:
    """Docker refuses a tar that has a path twice."""
    make = (
        'while read -r word; do case $word in */.half-*) tar -cf "$word" -C / ./etc/hostname '
        './etc/hosts;; esac; done <"$SEEN/arguments"\n'
    )
    builder.does(make)
    build_tar(
        Rootfs("trixie", "essential", ("a",), overlay=(Entry("/etc/hostname", b"ours", 0o755),)),
        builder.out / "x.tar",
    )
    with tarfile.open(builder.out / "x.tar") as tar:
        assert sorted(name.removeprefix("./") for name in tar.getnames()) == ["etc/hostname", "etc/hosts"]
        assert [(each.mode, each.size) for each in tar.getmembers() if each.name.endswith("hostname")] == [
            (0o755, 4)
        ]


FAKE = """\
#!/bin/sh
mkdir "$TMPDIR/mmdebstrap.root"
printf '%s\\n' "$@" >"$SEEN/arguments"
for word; do
    case $word in
    --customize-hook=tar-in*) set -- $word; tar -tvf "$2" >"$SEEN/files";;
    esac
done
echo "I: something" >&2
"""
"""A mmdebstrap that notes what it was asked for. What it does then is appended."""
MAKE = 'while read -r word; do case $word in */.half-*) echo tar >"$word";; esac; done <"$SEEN/arguments"\n'


class Options:
    """Answers `apt-config dump`; everything else is run."""

    def run(
        self, argv: list[str], *, input: bytes = b"", timeout: float = 0, limit: int | None = None
    ) -> Completed:
        if argv[0] != "apt-config":
            return LocalHost().run(argv, input=input, timeout=timeout)
        return Completed(
            tuple(argv),
            0,
            b'Acquire::http::Proxy "http://p.test:1";\nAPT::Other "1";\nAcquire::Empty "";\n',
            b"",
        )


@dataclass
class Builder:
    """Directories of a build with a fake mmdebstrap.

    out: the result.
    place: the working directory.
    seen: what the fake was called with.
    """

    out: Path
    place: Path
    seen: Path
    program: Path

    def does(self, what: str) -> None:
        self.program.write_text(FAKE + what)
        self.program.chmod(0o755)

    def build(self, stop: Event | None = None) -> None:
        build_tar(
            Rootfs("trixie", "essential", ("a",), files=(Entry("/etc/s", b"1", 0o440),)),
            self.out / "x.tar",
            stop,
        )


@pytest.fixture
def builder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Builder:
    made = Builder(*(tmp_path / name for name in ("out", "place", "seen", "bin/mmdebstrap")))
    for directory in (made.out, made.place, made.seen, made.program.parent):
        directory.mkdir()
    monkeypatch.setattr(rootfs, "_obstacle", lambda tools: None)
    monkeypatch.setattr(rootfs, "LocalHost", Options)
    monkeypatch.setattr(rootfs, "as_root", list)
    monkeypatch.setattr(rootfs.os, "geteuid", lambda: 1000)
    for name, value in (
        ("TMPDIR", str(made.place)),
        ("SEEN", str(made.seen)),
        ("PATH", f"{made.program.parent}:{os.environ['PATH']}"),
    ):
        monkeypatch.setenv(name, value)
    return made


def test_a_tar_is_made_whole(builder: Builder) -> None:
    builder.does(MAKE)
    (builder.out / ".half-1-x.tar").touch()
    builder.build()
    assert [path.name for path in builder.out.iterdir()] == ["x.tar"]
    assert list(builder.place.iterdir()) == []
    arguments = (builder.seen / "arguments").read_text().splitlines()
    assert [word for word in arguments if word.startswith("--aptopt")] == [
        '--aptopt=Acquire::http::Proxy "http://p.test:1";'
    ]
    assert "--mode=unshare" in arguments
    files = (builder.seen / "files").read_text().splitlines()
    assert files[0].startswith("-r--r----- root/root") and files[0].endswith(" etc/s")


def test_the_last_hook_removes_apts_options_which_may_contain_a_password(builder: Builder) -> None:
    builder.does(MAKE)
    builder.build()
    hook = [
        line.partition("=")[2]
        for line in (builder.seen / "arguments").read_text().splitlines()
        if line.startswith("--customize-hook=")
    ][-1]
    root = builder.place / "root"
    options = root / "etc" / "apt" / "apt.conf.d"
    options.mkdir(parents=True)
    for path in (root / "selab-setup", options / "99mmdebstrap", options / "01packages"):
        path.touch()
    subprocess.run(["sh", "-c", hook, "sh", str(root)], check=True)
    assert [path.name for path in root.rglob("*") if path.is_file()] == ["01packages"]


def test_qemu_and_docker_can_read_a_tar_whatever_the_umask_is(builder: Builder) -> None:
    builder.does(MAKE)
    before = os.umask(0o077)
    try:
        builder.build()
    finally:
        os.umask(before)
    assert (builder.out / "x.tar").stat().st_mode & 0o777 == 0o644


def test_an_overlay_that_fails_leaves_nothing(builder: Builder, monkeypatch: pytest.MonkeyPatch) -> None:
    builder.does(
        'while read -r word; do case $word in */.half-*) tar -cf "$word" -C / etc/hostname;; esac; '
        'done <"$SEEN/arguments"\n'
    )
    overlay, put = Entry("/var/run/x", b"x"), rootfs._put

    def fill_the_disk(tar: tarfile.TarFile, entry: Entry) -> None:
        if entry is overlay:
            raise OSError("No space left on device")
        put(tar, entry)

    monkeypatch.setattr(rootfs, "_put", fill_the_disk)
    with pytest.raises(OSError, match="No space left"):
        build_tar(Rootfs("trixie", "essential", ("a",), overlay=(overlay,)), builder.out / "x.tar")
    assert [*builder.out.iterdir(), *builder.place.iterdir()] == []


def test_a_failed_build_leaves_nothing_and_says_why(builder: Builder) -> None:
    builder.does(MAKE + 'echo "E: no such package" >&2; echo "I: more" >&2; exit 1')
    with pytest.raises(CommandFailed, match="no such package"):
        builder.build()
    assert [*builder.out.iterdir(), *builder.place.iterdir()] == []


def test_a_build_that_ends_its_process_group_does_not_end_selab(builder: Builder) -> None:
    builder.does("kill -TERM 0\n")
    with pytest.raises(CommandFailed):
        builder.build()


@pytest.mark.program
def test_a_build_can_be_ended(builder: Builder) -> None:
    builder.does("trap '' TERM INT\nsleep 30\n")
    stop = Event()
    Timer(0.3, stop.set).start()
    started = time.monotonic()
    with pytest.raises(SelabError, match="ended"):
        builder.build(stop)
    assert time.monotonic() - started < 5
    assert [*builder.out.iterdir(), *builder.place.iterdir()] == []


@pytest.mark.program
def test_a_build_that_takes_too_long_is_ended(builder: Builder, monkeypatch: pytest.MonkeyPatch) -> None:
    builder.does("sleep 30\n")
    monkeypatch.setattr(rootfs, "BUILD_TIMEOUT", 0.3)
    with pytest.raises(SelabError, match="ended"):
        builder.build()


def test_missing_tools_are_named_by_their_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rootfs, "tool", lambda name: name)
    with pytest.raises(SelabError, match="apt-get install e2fsprogs mmdebstrap") as caught:
        rootfs.require({"mke2fs": "e2fsprogs"})
    assert len(str(caught.value).splitlines()) == 3
    assert not rootfs.can_build_images()


def test_a_plain_user_needs_subordinate_ids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rootfs.getpass, "getuser", lambda: "ann")
    path = tmp_path / "subuid"
    for text, enough in (
        ("ann:1:65536\n", True),
        ("ann:1:65535\n", False),
        ("bob:1:65536\n", False),
        ("broken\n", False),
    ):
        path.write_text(text)
        assert rootfs._has_subordinates(path) is enough
    assert not rootfs._has_subordinates(tmp_path / "none")

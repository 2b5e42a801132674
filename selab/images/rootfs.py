"""Builds root file systems as tars from Debian packages with mmdebstrap, for the box and for images."""

from __future__ import annotations

import getpass
import io
import os
import re
import shlex
import shutil
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from selab.errors import CommandFailed, SelabError
from selab.host.local import LocalHost
from selab.host.processes import end_group
from selab.progress import log

VERSION = 2
"""Part of every digest here: increase it when the same input leads to a different result."""
MIRROR = "http://deb.debian.org/debian"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
BUILD_TIMEOUT = 3600.0
"""Seconds for mmdebstrap: two to four minutes for the box on two cores with a near mirror."""
REMOVE_TIMEOUT = 300.0
EXCLUDED = (
    "/usr/share/doc/*",
    "/usr/share/man/*",
    "/usr/share/info/*",
    "/usr/share/locale/*",
    "/usr/share/lintian/*",
)
"""What dpkg leaves out of every root file system."""
TOOLS = {"mmdebstrap": "mmdebstrap", "tar": "tar"}
USER_TOOLS = {"unshare": "util-linux", "newuidmap": "uidmap", "newgidmap": "uidmap"}
"""Programs that a user other than root needs in addition, and the Debian package of each."""
SYSTEM_PATH = "/usr/sbin:/sbin"
"""Contains mke2fs and debugfs, and is not in the PATH of a user other than root."""
APT_OPTIONS = re.compile(r'^(Acquire::(?:http|https|Retries|Check-Valid-Until|Check-Date)(?:::\S+)?) ".+";$')
SETUP = "/selab-setup"
"""Path of the setup script in a root file system while it runs."""


def tool(name: str) -> str:
    """Return the program's path, also if it is not in the user's PATH, or its name if it does not exist."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:{SYSTEM_PATH}") or name


def missing_tools(tools: Mapping[str, str]) -> list[str]:
    """Return the Debian packages of those `tools` (program: package) that this machine lacks."""
    return sorted({package for name, package in tools.items() if not Path(tool(name)).is_absolute()})


def can_build_images() -> bool:
    """Return whether this machine can build root file systems."""
    return not _obstacle({})


def require(tools: Mapping[str, str]) -> None:
    """Raise SelabError unless this machine can build root file systems and has the `tools` in addition."""
    if obstacle := _obstacle(tools):
        raise obstacle


def _obstacle(tools: Mapping[str, str]) -> SelabError | None:
    plain = os.geteuid() != 0
    packages = missing_tools({**TOOLS, **(USER_TOOLS if plain else {}), **tools})
    if not KEYRING.exists():
        packages.append("debian-archive-keyring")
    if packages:
        install = f"apt-get install {' '.join(packages)}"
        return SelabError(
            "This machine cannot build from packages yet.",
            f"Missing: {', '.join(packages)}.",
            f"Run as root: {install}",
        )
    if plain and not all(_has_subordinates(Path(path)) for path in ("/etc/subuid", "/etc/subgid")):
        user = getpass.getuser()
        advice = f"Run as root: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {user}"
        return SelabError(
            "Building without root needs subordinate user ids.",
            f"/etc/subuid or /etc/subgid has none for {user}.",
            advice,
        )
    return None


def _has_subordinates(path: Path) -> bool:
    """Return whether `path`, as in subuid(5) or subgid(5), gives this user at least 65536 ids."""
    try:
        entries = [line.split(":") for line in path.read_text().splitlines()]
    except OSError:
        return False
    mine = {getpass.getuser(), str(os.getuid())}
    return any(
        len(entry) == 3 and entry[0] in mine and entry[2].isdigit() and int(entry[2]) >= 65536
        for entry in entries
    )


def as_root(argv: Sequence[str]) -> list[str]:
    """Return the command that runs `argv` as root.

    If selab does not run as root, that is in a user namespace, which maps the user to root, and the user's
    subordinate ids to the other users.
    """
    return list(argv) if os.geteuid() == 0 else ["unshare", "--map-root-user", "--map-auto", *argv]


def find_mirror(etc_apt: Path = Path("/etc/apt")) -> str:
    """Return the Debian archive of this machine's apt (sources.list(5), both forms), or Debian's own."""
    lists = [etc_apt / "sources.list", *sorted((etc_apt / "sources.list.d").glob("*"))]
    for path in lists:
        if path.suffix not in (".list", ".sources") or not path.is_file():
            continue
        text = path.read_text(errors="replace")
        for uri, components in _deb822(text) if path.suffix == ".sources" else _one_line(text):
            if "main" in components and re.fullmatch(r"(https?|file|copy):/.*/debian/?", uri):
                return uri.rstrip("/")
    return MIRROR


def _one_line(text: str) -> Iterable[tuple[str, list[str]]]:
    for line in text.splitlines():
        words = re.sub(r"\[[^][]*\]", " ", line.partition("#")[0]).split()
        if len(words) >= 4 and words[0] == "deb":
            yield words[1], words[3:]


def _deb822(text: str) -> Iterable[tuple[str, list[str]]]:
    lines = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    for stanza in re.split(r"\n\s*\n", lines):
        unfolded = re.sub(r"\n[ \t]+", " ", stanza)
        fields = {
            key.strip().lower(): value.split()
            for key, colon, value in (field.partition(":") for field in unfolded.splitlines())
            if colon
        }
        if "deb" in fields.get("types", []) and fields.get("enabled", ["yes"])[0].lower() not in (
            "no",
            "false",
        ):
            yield from ((uri, fields.get("components", [])) for uri in fields.get("uris", []))


def apt_options() -> list[str]:
    """Return the download options of this machine's apt (proxy, retries, dates), as lines of apt.conf(5)."""
    dump = LocalHost().run(["apt-config", "dump"]).text
    return [line for line in dump.splitlines() if APT_OPTIONS.match(line)]


@dataclass(frozen=True)
class Entry:
    """A file for a root file system, owned by root. `path` is absolute."""

    path: str
    data: bytes
    mode: int = 0o644


@dataclass(frozen=True)
class Rootfs:
    """The content of a root file system. All of it comes from selab, except `overlay`.

    suite: the Debian suite.
    variant: the variant of mmdebstrap.
    packages: the packages to install.
    early: files that exist before the packages are installed.
    files: files that are added after the packages, and replace theirs.
    setup: a shell script that then runs in the root file system, as root.
    overlay: the user's files. They are added to the finished tar, so that nothing on this machine executes
        them, reads them as its configuration (as apt would), or follows links of the packages with them.
    """

    suite: str
    variant: str
    packages: tuple[str, ...]
    early: tuple[Entry, ...] = ()
    files: tuple[Entry, ...] = ()
    setup: str = ""
    overlay: tuple[Entry, ...] = ()


def build_tar(rootfs: Rootfs, out: Path, stop: Event | None = None) -> None:
    """Build the root file system as the tar `out`, completely or not at all. Raises SelabError.

    Another thread may end the build with `stop`.
    """
    require({})
    for left in out.parent.glob(f".half-*-{out.name}"):
        left.unlink()
    # A unique name: a process that a killed selab started may still write to its own.
    half = out.with_name(f".half-{os.getpid()}-{out.name}")
    with _workplace() as work:
        for name, entries in (
            ("early", rootfs.early),
            ("files", (*rootfs.files, Entry(SETUP, rootfs.setup.encode()))),
        ):
            _pack(work / f"{name}.tar", entries)
            (work / f"{name}.tar").chmod(0o644)
        try:
            _mmdebstrap(_command(rootfs, work, half), work, stop or Event())
            if rootfs.overlay:
                _lay_over(half, rootfs.overlay)
            half.chmod(0o644)
            half.replace(out)
        finally:
            half.unlink(missing_ok=True)


@contextmanager
def _workplace() -> Iterator[Path]:
    """Create a directory for mmdebstrap, and remove it in any case. /tmp may be in memory and too small."""
    work = Path(tempfile.mkdtemp(prefix="selab-", dir=os.environ.get("TMPDIR", "/var/tmp")))
    work.chmod(0o755)
    try:
        yield work
    finally:
        remove = as_root(["rm", "-rf", "--one-file-system", str(work)])
        if not LocalHost().run(remove, timeout=REMOVE_TIMEOUT).ok:
            # A killed process may have written during the first attempt.
            LocalHost().run(remove, timeout=REMOVE_TIMEOUT)


def _command(rootfs: Rootfs, work: Path, out: Path) -> list[str]:
    # The namespace ends the processes and mounts with mmdebstrap, which does that itself in mode `unshare`.
    mode, apart = (
        ("root", ["unshare", "--mount-proc", "--pid", "--fork", "--kill-child"])
        if os.geteuid() == 0
        else ("unshare", [])
    )
    excluded = [f"--dpkgopt=path-exclude={path}" for path in EXCLUDED]
    options = [f"--aptopt={line}" for line in apt_options()]
    hooks = [
        f"--essential-hook=tar-in {shlex.quote(str(work / 'early.tar'))} /",
        f"--customize-hook=tar-in {shlex.quote(str(work / 'files.tar'))} /",
        f'--customize-hook=chroot "$1" sh -e {SETUP}',
        # apt's options, which may contain a proxy's password, belong to this machine and must not leave it.
        f'--customize-hook=rm -f "$1{SETUP}" "$1/etc/apt/apt.conf.d/99mmdebstrap"',
    ]
    return [
        *apart, "mmdebstrap", f"--mode={mode}", f"--variant={rootfs.variant}", "--format=tar",
        f"--keyring={KEYRING}", "--dpkgopt=force-unsafe-io", *excluded, *options,
        f"--include={','.join(rootfs.packages)}", *hooks, rootfs.suite, str(out), find_mirror(),
    ]  # fmt: skip


def _mmdebstrap(command: Sequence[str], work: Path, stop: Event) -> None:
    """Run mmdebstrap in its own process group: if it fails, it kills its group.

    It may take BUILD_TIMEOUT seconds, and has no memory limit because it installs whole packages. Its output
    goes to a file.
    """
    log.debug("host: %s", command)
    output, where, started = (
        work / "said",
        os.environ | {"LC_ALL": "C", "TMPDIR": str(work)},
        time.monotonic(),
    )
    with output.open("wb") as out:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            env=where,
            cwd="/",
            start_new_session=True,
        )
        try:
            while process.poll() is None:
                if stop.wait(0.2) or time.monotonic() - started > BUILD_TIMEOUT:
                    raise SelabError(
                        "The build of a root file system was ended.",
                        f"After {time.monotonic() - started:.0f} seconds.",
                    )
        finally:
            end_group(process)
    if process.returncode:
        text = output.read_text(errors="replace")
        log.debug("mmdebstrap: %s", text)
        why = next((line for line in text.splitlines() if line.startswith(("E:", "Err:"))), text)
        hint = "Check whether the package mirror can be reached; the whole output is in selab's log."
        raise CommandFailed(
            "The root file system could not be built from packages.",
            ["mmdebstrap"],
            process.returncode,
            why,
            hint,
        )


def _pack(path: Path, entries: Sequence[Entry]) -> None:
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as tar:
        for entry in entries:
            _put(tar, entry)


def _put(tar: tarfile.TarFile, entry: Entry) -> None:
    info = tarfile.TarInfo(entry.path.lstrip("/"))
    info.size, info.mode = len(entry.data), entry.mode
    info.uname = info.gname = "root"
    tar.addfile(info, io.BytesIO(entry.data))


def _lay_over(path: Path, entries: Sequence[Entry]) -> None:
    """Put `entries` into the tar `path`. Each replaces the member of its name, or else is added at the end.

    Docker rejects a tar that contains a path twice.
    """
    left, laid = (
        {entry.path.strip("/"): entry for entry in entries},
        path.with_name(path.name.replace(".half-", ".half-laid-", 1)),
    )
    try:
        with tarfile.open(path) as old, tarfile.open(laid, "w", format=tarfile.PAX_FORMAT) as new:
            for member in old:
                if entry := left.pop(os.path.normpath(member.name), None):
                    _put(new, entry)
                else:
                    new.addfile(member, old.extractfile(member) if member.isreg() else None)
            for entry in left.values():
                _put(new, entry)
        laid.replace(path)
    finally:
        laid.unlink(missing_ok=True)

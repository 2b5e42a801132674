"""A guest with real dnf: a root file system in a mount namespace, whose changes are in memory."""

from __future__ import annotations

import contextlib
import os
import secrets
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from selab.errors import CommandFailed
from selab.guest import RUN_TIMEOUT, Completed, script_argv
from tests.dnf.repositories import HERE, RELEASES, Package

LOWER = os.environ.get("SELAB_DNF_ROOT", "/")
"""The root file system that the guest starts as: this machine's, or another one with dnf, Python and sshd."""
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
MOUNT = """
set -e
mount -t tmpfs changes "$2"
mkdir "$2/upper" "$2/work" "$2/root"
mount -t overlay guest -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" "$2/root"
mount --rbind /dev "$2/root/dev"
mount -t proc proc "$2/root/proc"
mkdir -p "$2/root/srv/repositories"
mount --bind "$3" "$2/root/srv/repositories"
echo ready
read -r _
"""
REPOSITORIES = """
[{0}]
name=CentOS Stream - {0}
baseurl=file:///srv/repositories/$releasever/{0}
enabled={1}
gpgcheck=0
"""
OS_RELEASE = """
NAME="CentOS Stream"
ID="centos"
ID_LIKE="rhel fedora"
VERSION_ID="{0}"
PLATFORM_ID="platform:el{0}"
"""
NAMES = ("baseos", "appstream", "extras-common", "crb")
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOwnKeyOfThisVm vagrant\n"
WELL_KNOWN = "ssh-rsa AAAAB3NzaC1yc2EAAAABIwAAAQEA6NF8iallvQVp22WDkTkyrtvp9eWW6A8YVr+kz4 vagrant\n"
STATE = ("var/lib", "usr", "etc", "root", "home", "srv")
"""What provisioning may change; dnf's own logs and caches are elsewhere."""


class ChrootGuest:
    """The guest. Its changes and its mounts end with the process that holds them."""

    def __init__(self, holder: int, top: Path) -> None:
        self._holder = holder
        self._top = top
        self.commands: list[tuple[str, ...]] = []

    def run(
        self,
        argv: Sequence[str],
        *,
        input: bytes = b"",
        timeout: float = RUN_TIMEOUT,
        limit: int | None = None,
    ) -> Completed:
        self.commands.append(tuple(argv))
        environment = [f"PATH={PATH}", "HOME=/root", "LC_ALL=C.UTF-8", "SUDO_USER=vagrant"]
        enter = ["nsenter", "-m", "-t", str(self._holder), "chroot", str(self._top / "root"), "env", "-i"]
        done = subprocess.run(
            [*enter, *environment, *argv], input=input, timeout=timeout, capture_output=True, check=False
        )
        return Completed(tuple(argv), done.returncode, done.stdout, done.stderr)

    def put(self, data: bytes, path: str, *, mode: int = 0o644) -> None:
        token = secrets.token_hex(8)
        self.run(script_argv("vm/put", path, f"{mode:o}", str(len(data)), token), input=data).expect(path)

    def get(self, path: str) -> bytes:
        done = self.run(("cat", path))
        if not done.ok:
            raise CommandFailed(f"{path} cannot be read.", done.argv, done.returncode, done.error_text)
        return done.stdout

    def close(self) -> None:
        """Do nothing: the guest ends with its process."""

    def sh(self, script: str) -> str:
        """Return what a shell script prints, which must succeed."""
        return self.run(("sh", "-c", script)).expect(script).text

    def installed(self) -> set[str]:
        """Return the packages that rpm reports, with their versions."""
        return set(self.sh("rpm -qa").split())

    def state(self) -> Mapping[str, object]:
        """Return what another transaction of dnf, or another change of a file, would change.

        This is the time when each package was installed, and each file that differs from the system that the
        guest started as, with its size and its time.
        """
        packages = self.sh("rpm -qa --qf '%{NAME} %{EVR}\t%{INSTALLTIME}\t%{INSTALLTID}\n'")
        find = 'cd "$1" && shift && find "$@" -type f ! -path "*rpmdb*" -printf "%p\\t%s\\t%T@\\n"'
        enter = ["nsenter", "-m", "-t", str(self._holder), "sh", "-c", find, "sh", str(self._top / "upper")]
        files = subprocess.run([*enter, *STATE], capture_output=True, check=True, text=True).stdout
        return {line.split("\t")[0]: line for line in (packages + files).splitlines()}


@contextlib.contextmanager
def chroot(top: Path, repositories: Path) -> Iterator[ChrootGuest]:
    """Mount a guest at `top`, which reads the folder `repositories`, until the block ends."""
    command = [
        "unshare",
        "-m",
        "--propagation",
        "private",
        "sh",
        "-c",
        MOUNT,
        "sh",
        LOWER,
        str(top),
        str(repositories),
    ]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"ready\n", "the guest could not be mounted"
        try:
            yield ChrootGuest(holder.pid, top)
        finally:
            holder.stdin.close()


def prepare(guest: ChrootGuest, release: int, contents: Sequence[Package]) -> None:
    """Make the guest what Vagrant's box of CentOS Stream `release` is when selab first logs in."""
    places = {Path(path) for package in contents for path in package.files}
    programs = {path.name for path in places if "bin" in path.parts}
    absent = {f"{folder}/{name}" for folder in PATH.split(":") for name in programs} | set(map(str, places))
    guest.run(
        (
            "rm",
            "-rf",
            *sorted(absent),
            "/etc/os-release",
            "/root/.ssh",
            "/home/vagrant",
            "/usr/share/selinux/devel",
        )
    ).expect("rm")
    for folder in (
        "/var/lib/selab",
        "/var/lib/rpm",
        "/var/lib/dnf",
        "/root/.rpmdb",
        "/usr/lib/sysimage/rpm",
        "/etc/docker",
    ):
        guest.run(("rm", "-rf", folder)).expect("rm")
    for program in (HERE / "programs").iterdir():
        guest.put(program.read_bytes(), f"/usr/local/bin/{program.name}", mode=0o755)
    guest.put(f"{RELEASES[release]}.x86_64\n".encode(), "/etc/kernel-release")
    os_release = OS_RELEASE.format(release)
    guest.put(os_release.encode(), "/etc/os-release")
    guest.put(
        b"[main]\ngpgcheck=0\nplugins=0\ninstallonly_limit=3\nclean_requirements_on_remove=True\nbest=True\n",
        "/etc/dnf/dnf.conf",
    )
    text = "".join(REPOSITORIES.format(name, int(name != "crb")) for name in NAMES)
    guest.put(text.encode(), "/etc/yum.repos.d/centos.repo")
    box = f"--repofrompath=box,file:///srv/repositories/{release}/box"
    names = sorted({package.name for package in contents if package.repository == "box"})
    guest.run(
        ("dnf", "-y", box, "--repo=box", "--setopt=gpgcheck=0", f"--releasever={release}", "install", *names)
    ).expect("the box's packages")
    guest.run(("useradd", "-m", "-s", "/bin/sh", "vagrant")).expect("useradd")
    guest.run(("usermod", "-p", "$6$vagrant", "vagrant")).expect("usermod")
    guest.put((KEY + WELL_KNOWN).encode(), "/home/vagrant/.ssh/authorized_keys", mode=0o600)
    guest.put(b"4\n", "/sys/class/tty/ttyS0/type")
    guest.run(("ssh-keygen", "-A")).expect("ssh-keygen")
    guest.run(("mkdir", "-p", "/run/sshd", "/etc/ssh/sshd_config.d")).expect("mkdir")
    guest.run(("systemctl", "enable", "--now", "sshd")).expect("systemctl")

"""Only libvirt and box building require Linux, and no other module imports what another system lacks."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import selab
from selab.vm import provider

ROOT = Path(selab.__file__).parent

LINUX = {
    "host/labels.py": "a system without SELinux has no file with its mode, and then nothing else is asked",
    "host/distribution.py": "the name of the distribution; a system without it gets Debian's names",
    "images/rootfs.py": "root file systems from Debian's packages: a box is built on Linux only",
    "vm/kvm.py": "KVM is Linux's; without /dev/kvm nothing of it is asked",
    "vm/libvirt.py": "libvirt's daemons, started if systemd does not run",
    "host/binding.py": "/etc/machine-id if it exists, the host's name otherwise",
    "vm/ssh_config.py": "ssh's system-wide files, which are skipped if they do not exist",
    "vm/guest_agent/guard.py": "runs in the guest",
    "policy/guest/restore_labels.py": "runs in the guest",
    "policy/guest/save_labels.py": "runs in the guest",
}
"""What may use what Linux alone has, and why."""
POSIX = {
    "host/cache.py": "root's cache is the system's: QEMU must be able to read it",
    "host/descendants.py": "signals; what only Linux has is skipped elsewhere",
    "host/binding.py": "a state belongs to a user",
    "host/trusted.py": "a project belongs to a user",
    "host/private.py": "a file belongs to a user, and a pipe in its place must not block",
    "host/processes.py": "a program is ended with its whole group, within limits",
    "policy/module_files.py": "a pipe in the place of a policy must not block",
    "workflows/drafts.py": "a pipe in the place of a policy must not block",
    "cli/vm.py": "`selab vm console` becomes virsh",
    "doctor/examine.py": "how much memory there is, if the system reports it",
    "vm/console.py": "a terminal for virsh's console",
    "vm/terminal.py": "a terminal for Vagrant, and signals to its whole group",
    "vm/vagrantfile.py": "whether libvirt's session is meant",
    "vm/ssh_login.py": "a ProxyCommand, which ssh also runs in a shell, is ended with its children",
    "vm/state.py": "a VM belongs to a user",
    "images/rootfs.py": "as in LINUX",
    "vm/kvm.py": "as in LINUX",
    "vm/libvirt.py": "as in LINUX",
    "vm/guest_agent/guard.py": "runs in the guest",
}
"""What may use what every Unix has and Windows outside of WSL has not, and why."""
REACH = {
    "selab.vm.connection": "imports Vagrant",
    "selab.vm.console": "imports pexpect",
    "selab.vm.terminal": "imports pexpect",
    "selab.vm.vagrant": "imports it",
    "selab.vm.virtual_machine": "imports both: Vagrant's VM",
    "selab.images.rootfs": "builds boxes",
    "selab.vm.guest_agent.guard": "runs in the guest",
}
"""Modules that cannot be imported on a system without Unix terminals."""
PROGRAMS = {"selab.__main__", "selab.policy.guest.restore_labels", "selab.policy.guest.save_labels"}
"""Modules that do their work when they are run, and that no other module imports."""

LINUX_ATTRIBUTES = {
    *(
        "os.getxattr",
        "os.setxattr",
        "os.listxattr",
        "os.removexattr",
        "os.memfd_create",
        "os.sched_getaffinity",
        "os.sched_setaffinity",
    ),
    *(
        "os.unshare",
        "os.setns",
        "os.pidfd_open",
        "os.splice",
        "os.O_TMPFILE",
        "os.O_PATH",
        "select.epoll",
        "signal.SIGPWR",
    ),
}
LINUX_PLACES = ("/proc", "/sys", "/run", "/dev/kvm", "/etc", "/usr/share", "/var")
"""Places that do not exist on other systems, or have another meaning there."""
POSIX_MODULES = {
    "fcntl",
    "termios",
    "pty",
    "tty",
    "grp",
    "pwd",
    "resource",
    "syslog",
    "posix",
    "curses",
    "readline",
    "pexpect",
    "crypt",
    "spwd",
}
POSIX_ATTRIBUTES = {
    *(
        "os.geteuid",
        "os.getuid",
        "os.getgid",
        "os.getegid",
        "os.chown",
        "os.lchown",
        "os.mkfifo",
        "os.mknod",
        "os.fork",
        "os.forkpty",
    ),
    *(
        "os.killpg",
        "os.setsid",
        "os.getpgid",
        "os.sysconf",
        "os.uname",
        "os.nice",
        "os.getloadavg",
        "os.openpty",
        "os.O_NONBLOCK",
    ),
    *(
        "os.execv",
        "os.execvp",
        "select.poll",
        "signal.SIGKILL",
        "signal.SIGHUP",
        "signal.SIGALRM",
        "signal.pthread_sigmask",
        "os.chroot",
    ),
}

_WORD = re.compile(
    "|".join(map(re.escape, LINUX_PLACES))
    + r"|\b("
    + "|".join(
        sorted(POSIX_MODULES | {name.partition(".")[2] for name in LINUX_ATTRIBUTES | POSIX_ATTRIBUTES})
    )
    + r")\b"
)
"""A source without any of these words uses none of the above."""


def files() -> list[Path]:
    return sorted(ROOT.rglob("*.py"))


def named(tree: ast.AST) -> Iterator[str]:
    """The modules that are imported and the attributes of modules that are used, as in `os.geteuid`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            yield f"{node.value.id}.{node.attr}"


def places(tree: ast.AST) -> Iterator[str]:
    """Yield the absolute paths that `Path` and `open` are called with. Scripts for a guest are text."""
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in ("Path", "open")
        ):
            yield from (
                word.value
                for word in node.args
                if isinstance(word, ast.Constant) and isinstance(word.value, str)
            )


def linux_only(tree: ast.AST) -> set[str]:
    there = {place for place in places(tree) if place.startswith(LINUX_PLACES)}
    return there | (set(named(tree)) & LINUX_ATTRIBUTES)


def posix_only(tree: ast.AST) -> set[str]:
    return set(named(tree)) & (POSIX_MODULES | POSIX_ATTRIBUTES)


def used_by(name: str, used: Callable[[ast.AST], set[str]]) -> set[str]:
    source = (ROOT / name).read_text()
    return used(ast.parse(source)) if _WORD.search(source) else set()


def files_outside(table: dict[str, str]) -> list[str]:
    names = [path.relative_to(ROOT).as_posix() for path in files()]
    return [name for name in names if name not in table]


@pytest.mark.parametrize(("table", "used"), [(LINUX, linux_only), (POSIX, posix_only)], ids=["Linux", "Unix"])
def test_only_the_named_modules_require_it(
    table: dict[str, str], used: Callable[[ast.AST], set[str]]
) -> None:
    uses = {name: used_by(name, used) for name in files_outside(table)}
    assert {name: places for name, places in uses.items() if places} == {}


@pytest.mark.parametrize(("table", "used"), [(LINUX, linux_only), (POSIX, posix_only)], ids=["Linux", "Unix"])
def test_what_is_named_does_so(table: dict[str, str], used: Callable[[ast.AST], set[str]]) -> None:
    assert [name for name in table if not used_by(name, used)] == []


@pytest.mark.parametrize(
    ("source", "uses"),
    [
        ("import os\nos.geteuid()", {"os.geteuid"}),
        ("from os import geteuid", {"os.geteuid"}),
        ("import fcntl", {"fcntl"}),
        ("def f():\n    from pty import spawn", {"pty"}),
        ("import os.path", set()),
        ("from selab.vm import pty", set()),
    ],
)
def test_each_way_to_use_one_is_seen(source: str, uses: set[str]) -> None:
    assert posix_only(ast.parse(source)) == uses


@pytest.mark.parametrize(
    ("source", "uses"),
    [("Path('/proc/x')", {"/proc/x"}), ("run('cat /proc/x')", set()), ("os.getxattr(x)", {"os.getxattr"})],
)
def test_each_way_to_a_place_of_linux_is_seen(source: str, uses: set[str]) -> None:
    assert linux_only(ast.parse(source)) == uses


# Third-party packages are imported first: they know what to do where these modules are missing.
_ELSEWHERE = """
import sys, os, select, signal
import click, fabric, filelock, jinja2, paramiko, platformdirs, pydantic, watchfiles, yaml
import rich.console, rich.progress, rich.table
missing, attributes, modules = (words.split(",") for words in sys.argv[1:4])
for name in missing:
    sys.modules[name] = None
for name in attributes:
    module, _, attribute = name.partition(".")
    if hasattr(sys.modules[module], attribute):
        delattr(sys.modules[module], attribute)
failed = []
for name in modules:
    try:
        __import__(name)
    except (ImportError, AttributeError) as error:
        failed.append(f"{name}: {error}")
print("\\n".join(failed))
"""


def modules() -> list[str]:
    names = [
        ".".join(("selab", *path.relative_to(ROOT).with_suffix("").parts))
        for path in files()
        if path.name != "__init__.py"
    ]
    return [name for name in names if name not in (*REACH, *PROGRAMS)]


def failed(names: list[str]) -> list[str]:
    """The modules that cannot be imported where the others' modules are missing."""
    missing = ",".join(sorted(POSIX_MODULES - {"posix", "curses", "readline"}))  # the interpreter's own
    words = [missing, ",".join(sorted(POSIX_ATTRIBUTES - {"os.sysconf", "os.uname"})), ",".join(names)]
    done = subprocess.run(
        [sys.executable, "-c", _ELSEWHERE, *words],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=ROOT.parent,
    )
    assert done.returncode == 0, done.stderr
    return [line for line in done.stdout.splitlines() if line]


@pytest.mark.program
def test_every_other_module_is_imported_where_they_are_missing() -> None:
    assert failed(modules()) == []


@pytest.mark.program
def test_that_guard_sees_one_that_is_not() -> None:
    assert [line.partition(":")[0] for line in failed(["selab.vm.console", "selab.vm.ssh"])] == [
        "selab.vm.console"
    ]


# --- which provider -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("system", "there", "expected"),
    [
        ("linux", {"virsh", "VBoxManage"}, "libvirt"),
        ("linux", {"VBoxManage"}, "virtualbox"),
        ("linux", set(), "libvirt"),
        ("darwin", {"virsh", "VBoxManage"}, "virtualbox"),
        ("darwin", set(), "virtualbox"),
        ("win32", set(), "virtualbox"),
    ],
)
def test_a_system_gets_the_provider_that_it_can_have(
    monkeypatch: pytest.MonkeyPatch, system: str, there: set[str], expected: str
) -> None:
    monkeypatch.setattr(provider.sys, "platform", system)
    monkeypatch.setattr(provider.shutil, "which", lambda program: program if program in there else None)
    assert provider.default_provider() == expected

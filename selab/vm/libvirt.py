"""libvirt's daemons, and the few questions that are put to them directly instead of through Vagrant."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import shutil
import stat
import subprocess
import tempfile
import time
from pathlib import Path

from selab.errors import SelabError
from selab.host.cache import alone, cache_dir
from selab.vm import kvm

VIRSH_LIMIT = 20.0
"""Seconds for one question; a busy daemon takes one or two."""
START_LIMIT = 15.0
"""Seconds from starting the daemons until the first answer."""
DAEMON_LIMIT = 10.0
"""Seconds until a daemon that was told to has gone to the background."""
ENSURE_LIMIT = 180.0
"""Seconds to wait for another selab that starts the daemons and the pool: both limits above, and some questions."""
INSTALL = "Install libvirt-daemon-system, libvirt-clients and qemu-system-x86 (script/setup does), or set `provider: virtualbox`."


def uri() -> str:
    """The daemon for this user: root has the system's, everybody else their own session's."""
    return "qemu:///system" if os.geteuid() == 0 else "qemu:///session"


def virsh(*words: str, limit: float = VIRSH_LIMIT) -> subprocess.CompletedProcess[str]:
    """Run virsh. Its exit code is the caller's to judge; a time-out gives 124, a missing virsh 127."""
    command = ["virsh", "-q", "-c", uri(), *words]
    try:
        environment = {**os.environ, "LC_ALL": "C"}
        return subprocess.run(
            command, capture_output=True, text=True, timeout=limit, stdin=subprocess.DEVNULL, env=environment
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 124, "", f"no answer within {limit:g} s")
    except FileNotFoundError:
        return subprocess.CompletedProcess(command, 127, "", "virsh is not installed")


def ensure() -> None:
    """See to it that a daemon answers and the pool is active; of several who ask at once, one does it. Raises SelabError."""
    with alone(cache_dir() / "locks" / "libvirt", ENSURE_LIMIT, "starting libvirt"):
        ensure_daemon()
        ensure_pool()


def ensure_daemon() -> None:
    """See to it that a daemon answers: where no systemd runs, root starts virtlogd and libvirtd. Raises SelabError."""
    bare = os.geteuid() == 0 and not Path("/run/systemd/system").exists()
    if bare:
        _open_kvm()
    answer = virsh("uri")
    if answer.returncode == 0:
        return
    if bare:
        _start_daemons()
        deadline = time.monotonic() + START_LIMIT
        while time.monotonic() < deadline:
            answer = virsh("uri")
            if answer.returncode == 0:
                return
            time.sleep(0.2)
    last = (answer.stderr.strip().splitlines() or ["no message"])[-1]
    hint = (
        INSTALL
        if answer.returncode == 127
        else "See whether libvirtd runs: `systemctl status libvirtd`, `virsh uri`."
    )
    raise SelabError("libvirt does not answer.", f"`virsh -c {uri()} uri`: {last}", hint)


def _start_daemons() -> None:
    for daemon in ("virtlogd", "libvirtd"):
        path = shutil.which(daemon, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
        if path is None:
            raise SelabError("libvirt is not installed.", f"there is no {daemon}", INSTALL)
        # Its own session: Ctrl-C in selab's terminal must not end a daemon that other VMs use.
        with contextlib.suppress(subprocess.TimeoutExpired):  # the caller asks it for an answer
            subprocess.run(
                [path, "-d"],
                capture_output=True,
                timeout=DAEMON_LIMIT,
                start_new_session=True,
                stdin=subprocess.DEVNULL,
            )


def _open_kvm() -> None:
    """Give /dev/kvm the group and mode that udev would: no udev runs here.

    libvirt's probe opens it as root, but its cache is checked as QEMU's user; as long as these differ, it probes QEMU anew each time
    that a domain is defined or started, which takes a minute.
    """
    import grp  # which this function alone needs: the module is imported where there is none, too

    with contextlib.suppress(OSError, KeyError):
        status = kvm.DEVICE.stat()
        if status.st_gid == 0 and stat.S_IMODE(status.st_mode) == 0o600:
            os.chown(kvm.DEVICE, -1, grp.getgrnam("kvm").gr_gid)
            kvm.DEVICE.chmod(0o660)


def domain_state(domain: str) -> str:
    """libvirt's word for the state ("running", "shut off", "paused"), or "" where it knows no such domain."""
    answer = virsh("domstate", domain)
    return answer.stdout.strip() if answer.returncode == 0 else ""


def domain_uuid(name: str) -> str:
    """libvirt's id for the domain of this name, or ""."""
    answer = virsh("domuuid", name)
    return answer.stdout.strip() if answer.returncode == 0 else ""


def ensure_pool() -> None:
    """See to it that the pool `default` is there and active: Vagrant makes it, but nobody starts it after the host's next boot."""
    if _pool_state() == "running":
        return
    if not _pool_state():
        home = (
            Path("/var/lib/libvirt/images")
            if os.geteuid() == 0
            else Path.home() / ".local/share/libvirt/images"
        )
        virsh("pool-define-as", "default", "dir", "--target", str(home))
        virsh("pool-build", "default")
    started = virsh("pool-start", "default")
    if _pool_state() != "running":
        raise SelabError(
            "libvirt's storage pool `default` cannot be started.",
            started.stderr.strip()[:200],
            "See `virsh pool-info default`.",
        )
    virsh("pool-autostart", "default")


def _pool_state() -> str:
    answer = virsh("pool-info", "default")
    found = re.search(r"^State:\s+(\w+)", answer.stdout, re.M) if answer.returncode == 0 else None
    return found[1] if found else ""


def has_disk(domain: str) -> bool:
    """Whether Vagrant's disk for the domain of this name is there: whoever undefines a domain by hand leaves it."""
    return virsh("vol-info", "--pool", "default", f"{domain}.img").returncode == 0


def forwarded_port(domain: str) -> int:
    """The port of the loopback that the domain forwards to its SSH, or 0."""
    found = re.search(r"hostfwd=tcp:127\.0\.0\.1:(\d+)-:22", virsh("dumpxml", domain).stdout)
    return int(found.group(1)) if found else 0


def move_forward(domain: str, old: int, new: int) -> None:
    """Let the domain, which is off, forward the port `new` of the loopback to its SSH instead of `old`."""
    definition = virsh("dumpxml", "--inactive", "--security-info", domain)
    before, after = f"hostfwd=tcp:127.0.0.1:{old}-:22", f"hostfwd=tcp:127.0.0.1:{new}-:22"
    if definition.returncode or before not in definition.stdout:
        raise SelabError(
            f"The VM's SSH port {old} is in use, and it has no forward that selab could move.",
            f"domain {domain}",
        )
    with tempfile.NamedTemporaryFile("w", suffix=".xml") as file:
        file.write(definition.stdout.replace(before, after))
        file.flush()
        done = virsh("define", file.name)
    if done.returncode:
        raise SelabError("The VM's SSH port could not be changed.", done.stderr.strip()[:200])


def agent(domain: str, execute: str, **arguments: object) -> object | None:
    """What the guest agent returns for a command, or None: it is a way in that does not depend on the guest's network."""
    request: dict[str, object] = {"execute": execute}
    if arguments:
        request["arguments"] = arguments
    answer = virsh("qemu-agent-command", domain, json.dumps(request), "--timeout", "5")
    try:
        return json.loads(answer.stdout)["return"] if answer.returncode == 0 else None
    except (ValueError, KeyError):
        return None


def agent_read(domain: str, path: str) -> bytes | None:
    """A small file of the guest, through its agent; None where the agent does not run or its configuration forbids it."""
    handle = agent(domain, "guest-file-open", path=path, mode="r")
    if not isinstance(handle, int):
        return None
    try:
        answer = agent(domain, "guest-file-read", handle=handle, count=8192)
        return base64.b64decode(answer["buf-b64"]) if isinstance(answer, dict) else None
    finally:
        agent(domain, "guest-file-close", handle=handle)

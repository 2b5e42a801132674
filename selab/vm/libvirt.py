"""libvirt's daemons, and the few operations for which selab calls virsh directly instead of Vagrant."""

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
from selab.host.processes import run_group
from selab.vm import kvm

VIRSH_LIMIT = 20.0
"""Seconds for one virsh command. A busy daemon needs one or two."""
START_LIMIT = 15.0
"""Seconds from starting the daemons until the first answer."""
DAEMON_LIMIT = 10.0
"""Seconds until a daemon has put itself into the background."""
ENSURE_LIMIT = 180.0
"""Seconds to wait for another selab process that starts the daemons and the pool: both limits above, and a
few commands."""
INSTALL = (
    "Install libvirt-daemon-system, libvirt-clients and qemu-system-x86 (script/setup does), "
    "or set `provider: virtualbox`."
)
OPEN_NETWORK = "The VM's network could not be closed."
_SSH_NETWORK = re.compile(r"(?<=')user,id=ssh,[^']*")


def uri() -> str:
    """Return the daemon's URI for this user: the system daemon for root, otherwise the user's session
    daemon."""
    return "qemu:///system" if os.geteuid() == 0 else "qemu:///session"


def virsh(*words: str, limit: float = VIRSH_LIMIT) -> subprocess.CompletedProcess[str]:
    """Run virsh. The exit code is 124 after a time-out and 127 if virsh is not installed.

    Its answers have a time limit and the usual size limit, but virsh has no memory limit: the answers come
    from libvirtd on this machine, which selab trusts, and not from the guest.
    """
    command = ["virsh", "-q", "-c", uri(), *words]
    try:
        environment = {**os.environ, "LC_ALL": "C"}
        # No limits: a session daemon that virsh starts would inherit them, and so would the VMs.
        done = run_group(command, timeout=limit, environment=environment)
        output, errors = (text.decode(errors="backslashreplace") for text in (done.stdout, done.stderr))
        return subprocess.CompletedProcess(command, done.returncode, output, errors)
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 124, "", f"no answer within {limit:g} s")
    except FileNotFoundError:
        return subprocess.CompletedProcess(command, 127, "", "virsh is not installed")


def ensure() -> None:
    """Ensure that a daemon answers and that the pool is active. One process at a time does this. Raises
    SelabError."""
    with alone(cache_dir() / "locks" / "libvirt", ENSURE_LIMIT, "starting libvirt"):
        ensure_daemon()
        ensure_pool()


def ensure_daemon() -> None:
    """Ensure that a daemon answers. If no systemd runs, root starts virtlogd and libvirtd. Raises
    SelabError."""
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
        else "Check whether libvirtd runs: `systemctl status libvirtd`, `virsh uri`."
    )
    raise SelabError("libvirt does not answer.", f"`virsh -c {uri()} uri`: {last}", hint)


def _start_daemons() -> None:
    for daemon in ("virtlogd", "libvirtd"):
        path = shutil.which(daemon, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
        if path is None:
            raise SelabError("libvirt is not installed.", f"There is no program {daemon}.", INSTALL)
        # The daemon gets its own session: Ctrl-C in selab's terminal must not end a daemon that other VMs
        # use.
        with contextlib.suppress(subprocess.TimeoutExpired):  # the caller checks whether it answers
            subprocess.run(
                [path, "-d"],
                capture_output=True,
                timeout=DAEMON_LIMIT,
                start_new_session=True,
                stdin=subprocess.DEVNULL,
            )


def _open_kvm() -> None:
    """Give /dev/kvm the group and mode that udev would set, because no udev runs here.

    libvirt probes QEMU as root, but validates the cached result as QEMU's user. While their access to the
    device differs, libvirt probes QEMU again each time a domain is defined or started, which takes a minute.
    """
    import grp  # imported here because Windows does not have it, and this module is imported there

    with contextlib.suppress(OSError, KeyError):
        status = kvm.DEVICE.stat()
        if status.st_gid == 0 and stat.S_IMODE(status.st_mode) == 0o600:
            os.chown(kvm.DEVICE, -1, grp.getgrnam("kvm").gr_gid)
            kvm.DEVICE.chmod(0o660)


def domain_state(domain: str) -> str:
    """Return libvirt's name for the state ("running", "shut off", "paused"), or "" if there is no such
    domain."""
    answer = virsh("domstate", domain)
    return answer.stdout.strip() if answer.returncode == 0 else ""


def domain_uuid(name: str) -> str:
    """Return the UUID of the domain `name`, or ""."""
    answer = virsh("domuuid", name)
    return answer.stdout.strip() if answer.returncode == 0 else ""


def domain_name(uuid: str) -> str:
    """Return the name of the domain with the id `uuid`, or ""."""
    answer = virsh("domname", uuid)
    return answer.stdout.strip() if answer.returncode == 0 else ""


def ensure_pool() -> None:
    """Ensure that the pool `default` exists and is active. Vagrant creates it, but does not start it after a
    reboot."""
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
    state = re.search(r"^State:\s+(\w+)", answer.stdout, re.M) if answer.returncode == 0 else None
    return state[1] if state else ""


def has_disk(domain: str) -> bool:
    """Return whether Vagrant's disk for this domain exists. `virsh undefine` removes the domain and leaves
    the disk."""
    return virsh("vol-info", "--pool", "default", f"{domain}.img").returncode == 0


def forwarded_port(domain: str) -> int:
    """Return the loopback port that is forwarded to the domain's SSH server, or 0."""
    forward = re.search(r"hostfwd=tcp:127\.0\.0\.1:(\d{1,5})-:22", virsh("dumpxml", domain).stdout)
    return int(forward.group(1)) if forward else 0


def move_forward(domain: str, old: int, new: int) -> None:
    """Forward the loopback port `new` instead of `old` to the SSH server of the domain, which must be off."""
    definition = virsh("dumpxml", "--inactive", "--security-info", domain)
    before, after = f"hostfwd=tcp:127.0.0.1:{old}-:22", f"hostfwd=tcp:127.0.0.1:{new}-:22"
    if definition.returncode or before not in definition.stdout:
        raise SelabError(
            f"The VM's SSH port {old} is in use, and selab cannot move it.",
            f"The definition of the domain {domain} has no such forward.",
            "End the process that uses the port, then run again.",
        )
    _define(definition.stdout.replace(before, after), "The VM's SSH port could not be changed.")


def _define(definition: str, what: str) -> None:
    """Replace the definition of a domain, for its next start. Raises SelabError with `what`."""
    with tempfile.NamedTemporaryFile("w", suffix=".xml") as file:
        file.write(definition)
        file.flush()
        done = virsh("define", file.name)
    if done.returncode:
        raise SelabError(what, done.stderr.strip()[:200])


def is_restricted(domain: str) -> bool:
    """Return whether the running domain reaches nothing through the network that forwards its SSH port."""
    networks = _SSH_NETWORK.findall(virsh("dumpxml", domain).stdout)
    return bool(networks) and all("restrict=on" in network for network in networks)


def restrict_forward(domain: str) -> None:
    """Restrict the network that forwards the domain's SSH port, from its next start on."""
    definition = virsh("dumpxml", "--inactive", "--security-info", domain).stdout
    changed = _SSH_NETWORK.sub(lambda match: f"{match[0]},ipv6=off,restrict=on", definition)
    if changed == definition:
        raise SelabError(
            OPEN_NETWORK,
            f"The definition of the domain {domain} has no network that forwards SSH.",
            "`selab vm destroy` removes the VM, and the next run creates a new one.",
        )
    _define(changed, OPEN_NETWORK)


def has_only_user_networks(domain: str) -> bool:
    """Return whether each interface of the running domain is on QEMU's user network."""
    return {kind for kind, _ in interfaces(domain)} == {"user"}


def set_links(domain: str, *, up: bool) -> None:
    """Take the links of the domain's outer interfaces up or down, now and at each start.

    Raises SelabError if a link does not have the state afterwards.
    """
    state = "up" if up else "down"
    for _, address in interfaces(domain):
        # The definition comes first when a link goes down, and last when it goes up: an interruption leaves
        # the VM closed at its next start.
        for where in ((), ("--config",)) if up else (("--config",), ()):
            virsh("domif-setlink", domain, address, state, *where)
        answers = [virsh("domif-getlink", domain, address, *where) for where in ((), ("--config",))]
        if any(answer.returncode or answer.stdout.split()[-1:] != [state] for answer in answers):
            detail = " ".join((answer.stderr or answer.stdout).strip() for answer in answers)
            raise SelabError(
                f"The VM's network could not be {'opened' if up else 'closed'}.",
                f"The link of {address}: {detail[:200]}",
                "Stop the VM: `selab vm halt`.",
            )


def interfaces(domain: str) -> list[tuple[str, str]]:
    """Return the type and the hardware address of each interface that libvirt manages."""
    answer = virsh("domiflist", domain)
    rows = [line.split() for line in answer.stdout.splitlines() if line.strip()]
    if answer.returncode or not rows or any(len(row) != 5 for row in rows):
        raise SelabError(
            OPEN_NETWORK,
            f"`virsh domiflist {domain}`: {(answer.stderr or answer.stdout).strip()[:160]}",
            "Stop the VM: `selab vm halt`.",
        )
    return [(row[1], row[4]) for row in rows]


def agent(domain: str, execute: str, **arguments: object) -> object | None:
    """Run a command of the guest agent, which does not need the guest's network. Return its result, or
    None."""
    request: dict[str, object] = {"execute": execute}
    if arguments:
        request["arguments"] = arguments
    answer = virsh("qemu-agent-command", domain, json.dumps(request), "--timeout", "5")
    try:
        reply = json.loads(answer.stdout) if answer.returncode == 0 else None
    except (ValueError, RecursionError):
        return None
    return reply.get("return") if isinstance(reply, dict) else None


def agent_read(domain: str, path: str) -> bytes | None:
    """Read a small file of the guest through its agent. Return None if the agent does not run or may not read
    it."""
    handle = agent(domain, "guest-file-open", path=path, mode="r")
    if not isinstance(handle, int):
        return None
    try:
        answer = agent(domain, "guest-file-read", handle=handle, count=8192)
        content = answer.get("buf-b64") if isinstance(answer, dict) else None
        return base64.b64decode(content, validate=True) if isinstance(content, str) else None
    except ValueError:
        return None
    finally:
        agent(domain, "guest-file-close", handle=handle)

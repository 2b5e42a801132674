"""The guard, a program in the guest: it restores the base policy unless selab disarms it in time.

It runs with the guest's own Python (3.8 or later) and nothing else. `serve` is the service, which starts with
the guest. A number of seconds written to its pipe arms the guard, and `off` disarms it. When the time is up,
the guard needs no other process and nothing from init, because the policy that it undoes may forbid every new
process. `rescue` restores the base policy at once, for a user of the serial console.
"""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
import time
from pathlib import Path

RUN = Path("/run/selab")
PIPE = RUN / "guard"
PID = RUN / "guard.pid"
MODE = RUN / "mode"
"""The file with the mode (0 or 1) to restore. It exists from before a candidate may enforce until the mode is
restored."""
LOADED = RUN / "loaded"
LABELS = "/var/lib/selab/labels.json"
RESTORE_LABELS = "/usr/local/lib/selab/restore-labels"
SELINUX = Path("/sys/fs/selinux")
SERVICES = ("ssh", "sshd", "auditd")
"""Services that a run needs and that a candidate may have stopped."""
RUNTIME_SERVICES = Path("/usr/local/lib/selab/services")
"""The file with the services of container runtimes, which a run may need as well."""
REST = 600.0
"""Seconds that a candidate stays in force after a run if the guest's own mode is enforcing."""
LIMIT = 60.0
"""Seconds until a guard acts that was restarted while it was armed."""
AGAIN = 2.0
"""Seconds between two attempts if the policy in force forbids everything that would undo it."""
COMMAND_LIMIT = 60.0


def base_policy() -> bytes:
    """Return the kernel's image of its policy if no candidate is loaded, else b"".

    The policy file on disk may have a version that this kernel cannot read; libselinux converts it
    (selinux_mkload_policy).
    """
    return b"" if LOADED.exists() else (SELINUX / "policy").read_bytes()


def write_selinuxfs(name: str, data: bytes) -> bool:
    """Write `data` in one write, as selinuxfs requires. Return whether the kernel accepted it."""
    try:
        file = os.open(str(SELINUX / name), os.O_WRONLY)
        try:
            return os.write(file, data) == len(data)
        finally:
            os.close(file)
    except OSError as error:
        report(f"{name}: {error}")
        return False


def restore_base(image: bytes) -> bool:
    """Restore the base policy, file labels, services and the mode. Return whether the policy is restored.

    Permissive mode is set first. If that fails, load `image` first, without another process: setting the mode
    and loading a policy need different permissions, and the base policy grants both.
    """
    before = recorded_mode() or current_mode()
    permissive = write_selinuxfs("enforce", b"0") or (
        bool(image) and write_selinuxfs("load", image) and write_selinuxfs("enforce", b"0")
    )
    if not permissive or not (succeeds("load_policy") or (bool(image) and write_selinuxfs("load", image))):
        return False
    with contextlib.suppress(FileNotFoundError):
        LOADED.unlink()
    if Path(LABELS).exists():
        succeeds(sys.executable, RESTORE_LABELS, LABELS)
    for name in services():
        if succeeds("systemctl", "--quiet", "is-enabled", name) and not succeeds(
            "systemctl", "--quiet", "is-active", name
        ):
            succeeds("systemctl", "reset-failed", name)
            succeeds("systemctl", "start", name)
    if before == "1":
        write_selinuxfs("enforce", b"1")
    with contextlib.suppress(OSError):
        MODE.unlink()
    return True


def recorded_mode() -> str:
    """Return the mode to restore, or "" if none is recorded. A file that cannot be read counts as
    permissive."""
    try:
        return MODE.read_text().strip()
    except FileNotFoundError:
        return ""
    except OSError:
        return "0"


def current_mode() -> str:
    """Return the mode in force. If the policy forbids reading it, the kernel enforces that policy."""
    try:
        return (SELINUX / "enforce").read_text().strip()
    except OSError:
        return "1"


def services() -> list[str]:
    """Return the services to start if they are enabled; those of runtimes if their file can be read."""
    try:
        return [*SERVICES, *RUNTIME_SERVICES.read_text().split()]
    except OSError:
        return [*SERVICES]


def report(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def succeeds(*words: str) -> bool:
    try:
        null = subprocess.DEVNULL
        return subprocess.run(words, stdin=null, stdout=null, timeout=COMMAND_LIMIT).returncode == 0
    except (OSError, subprocess.SubprocessError) as error:
        report(f"{words[0]}: {error}")
        return False


def serve() -> None:
    """Wait for commands on the pipe until the process is ended."""
    RUN.mkdir(exist_ok=True)
    if not PIPE.is_fifo():
        os.mkfifo(str(PIPE), 0o600)
    pipe = os.open(str(PIPE), os.O_RDWR | os.O_NONBLOCK)
    poll = select.poll()
    poll.register(pipe, select.POLLIN)
    image = base_policy()
    # A guard that was ended while it was armed becomes armed again.
    deadline, resting = (time.monotonic() + LIMIT if recorded_mode() else None), False
    PID.write_text(f"{os.getpid()}\n")
    while True:
        if poll.poll(None if deadline is None else max(0.0, deadline - time.monotonic()) * 1000):
            seconds, resting = read_command(pipe)
            deadline = None if seconds is None else time.monotonic() + seconds
        if deadline is not None and time.monotonic() >= deadline:
            # The command that disarms the guard may arrive after the deadline.
            needed = recorded_mode() or (resting and LOADED.exists())
            if needed:
                report("no command disarmed the guard in time: the base policy is loaded again")
            deadline = time.monotonic() + AGAIN if needed and not restore_base(image) else None


def read_command(pipe: int) -> tuple[float | None, bool]:
    """Read the last command in the pipe. Return the seconds to wait (None for `off`), and whether the command
    was `rest`.

    If the policy in force forbids reading the pipe, return 0 seconds: the guard must act.
    """
    try:
        last = (os.read(pipe, 4096).split() or [b"off"])[-1]
        return (REST, True) if last == b"rest" else (None if last == b"off" else float(last), False)
    except (OSError, ValueError) as error:
        report(f"the guard's pipe: {error}")
        return 0.0, False


if __name__ == "__main__":
    if sys.argv[1:] == ["rescue"]:
        sys.exit(0 if restore_base(b"") else 1)
    serve()

"""Runs in the guest, with its Python (3.8 or later) alone: gives the base policy back when a candidate is not called off in time.

`serve` is the guard, a service from the guest's start on. A number of seconds written to its pipe arms it, `off` calls it off. What it
does at that time needs no other process and nothing of init: under the policy that it is to undo, none may be allowed to start. `rescue`
does the same at once, for whoever got in by the serial console.
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
"""The mode (0 or 1) that the guest is to have again, from before a candidate may enforce until it is called off."""
LOADED = RUN / "loaded"
LABELS = "/var/lib/selab/labels.json"
RESTORE_LABELS = "/usr/local/lib/selab/restore-labels"
SELINUX = Path("/sys/fs/selinux")
SERVICES = ("ssh", "sshd", "docker", "auditd")
"""What a candidate may have brought down, and a run needs."""
REST = 600.0
"""Seconds that a candidate stays in force after a run where the guest itself enforces."""
LIMIT = 60.0
"""Seconds that a guard waits that finds itself started while it should be armed."""
AGAIN = 2.0
"""Seconds between two tries where the policy in force forbids everything that would undo it."""
COMMAND_LIMIT = 60.0


def base_policy() -> bytes:
    """The kernel's own image of its policy while no candidate is loaded, else nothing. The file on disk may be of a version that this
    kernel cannot read, which libselinux converts (selinux_mkload_policy)."""
    return b"" if LOADED.exists() else (SELINUX / "policy").read_bytes()


def written(name: str, data: bytes) -> bool:
    """Whether the kernel has taken `data`, in one write, as selinuxfs wants it."""
    try:
        file = os.open(str(SELINUX / name), os.O_WRONLY)
        try:
            return os.write(file, data) == len(data)
        finally:
            os.close(file)
    except OSError as error:
        say(f"{name}: {error}")
        return False


def give_back(image: bytes) -> bool:
    """Permissive, the base policy, the files' labels, the services, and then the mode that the guest had; whether the policy is back.

    Where the mode cannot be set, `image` is loaded as it is, without another process: one right does not need the other, and the base
    policy gives both back.
    """
    before = home() or (SELINUX / "enforce").read_text().strip()
    permissive = written("enforce", b"0") or (
        bool(image) and written("load", image) and written("enforce", b"0")
    )
    if not permissive or not (tried("load_policy") or (bool(image) and written("load", image))):
        return False
    with contextlib.suppress(FileNotFoundError):
        LOADED.unlink()
    if Path(LABELS).exists():
        tried(sys.executable, RESTORE_LABELS, LABELS)
    for name in SERVICES:
        if tried("systemctl", "--quiet", "is-enabled", name) and not tried(
            "systemctl", "--quiet", "is-active", name
        ):
            tried("systemctl", "reset-failed", name)
            tried("systemctl", "start", name)
    if before == "1":
        written("enforce", b"1")
    with contextlib.suppress(OSError):
        MODE.unlink()
    return True


def home() -> str:
    """The mode that the guest is to have again; nothing where nobody has said. What may not be seen is taken for permissive."""
    try:
        return MODE.read_text().strip()
    except FileNotFoundError:
        return ""
    except OSError:
        return "0"


def say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def tried(*words: str) -> bool:
    try:
        done = subprocess.run(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, timeout=COMMAND_LIMIT, check=False
        )
        return done.returncode == 0
    except (OSError, subprocess.SubprocessError) as error:
        say(f"{words[0]}: {error}")
        return False


def serve() -> None:
    """Wait for orders for ever."""
    RUN.mkdir(exist_ok=True)
    if not PIPE.is_fifo():
        os.mkfifo(str(PIPE), 0o600)
    pipe = os.open(str(PIPE), os.O_RDWR | os.O_NONBLOCK)
    poll = select.poll()
    poll.register(pipe, select.POLLIN)
    image = base_policy()
    # One that was itself ended while it was armed takes it up again.
    deadline, resting = (time.monotonic() + LIMIT if home() else None), False
    PID.write_text(f"{os.getpid()}\n")
    while True:
        if poll.poll(None if deadline is None else max(0.0, deadline - time.monotonic()) * 1000):
            seconds, resting = ordered(pipe)
            deadline = None if seconds is None else time.monotonic() + seconds
        if deadline is not None and time.monotonic() >= deadline:
            # A word that all is well may come after the last one.
            needed = home() or (resting and LOADED.exists())
            if needed:
                say("not called off: the base policy is loaded again")
            deadline = time.monotonic() + AGAIN if needed and not give_back(image) else None


def ordered(pipe: int) -> tuple[float | None, bool]:
    """The last order in the pipe: the seconds to wait, or None for `off`, and whether that is only for `rest`. A pipe that may not be read
    any more is a reason to act."""
    try:
        last = (os.read(pipe, 4096).split() or [b"off"])[-1]
        return (REST, True) if last == b"rest" else (None if last == b"off" else float(last), False)
    except (OSError, ValueError) as error:
        say(f"the guard's pipe: {error}")
        return 0.0, False


if __name__ == "__main__":
    if sys.argv[1:] == ["rescue"]:
        sys.exit(0 if give_back(b"") else 1)
    serve()

"""The guest is changed during a run, or between two runs."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from functools import partial

import pytest

from selab.errors import SelabError
from selab.run.experiment import Run
from selab.run.verdict import Verdict
from selab.vm.virtual_machine import VirtualMachine
from tests.vm.faults import FULL

pytestmark = pytest.mark.usefixtures("after_all")

Runner = Callable[..., Run]
InGuest = Callable[[str], None]

SEEN = {
    "a policy loaded by hand": "load_policy",
    "the mode changed by hand": "echo 0 >/sys/fs/selinux/enforce",
    "the audit log truncated": ": >/var/log/audit/audit.log",
    "auditd stopped": "pkill -TERM -x auditd; sleep 1",
}
"""Changes of the guest while the container runs, after which selab cannot have observed everything."""
HARMLESS = {
    "the audit log rotated": "pkill -USR1 -x auditd; sleep 1",
    "the clock moved": "date -s '+2 hours' >/dev/null",
    "a boolean flipped by hand": "setsebool httpd_enable_homedirs on && setsebool httpd_enable_homedirs off",
}
EDITED = """
python3 - <<'END'
import json, pathlib
path = pathlib.Path("/etc/docker/daemon.json")
settings = json.loads(path.read_text())
settings.pop("selinux-enabled", None)
path.write_text(json.dumps(settings))
END
systemctl restart docker
"""
LOCKED = (
    "setsid flock /var/lib/selinux/default/semanage.trans.LOCK sleep 60 >/dev/null 2>&1 </dev/null & sleep 1"
)
BETWEEN = {
    "Docker stopped": ("systemctl stop docker.socket docker", ""),
    "Docker killed": ("pkill -9 -x dockerd; sleep 2", ""),
    "Docker hung": ("pkill -STOP -x dockerd", ""),
    "the image removed": ("docker rmi -f $(docker images -q)", ""),
    "Docker's settings edited": (EDITED, "/etc/docker/daemon.json was edited"),
    "auditd stopped": ("pkill -TERM -x auditd; sleep 1", ""),
    "the mode changed by hand": ("echo 1 >/sys/fs/selinux/enforce", "the guest's mode was changed"),
    "a policy loaded by hand": ("load_policy", "a policy was loaded, or a boolean set"),
    "a boolean flipped by hand": (
        "setsebool httpd_enable_homedirs on",
        "a policy was loaded, or a boolean set",
    ),
    "a module installed by hand": (
        'cd /run && echo "(type by_hand_$(date +%s)_t)" >by_hand.cil && semodule -i by_hand.cil',
        "policy store has changed since the last run",
    ),
    "semodule's lock held": (LOCKED, ""),
    "a container in its place": (
        "docker run -d --name selab-apache --entrypoint sleep $(docker images -q | head -1) 600",
        "",
    ),
    "the run's directory gone": ("rm -rf /run/selab", ""),
}
"""Changes of the guest between two runs, and what the next run reports about each."""
QUICK = "Docker's settings edited"
SLOW = ("a policy loaded by hand", "auditd stopped")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in SLOW else ()) for name in SEEN]
)
def test_what_was_not_observed_is_no_pass(name: str, run: Runner, in_guest: InGuest) -> None:
    assert run("apache", policy=FULL, after_steps=partial(in_guest, SEEN[name])).verdict is not Verdict.PASS


@pytest.mark.slow
@pytest.mark.parametrize("name", HARMLESS)
def test_what_hides_nothing_is_no_error(name: str, run: Runner, in_guest: InGuest) -> None:
    assert run("apache", policy=FULL, after_steps=partial(in_guest, HARMLESS[name])).verdict is Verdict.PASS


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=() if name == QUICK else pytest.mark.slow) for name in BETWEEN],
)
def test_a_guest_that_was_changed_by_hand_is_used_again(name: str, run: Runner, in_guest: InGuest) -> None:
    script, note = BETWEEN[name]
    if note:
        run("apache", policy=FULL)
    in_guest(script)
    done = run("apache", policy=FULL)
    assert done.verdict is Verdict.PASS, done.reasons
    assert note in " ".join(done.notes)


@pytest.mark.slow
@pytest.mark.parametrize("command", ["destroy", "reset", "suspend"])
def test_the_vm_is_stopped_during_a_run(command: str, machine: VirtualMachine, run: Runner) -> None:
    domain = machine.files.domain

    def stop() -> None:
        subprocess.run(["virsh", "-c", "qemu:///system", command, domain], check=True, capture_output=True)

    with pytest.raises(SelabError):
        run("apache", policy=FULL, after_steps=stop)


@pytest.mark.slow
@pytest.mark.parametrize("command", ["poweroff", "reboot"])
def test_the_guest_shuts_down_during_a_run(command: str, run: Runner, in_guest: InGuest) -> None:
    with pytest.raises(SelabError):
        run("apache", policy=FULL, after_steps=partial(in_guest, f"systemctl {command}; sleep 30"))

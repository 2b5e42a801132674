"""What goes wrong around a run, for real: no PASS where something was not seen, nothing of the user's lost, the history can be read, and
the next `selab run` works without a word."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from selab.errors import SelabError
from selab.experiment import Run
from selab.history import History
from selab.project import Project
from selab.verdict import Verdict
from selab.vm.machine import Machine

Runner = Callable[..., Run]
FULL = "selab_apache_full"
KILL_LIMIT = 300.0

SEEN = {
    "a policy loaded by hand": "load_policy",
    "the mode changed by hand": "echo 0 >/sys/fs/selinux/enforce",
    "the audit log truncated": ": >/var/log/audit/audit.log",
    "auditd stopped": "pkill -TERM -x auditd; sleep 1",
}
"""What happens in the guest while the container runs, after which selab cannot have seen everything."""
HARMLESS = {
    "the audit log rotated": "pkill -USR1 -x auditd; sleep 1",
    "the clock moved": "date -s '+2 hours' >/dev/null",
    "a boolean flipped by hand": "setsebool httpd_enable_homedirs on && setsebool httpd_enable_homedirs off",
}
BETWEEN = {
    "Docker stopped": "systemctl stop docker.socket docker",
    "Docker killed": "pkill -9 -x dockerd; sleep 2",
    "auditd stopped": "pkill -TERM -x auditd; sleep 1",
    "a policy loaded by hand": "load_policy",
    "a container in its place": "docker run -d --name selab-apache --entrypoint sleep $(docker images -q | head -1) 600",
    "a boolean flipped by hand": "setsebool httpd_enable_homedirs on",
    "the run's directory gone": "rm -rf /run/selab",
}
"""What somebody does to the guest between two runs."""


@pytest.fixture(autouse=True)
def after_all(project: Project, machine: Machine, run: Runner) -> Iterator[None]:
    """Nothing of the user's is lost, and the next run works."""
    before = {path: path.read_bytes() for path in project.policies.iterdir()}
    yield
    assert {path: path.read_bytes() for path in project.policies.iterdir()} == before
    History.of(project).latest(5)
    assert run("apache", policy=FULL).verdict is Verdict.PASS
    with machine.connect() as guest:
        guest.run(["sh", "-c", "setsebool httpd_enable_homedirs off; hwclock -s 2>/dev/null; systemctl start auditd docker"])


def hurt(machine: Machine, script: str) -> Callable[[], None]:
    def work() -> None:
        with machine.connect() as guest:
            guest.run(["sh", "-c", script])

    return work


SLOW = ("a policy loaded by hand", "auditd stopped")


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.slow if name in SLOW else ()) for name in SEEN])
def test_what_was_not_seen_is_no_pass(name: str, machine: Machine, run: Runner) -> None:
    assert run("apache", policy=FULL, beside=hurt(machine, SEEN[name])).verdict is not Verdict.PASS


@pytest.mark.slow
@pytest.mark.parametrize("name", HARMLESS)
def test_what_hides_nothing_is_no_error(name: str, machine: Machine, run: Runner) -> None:
    assert run("apache", policy=FULL, beside=hurt(machine, HARMLESS[name])).verdict is Verdict.PASS


@pytest.mark.slow
@pytest.mark.parametrize("name", BETWEEN)
def test_a_guest_that_was_changed_by_hand_is_used_again(name: str, machine: Machine, run: Runner) -> None:
    hurt(machine, BETWEEN[name])()
    assert run("apache", policy=FULL).verdict is Verdict.PASS


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [1.0, 2.5, 4.0, 6.0, 9.0])
def test_selab_killed_in_the_middle(seconds: float, project: Project) -> None:
    child = subprocess.Popen([sys.executable, "-m", "selab", "-C", str(project.root), "run", "apache", "--policy", FULL])
    time.sleep(seconds)
    child.send_signal(signal.SIGKILL)
    assert child.wait(KILL_LIMIT) in (-signal.SIGKILL, 0)


@pytest.mark.slow
def test_ctrl_c_twice_ends_it_and_leaves_nothing(project: Project, machine: Machine) -> None:
    child = subprocess.Popen([sys.executable, "-m", "selab", "-C", str(project.root), "run", "apache", "--policy", FULL])
    time.sleep(4)
    for _ in range(2):
        child.send_signal(signal.SIGINT)
        time.sleep(0.3)
    assert child.wait(KILL_LIMIT) in (130, -signal.SIGINT, 0)


@pytest.mark.slow
@pytest.mark.parametrize("command", ["destroy", "reset", "suspend"])
def test_the_vm_is_taken_away_in_the_middle(command: str, machine: Machine, run: Runner) -> None:
    domain = machine.files.domain

    def away() -> None:
        subprocess.run(["virsh", "-c", "qemu:///system", command, domain], check=True, capture_output=True)

    with pytest.raises(SelabError):
        run("apache", policy=FULL, beside=away)


FILL = """
fallocate -l "$(df -B1 --output=avail / | tail -1)" /var/lib/selab/full
for size in 1M 4k; do dd if=/dev/zero of=/var/lib/selab/full.$size bs=$size 2>/dev/null; done; sync
for each in $(seq 40); do auditctl -m "the disk is full: $each"; done
"""
"""To the last block, root's own share included; then the log's last one is filled with records."""


@pytest.mark.slow
def test_a_disk_without_room(machine: Machine, run: Runner) -> None:
    try:
        verdict = run("apache", policy=FULL, beside=hurt(machine, FILL)).verdict
    except SelabError:
        verdict = Verdict.ERROR
    finally:
        hurt(machine, "rm -f /var/lib/selab/full*")()
    assert verdict is not Verdict.PASS

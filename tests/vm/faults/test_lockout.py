"""Candidates lock selab out: selab detects and undoes that, reports an error, and the next run passes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from selab.errors import SelabError
from selab.policy.guest import mode
from selab.policy.guest.load import policy_state
from selab.progress import Progress
from selab.project import Project
from selab.run.experiment import Run
from selab.run.recovery import LockedOut
from selab.run.verdict import Verdict
from selab.vm.virtual_machine import VirtualMachine

Runner = Callable[..., Run]

CHILD_LIMIT = 300.0
JOB = "image: httpd\ncommand: [/bin/sh, -c, 'sleep 5']\nsteps:\n  - exit: {code: 0}\n"
TYPES = (
    "gen_require(`\n\ttype sshd_t, sshd_exec_t, init_t, initrc_t, unconfined_t;\n"
    "\tattribute file_type;\n\trole system_r;\n')\n"
)


def bare(*types: str) -> str:
    """Return rules that take all rights from `types`.

    A bounded domain may do no more than its parent, and the parents here may do nothing.
    """
    return "".join(f"type bare_{each};\ntypebounds bare_{each} {each};\n" for each in types)


CANDIDATES = {
    "moved": "type_transition sshd_t sshd_exec_t:process moved_bare_t;",
    "cut": bare("sshd_t"),
    "shellless": bare("unconfined_t"),
    "paralysed": bare("init_t", "sshd_t", "unconfined_t"),
    "guardless": bare("initrc_t", "sshd_t", "unconfined_t"),
    "mislabelled": "typeattribute mislabelled_bare_t file_type;",
}
KILLED = """
import os, signal, sys
from selab.vm.virtual_machine import VirtualMachine
VirtualMachine.try_login = VirtualMachine.rescue = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
from selab.__main__ import run
sys.exit(run(sys.argv[1:]))
"""
"""Runs selab and kills it as soon as the candidate is in force."""


@pytest.fixture
def bad(project: Project, machine: VirtualMachine, run: Runner) -> Iterator[Callable[[str], None]]:
    """Return a function that writes a candidate of CANDIDATES. After the test the next run must pass."""

    def write(name: str) -> None:
        (project.scenarios / "job.yaml").write_text(JOB)
        (project.policies / f"{name}.te").write_text(
            f"policy_module({name}, 1.0)\n{TYPES}type {name}_t;\ntype {name}_bare_t;\n"
            f"role system_r types {name}_t;\n{CANDIDATES[name]}\n"
        )

    yield write
    assert run("apache", policy="selab_apache_full").verdict is Verdict.PASS


def locked_out(run: Runner, name: str) -> LockedOut:
    with pytest.raises(LockedOut) as caught:
        run("job", policy=name)
    return caught.value


def is_back(machine: VirtualMachine) -> bool:
    """Return whether the guest is as it was before a candidate: permissive, and under its base policy."""
    with machine.connect() as guest:
        state, left = policy_state().of(guest), guest.run(["cat", "/run/selab/mode"]).text
    return (state.enforcing, left.strip(), state.digest) == (False, "", "")


@pytest.mark.slow
def test_sessions_in_a_domain_without_rights(
    bad: Callable[[str], None], machine: VirtualMachine, run: Runner
) -> None:
    bad("moved")
    error = locked_out(run, "moved")
    assert "new login" in error.what and "typetransition" in error.detail
    assert is_back(machine)


def test_a_lost_connection_is_restored_through_the_console(
    bad: Callable[[str], None], machine: VirtualMachine, run: Runner
) -> None:
    run("apache", policy="selab_apache_full")
    bad("cut")
    assert "through the serial console" in locked_out(run, "cut").hint
    assert is_back(machine)


@pytest.mark.slow
def test_the_guard_acts_if_root_may_do_nothing(
    bad: Callable[[str], None], machine: VirtualMachine, run: Runner
) -> None:
    bad("shellless")
    error = locked_out(run, "shellless")
    assert "by the guard" in error.hint
    assert is_back(machine)


@pytest.mark.slow
def test_the_vm_is_reset_if_nothing_else_helps(
    bad: Callable[[str], None], machine: VirtualMachine, run: Runner
) -> None:
    bad("guardless")
    error = locked_out(run, "guardless")
    assert "by a reset" in error.hint
    assert is_back(machine)


def test_files_that_sshd_may_not_read(
    bad: Callable[[str], None], project: Project, machine: VirtualMachine, run: Runner
) -> None:
    bad("mislabelled")
    (project.policies / "mislabelled.fc").write_text(
        "/root/\\.ssh(/.*)?\tgen_context(system_u:object_r:mislabelled_bare_t,s0)\n"
    )
    with machine.connect() as guest:
        before = guest.run(["ls", "-Z", "/root/.ssh/authorized_keys"]).text
    error = locked_out(run, "mislabelled")
    assert "/root/.ssh" in error.detail
    with machine.connect() as guest:
        assert guest.run(["ls", "-Z", "/root/.ssh/authorized_keys"]).text == before


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cut", "paralysed"])
def test_the_guard_acts_when_the_host_dies(
    bad: Callable[[str], None], project: Project, machine: VirtualMachine, name: str
) -> None:
    bad(name)
    words = [sys.executable, "-c", KILLED, "-C", str(project.root), "run", "job", "--policy", name]
    done = subprocess.run(words, env={**os.environ}, capture_output=True, timeout=CHILD_LIMIT, check=False)
    assert done.returncode == -9, done.stderr.decode()[-500:]
    with pytest.raises(SelabError):
        machine.try_login()
    deadline = time.monotonic() + mode.LIMIT + 30
    while True:
        try:
            machine.try_login()
            break
        except SelabError:
            assert time.monotonic() < deadline, "the guard did nothing"
            time.sleep(2)
    assert is_back(machine)


def test_rescue_by_hand_reports_that_nothing_is_wrong(machine: VirtualMachine, run: Runner) -> None:
    run("apache", policy="selab_apache_full")
    assert machine.rescue(Progress()) == ""

"""Run a daemon of a package under the example's policy, with the guest's systemd."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from selab.guest import Guest
from selab.project import Project
from selab.run.experiment import Run
from selab.run.verdict import Verdict
from selab.vm.ssh import SshGuest

Runner = Callable[..., Run]
UNIT, PROGRAM, DOMAIN = "beanstalkd.service", "/usr/bin/beanstalkd", "selab_queue_t"
KILL = "[systemctl, kill, --signal=KILL, beanstalkd]"


def type_of_process(guest: Guest) -> str:
    """The type of the daemon's main process."""
    shown = guest.run(["systemctl", "show", "--value", "--property=MainPID", UNIT]).text.strip()
    return guest.run(["cat", f"/proc/{shown}/attr/current"]).text.split(":")[2]


def type_of_program(guest: Guest) -> str:
    return guest.run(["stat", "--format=%C", PROGRAM]).text.split(":")[2]


@pytest.fixture(scope="module")
def before(session_guest: SshGuest, session_run: Runner) -> str:
    """The daemon's own domain, in which it is active before each run. The first run installs its package."""
    if not session_guest.run(["test", "-e", "/usr/bin/apt-get"]).ok:
        pytest.skip("this guest's distribution has no package of the daemon")
    session_run("queue", mode="permissive")
    session_guest.run(["systemctl", "start", UNIT]).expect("start")
    return type_of_process(session_guest)


@pytest.fixture(scope="module")
def enforced(before: str, session_run: Runner) -> Run:
    return session_run("queue")


def test_a_package_is_installed_without_starting_its_service(before: str) -> None:
    assert before != DOMAIN


def test_it_passes_in_enforcing_mode_in_its_domain(enforced: Run) -> None:
    assert (enforced.verdict, {*enforced.outcome.labels}) == (Verdict.PASS, {enforced.label.context})
    assert enforced.label.type == DOMAIN


def test_the_unit_is_active_again_with_its_own_labels(enforced: Run, before: str, guest: SshGuest) -> None:
    assert (type_of_process(guest), type_of_program(guest)) == (before, "bin_t")


@pytest.mark.slow
def test_an_interrupt_restores_the_unit(before: str, session_run: Runner, guest: SshGuest) -> None:
    def interrupt() -> None:
        assert type_of_process(guest) == DOMAIN
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        session_run("queue", after_steps=interrupt)
    assert (type_of_process(guest), type_of_program(guest)) == (before, "bin_t")


@pytest.fixture
def variant(project: Project, run: Runner) -> Runner:
    """Run the example's scenario with other words in it: variant({"old": "new"})."""

    def variant(changes: dict[str, str]) -> Run:
        text = (project.scenarios / "queue.yaml").read_text()
        for old, new in changes.items():
            assert old in text
            text = text.replace(old, new)
        (project.scenarios / "queue-variant.yaml").write_text(text)
        return run("queue-variant")

    return variant


@pytest.mark.slow
def test_a_daemon_that_ends_is_a_fail_that_names_the_unit(before: str, variant: Runner) -> None:
    result = variant({"steps:\n": f"steps:\n  - guest: {{argv: {KILL}}}\n  - up: {{}}\n"})
    assert result.verdict is Verdict.FAIL
    assert any(f"the service {UNIT} ended (signal 9" in reason for reason in result.reasons)


@pytest.mark.slow
def test_a_daemon_that_keeps_its_domain_is_an_error(before: str, project: Project, variant: Runner) -> None:
    """The policy's file contexts name no program of the unit, so systemd does not enter the domain."""
    text = (project.policies / "selab_queue.te").read_text()
    (project.policies / "queue_bare.te").write_text(text.replace("selab_queue", "queue_bare"))
    result = variant({"policy: selab_queue": "policy: queue_bare"})
    assert result.verdict is Verdict.ERROR
    assert f"a process of the service {UNIT} ran as" in result.reasons[0] and before in result.reasons[0]

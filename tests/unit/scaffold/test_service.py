"""A service is described by the guest, and its policy is written once."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import cast

import pytest

from selab.errors import InputError, SelabError, Unreachable
from selab.guest import Guest, script
from selab.machine import MachineControl
from selab.progress import Progress
from selab.project import Project
from selab.scaffold import target
from selab.scaffold.policy import NewPolicy
from selab.scaffold.service import ServiceSource, new_service_policy, service_source
from tests.unit.fakes import FakeGuest

WEB = ServiceSource("web.service")
ANSWER = (
    "LoadState=loaded\nId=web.service\nEntry=/usr/sbin/web\nStateDirectory=web\nFile=/etc/a b\nComplete=yes\n"
)


class Machine:
    """A machine whose guest describes the unit web.service."""

    managed = True

    def __init__(self) -> None:
        self.guest = FakeGuest()
        self.guest.answer(script("service/missing-packages"))
        self.guest.answer(script("service/describe"), out=ANSWER)

    def connect(self) -> FakeGuest:
        return self.guest

    def online(self, guest: Guest, progress: Progress) -> AbstractContextManager[None]:
        return nullcontext()


class Halted(Machine):
    def connect(self) -> FakeGuest:
        raise SelabError("The VM is halted.")


@pytest.fixture(autouse=True)
def unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(target, "find_base", lambda *_: None)


def made(
    project: Project, machine: Machine | None = None, name: str = "web", source: ServiceSource = WEB
) -> NewPolicy:
    control = cast(MachineControl, machine or Machine())
    return new_service_policy(project, name, source, control, Progress())


def test_a_service_gets_a_module_and_file_contexts(project: Project) -> None:
    machine = Machine()
    policy = made(project, machine)
    assert policy.file == "policies/web.te"
    assert "init_daemon_domain(web_t, web_exec_t)" in (project.policies / "web.te").read_text()
    assert (
        "/var/lib/web(/.*)?\tgen_context(system_u:object_r:web_var_lib_t,s0)"
        in (project.policies / "web.fc").read_text()
    )
    assert "base policy is unknown" in policy.remarks[0]
    assert policy.remarks[1:] == ("web.service: the file '/etc/a b' is left out.",)
    assert machine.guest.closed and len(machine.guest.commands) == 1


def test_its_packages_are_checked_before_it_is_described(project: Project) -> None:
    machine = Machine()
    made(project, machine, source=ServiceSource("web.service", ("web",)))
    first, second = machine.guest.commands
    assert "web" in first and "web.service" in second


@pytest.mark.parametrize("ending", ["te", "fc", "if", "cil"])
def test_nothing_is_written_or_asked_if_a_file_exists(project: Project, ending: str) -> None:
    (project.policies / f"web.{ending}").write_text("mine")
    machine = Machine()
    with pytest.raises(InputError, match="already exists"):
        made(project, machine)
    assert [path.name for path in project.policies.iterdir()] == [f"web.{ending}"]
    assert machine.guest.commands == []


@pytest.mark.parametrize("name", ["a b", "../x", "none", "a-b"])
def test_a_name_that_no_policy_can_have_is_refused(project: Project, name: str) -> None:
    machine = Machine()
    with pytest.raises(InputError):
        made(project, machine, name)
    assert machine.guest.commands == []


def test_nothing_is_written_if_the_guest_does_not_run(project: Project) -> None:
    with pytest.raises(Unreachable, match="VM is unreachable") as caught:
        made(project, Halted())
    assert (caught.value.detail, [*project.policies.iterdir()]) == ("The VM is halted.", [])


def test_nothing_is_written_if_the_guest_has_no_such_unit(project: Project) -> None:
    machine = Machine()
    machine.guest.rules = []
    machine.guest.answer(script("service/describe"), out="LoadState=not-found\nComplete=yes\n")
    with pytest.raises(InputError, match="no unit web.service"):
        made(project, machine)
    assert (machine.guest.closed, [*project.policies.iterdir()]) == (True, [])


def test_a_services_names_are_those_of_a_scenario() -> None:
    assert service_source("web", ("a", "b")) == ServiceSource("web.service", ("a", "b"))


@pytest.mark.parametrize(
    ("unit", "packages", "problem"),
    [
        ("-x", (), "cannot be the service: must be the name of a service"),
        ("sshd", (), "selab needs this unit"),
        ("a\nb", (), "cannot be the service"),
        ("web", ("-y",), "must be the name of a package"),
    ],
)
def test_a_name_that_is_an_option_is_refused(unit: str, packages: tuple[str, ...], problem: str) -> None:
    with pytest.raises(InputError, match=problem) as caught:
        service_source(unit, packages)
    assert "\n" not in caught.value.what

"""Installing: which scenario proves a policy, and what is refused before anything is changed."""

from __future__ import annotations

import pytest

from selab.errors import InputError
from selab.guest import Guest, script
from selab.policy.guest import module_store
from selab.progress import Progress
from selab.project import Project
from selab.workflows.install import scenario_for, uninstall
from tests.unit.fakes import FakeGuest


def scenarios(project: Project, **policies: str) -> None:
    (project.images / "x").mkdir(exist_ok=True)
    for name, policy in policies.items():
        (project.scenarios / f"{name}.yaml").write_text(f"image: x\npolicy: {policy}\n")


def test_the_one_scenario_of_a_policy_proves_it(project: Project) -> None:
    scenarios(project, page="web", other="mail")
    assert scenario_for(project, "web") == "page"


@pytest.mark.parametrize(("policies", "detail"), [({}, "No scenario"), ({"a": "web", "b": "web"}, "a, b")])
def test_without_exactly_one_the_user_is_asked(
    project: Project, policies: dict[str, str], detail: str
) -> None:
    scenarios(project, **policies)
    with pytest.raises(InputError) as caught:
        scenario_for(project, "web")
    assert detail in caught.value.detail


class Ready:
    """A machine that is up."""

    def __init__(self, guest: Guest) -> None:
        self.guest = guest

    def ensure(self, progress: Progress) -> Guest:
        return self.guest


def test_what_is_not_installed_is_not_uninstalled(project: Project) -> None:
    (project.policies / "web.te").write_text("policy_module(web, 1.0)\n")
    guest = FakeGuest()
    guest.answer(script("policy/guest/is-installed"), "web", code=1)
    with pytest.raises(InputError, match="is not installed"):
        uninstall(project, Ready(guest), "web", Progress())
    assert len(guest.commands) == 1


def test_the_message_of_semodule_is_shown() -> None:
    guest = FakeGuest()
    guest.answer(
        script("policy/guest/install"),
        code=1,
        err="\nFailed to resolve typeattributeset statement at web:3\nsemodule:  Failed!\n",
    )
    with pytest.raises(InputError) as caught:
        module_store.install(guest, {"web": b"pp"})
    assert caught.value.detail == "Failed to resolve typeattributeset statement at web:3"


def test_packages_are_installed_in_one_transaction() -> None:
    guest = FakeGuest()
    guest.answer("semodule")
    module_store.install(guest, {"common": b"1", "web": b"2"})
    assert guest.commands[0][-2:] == ("common.pp", "web.pp")

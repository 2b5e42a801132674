"""Installing: which scenario proves a policy, and what is refused before anything is changed."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from selab.errors import InputError
from selab.guest import Guest, script
from selab.host.cache import cache_dir
from selab.policy.guest import module_store
from selab.policy.module import PolicyModule
from selab.policy.toolchain import GUEST_WORKDIR, Toolchain
from selab.progress import Progress
from selab.project import Project, find_project
from selab.run.request import Plan
from selab.workflows import install as installing
from selab.workflows.install import install, scenario_for, uninstall
from tests.unit.fakes import FakeGuest, Notes


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
    assert "--scenario" in caught.value.hint and "selab new scenario web" in caught.value.hint


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


class Stages:
    """The stages of `install` and `uninstall`. `calls` has each with what it was called with, in order."""

    def __init__(self, project: Project) -> None:
        self.project, self.workdir = project, project.state / "policy"
        self.guest, self.base = (
            FakeGuest(),
            SimpleNamespace(demands="demands", facts=SimpleNamespace(replaced=("web",)), templates=[]),
        )
        self.calls: list[tuple[Any, ...]] = []
        self.is_locked = False

    @contextlib.contextmanager
    def vm_lock(self, project: Project, command: str, progress: Progress) -> Iterator[None]:
        assert project is self.project
        self.calls.append(("lock", command))
        self.is_locked = True
        yield
        self.is_locked = False

    def survey(self, names: list[str]) -> SimpleNamespace:
        return SimpleNamespace(of=lambda guest: ("facts", tuple(names), guest))

    def choose_toolchain(self, guest: Guest, workdir: Path, *demands: object) -> tuple[object, ...]:
        return ("tools", guest, workdir, *demands)

    def ensure_base(
        self, guest: Guest, facts: object, tools: object, cache: Path, progress: Progress
    ) -> object:
        assert (guest, cache, tools) == (self.guest, cache_dir(), ("tools", self.guest, self.workdir))
        assert facts == ("facts", ("common", "web"), self.guest)
        return self.base

    def compiled_all(self, modules: Sequence[PolicyModule], base: object, tools: object, cache: Path) -> str:
        assert ([module.name for module in modules], base) == (["web"], self.base)
        assert tools == ("tools", self.guest, self.workdir, "demands")
        assert cache == self.project.state / "compiled"
        return "compiled"

    def file_contexts(self, base: object, modules: object) -> SimpleNamespace:
        assert (base, modules) == (self.base, "compiled")
        return SimpleNamespace(places=("/srv/www",))

    def package(self, each: PolicyModule, module: PolicyModule, base: object, tools: Toolchain) -> bytes:
        assert (module.name, base, tools) == ("web", self.base, Toolchain(self.guest, GUEST_WORKDIR))
        return f"package of {each.name}".encode()

    def run_on(self, guest: Guest, machine: object, project: Project, plan: Plan, progress: Progress) -> str:
        assert self.is_locked and (guest, project) == (self.guest, self.project)
        self.calls.append(("run", plan.request.scenario, plan.policy, plan.options.installed))
        return "the run"

    def change(self, name: str, guest: Guest, *words: object) -> None:
        assert self.is_locked and guest is self.guest
        self.calls.append((name, *words))


STAGES = ("vm_lock", "survey", "choose_toolchain", "ensure_base", "compiled_all", "file_contexts", "package")


@pytest.fixture
def stages(project: Project, monkeypatch: pytest.MonkeyPatch) -> Stages:
    """The stages for a policy `web` that requires `common`, and is the candidate of the scenario `page`."""
    monkeypatch.setenv("SELAB_CACHE", str(project.root / "cache"))
    (project.root / "selab.yaml").write_text("policies: {web: {requires: [common]}}\n")
    for name in ("common", "web"):
        (project.policies / f"{name}.te").write_text(f"policy_module({name}, 1.0)\n")
    (project.scenarios / "page.yaml").write_text("image: registry.test/x:1\npolicy: web\n")
    stages = Stages(find_project(project.root))
    for name in (*STAGES, "run_on"):
        monkeypatch.setattr(installing, name, getattr(stages, name))
    for name in ("install", "relabel", "uninstall"):
        monkeypatch.setattr(module_store, name, functools.partial(stages.change, name))
    monkeypatch.setattr(module_store, "is_installed", lambda guest, policy: True)
    return stages


def test_a_policy_is_installed_with_what_it_requires_and_then_proven_from_the_store(
    stages: Stages,
) -> None:
    notes = Notes()
    assert install(stages.project, Ready(stages.guest), "web", "page", notes) == "the run"
    assert ["'web' replaces" in note for note in notes.notes] == [True]
    packages = {f"{name}.pp": f"package of {name}".encode() for name in ("common", "web")}
    assert stages.calls == [
        ("lock", "selab install web"),
        ("install", packages),
        ("relabel", ("/srv/www",)),
        ("run", "page", "web", True),
    ]


def test_a_policy_is_installed_with_the_templates_of_the_guest(stages: Stages, tmp_path: Path) -> None:
    (tmp_path / "base_container.cil").write_text("(block container (type process))")
    stages.base.templates = [tmp_path / "base_container.cil"]
    (stages.project.policies / "web.te").unlink()
    (stages.project.policies / "web.cil").write_text("(block web (blockinherit container))")
    install(stages.project, Ready(stages.guest), "web", "page", Progress())
    (packages,) = (call[1] for call in stages.calls if call[0] == "install")
    assert packages.keys() == {"common.pp", "web.cil", "base_container.cil"}


def test_the_base_policy_alone_is_not_installed(stages: Stages) -> None:
    with pytest.raises(InputError):
        install(stages.project, Ready(stages.guest), "none", "page", Progress())
    assert stages.calls == []


def test_a_policy_is_uninstalled_without_what_it_requires(stages: Stages) -> None:
    uninstall(stages.project, Ready(stages.guest), "web", Progress())
    assert stages.calls == [
        ("lock", "selab uninstall web"),
        ("uninstall", "web"),
        ("relabel", ("/srv/www",)),
    ]


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
    module_store.install(guest, {"common.pp": b"1", "web.cil": b"2"})
    assert guest.commands[0][-2:] == ("common.pp", "web.cil")

"""What a run works with: its base policy, its candidate, its label."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from selab.errors import InputError, SelabError
from selab.policy import base as base_module
from selab.policy.base import BasePolicy
from selab.policy.compile import CompiledModule
from selab.policy.guest.load import Mode
from selab.policy.module import GUEST_TEMPLATES, PolicyModule
from selab.policy.survey import StoreChanged, keep_facts
from selab.policy.toolchain import Toolchain
from selab.progress import Progress
from selab.project import Project
from selab.run import context
from selab.run.context import RunContext, precompile, prepare
from selab.run.request import DEFAULT_OPTIONS, Plan, Request, RunOptions
from selab.scenario.model import Scenario
from tests.unit.conftest import module as compiled_module
from tests.unit.fakes import FakeGuest, ReadyMachine, ScriptedGuest
from tests.unit.workloads import planned

WEB = PolicyModule("web", Path("/p"), {"te": b""}, (PolicyModule("common", Path("/p"), {"te": b""}),))
Prepare = Callable[[Plan], RunContext]


def plan(
    scenario: dict[str, Any] | None = None,
    module: PolicyModule | None = WEB,
    mode: Mode = Mode.ENFORCING,
    options: RunOptions = DEFAULT_OPTIONS,
) -> Plan:
    parsed = Scenario.model_validate({"image": "x"} | (scenario or {}))
    return Plan(Request("web", mode=mode), parsed, planned(parsed, module), options)


@pytest.fixture(autouse=True)
def compiled(base: BasePolicy, tools: Toolchain, monkeypatch: pytest.MonkeyPatch) -> list[CompiledModule]:
    """The candidates that the compiler, a fake, returns. The base policy's containers are base_t."""
    candidates = [compiled_module("common", ""), compiled_module("web", "")]
    monkeypatch.setattr(context, "compiled_all", lambda *_: candidates)
    monkeypatch.setattr(context, "choose_toolchain", lambda *_: tools)
    monkeypatch.setattr(context, "missing_on_host", lambda *_: [])
    base.flat.write_text(
        base.flat.read_text().replace(" (type ", "\n(type ")
    )  # as in a flat base: a line each
    (base.directory / "contexts").mkdir()
    (base.directory / "contexts/lxc_contexts").write_text('process = "u:r:base_t:s0"\n')
    return candidates


@pytest.fixture
def prepared(project: Project, base: BasePolicy) -> Prepare:
    """Prepare a plan with the base policy that the guest is expected to have. The guest gets no command."""
    expected = replace(base, facts=replace(base.facts, without=("common", "web")))

    def run(plan_: Plan) -> RunContext:
        known = expected if plan_.modules and not plan_.options.installed else base
        guest = FakeGuest()
        return prepare(guest, ReadyMachine(ScriptedGuest()), project, plan_, Progress(), known)

    return run


@pytest.mark.parametrize(
    ("scenario", "module", "type_"),
    [
        ({}, WEB, "web_t"),
        ({"label": {"type": "common_t"}}, WEB, "common_t"),
        ({}, None, "base_t"),
        ({"label": {"type": "kernel_t"}}, None, "kernel_t"),
    ],
)
def test_the_type_is_the_scenarios_or_the_candidates_or_the_base_policys(
    prepared: Prepare, scenario: dict[str, Any], module: PolicyModule | None, type_: str
) -> None:
    assert prepared(plan(scenario, module)).containers[0].label.type == type_


def test_a_type_that_no_policy_declares_is_wrong_input(prepared: Prepare) -> None:
    with pytest.raises(InputError, match="wob_t"):
        prepared(plan({"label": {"type": "wob_t"}}))


@pytest.mark.parametrize(("level", "at_random"), [("s0:c1,c2", False), (None, True)])
def test_a_level_that_is_not_given_is_drawn_and_marks_the_run(
    prepared: Prepare, level: str | None, at_random: bool
) -> None:
    label = prepared(plan({"label": {"level": level}})).containers[0].label
    assert label.at_random is at_random
    assert level is None or label.level == level


def test_a_base_policy_that_contains_the_candidate_is_not_used(
    project: Project, base: BasePolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    surveyed: list[tuple[str, ...]] = []

    class Answer:
        def of(self, guest: FakeGuest) -> object:
            return base.facts

    def survey(names: tuple[str, ...]) -> Answer:
        surveyed.append(names)
        return Answer()

    monkeypatch.setattr(context, "survey", survey)
    monkeypatch.setattr(context, "ensure_base", lambda *_: base)
    prepare(FakeGuest(), ReadyMachine(ScriptedGuest()), project, plan(), Progress(), base)
    assert surveyed == [("common", "web")]
    assert project.store.exists()


def test_the_guest_is_not_asked_again_when_two_candidates_alternate(
    project: Project, base: BasePolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FakeGuest fails at each question. The last run was the other candidate's."""
    own = replace(base, facts=replace(base.facts, without=("common", "web")))
    other = replace(base, facts=replace(base.facts, without=("other",)))
    for each in (own, other):
        keep_facts(each.facts, project.store)
    monkeypatch.setattr(base_module, "_metadata", lambda directory: {"dangling": [], "left_out": []})
    monkeypatch.setattr(base_module, "_directory", lambda fingerprint, cache: base.directory)
    run = prepare(FakeGuest(), ReadyMachine(ScriptedGuest()), project, plan(), Progress(), other)
    assert run.base.facts == own.facts


def test_a_run_of_the_installed_candidate_keeps_it_in_the_base_policy(prepared: Prepare) -> None:
    run = prepared(plan(options=RunOptions(installed=True)))
    assert run.base.facts.without == ()
    assert run.wanted_policy().installed


@pytest.mark.parametrize(
    ("mode", "enforcing", "permissive"),
    [
        (Mode.ENFORCING, True, ()),
        (Mode.DOMAIN, True, ("web_t",)),
        (Mode.PERMISSIVE, False, ()),
    ],
)
def test_the_mode_makes_the_guest_or_only_the_domain_permissive(
    prepared: Prepare, mode: Mode, enforcing: bool, permissive: tuple[str, ...]
) -> None:
    run = prepared(plan(mode=mode))
    assert (run.enforcing, run.wanted_policy().permissive) == (enforcing, permissive)


def test_the_policy_without_dontaudit_rules_is_another_one(prepared: Prepare) -> None:
    run = prepared(plan())
    assert run.wanted_policy().digest != run.wanted_policy(dontaudit=False).digest


def test_a_statement_beyond_the_candidates_types_is_its_side_effect(
    prepared: Prepare, compiled: list[CompiledModule]
) -> None:
    assert prepared(plan()).side_effect == ""
    compiled.append(compiled_module("bad", "(typetransition kernel_t etc_t process bad_t)"))
    assert "typetransition kernel_t" in prepared(plan()).side_effect


def test_a_mistake_in_the_candidate_is_reported_before_the_block(
    project: Project, base: BasePolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> list[CompiledModule]:
        raise InputError("It does not compile.")

    monkeypatch.setattr(context, "compiled_all", refuse)
    with (
        pytest.raises(InputError),
        precompile(project, plan(options=RunOptions(expected_base=base)), Progress()),
    ):
        pytest.fail("the block ran")


@pytest.mark.parametrize(("mode", "permissive"), [(Mode.DOMAIN, ("web_t",)), (Mode.ENFORCING, ())])
def test_the_policy_of_the_run_is_linked_while_the_block_runs(
    project: Project,
    base: BasePolicy,
    monkeypatch: pytest.MonkeyPatch,
    mode: Mode,
    permissive: tuple[str, ...],
) -> None:
    linked: list[object] = []
    monkeypatch.setattr(context, "linked", lambda *_, permissive: linked.append(permissive))
    with precompile(project, plan(mode=mode, options=RunOptions(expected_base=base)), Progress()):
        pass
    assert linked == [permissive]


def test_a_policy_that_cannot_be_linked_ahead_is_left_to_the_run(
    project: Project, base: BasePolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise SelabError("It does not link.")

    monkeypatch.setattr(context, "linked", refuse)
    ran = False
    with precompile(project, plan(options=RunOptions(expected_base=base)), Progress()):
        ran = True
    assert ran


@pytest.mark.parametrize("known", [True, False])
def test_nothing_is_compiled_ahead_without_a_base_policy_or_the_tools(
    project: Project, base: BasePolicy, monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    monkeypatch.setattr(context, "missing_on_host", lambda *_: ["m4"])
    monkeypatch.setattr(context, "compiled_all", lambda *_: pytest.fail("compiled"))
    options = RunOptions(expected_base=base if known else None)
    with precompile(project, plan(options=options), Progress()):
        pass


@pytest.fixture
def templates(base: BasePolicy) -> Path:
    """The templates of a guest, of which one declares the domain of a policy."""
    directory = base.directory / "templates"
    directory.mkdir()
    (directory / "base_container.cil").write_text("(block container (type process))")
    return directory


IN_CIL = PolicyModule("web", Path("/p"), {"cil": b"(block web (blockinherit container))"})


def test_a_run_uses_the_templates_of_its_base_policy(
    prepared: Prepare, base: BasePolicy, templates: Path, compiled: list[CompiledModule]
) -> None:
    compiled[:] = [replace(compiled[-1], types=frozenset({"web.process"}))]
    plan_ = plan(module=replace(IN_CIL, requires=(PolicyModule("common", Path("/p"), {"te": b""}),)))
    module = prepared(plan_).plan.modules[0]
    assert [each.directory for each in module.templates] == [GUEST_TEMPLATES]


def test_the_templates_of_the_expected_base_policy_are_compiled_ahead(
    project: Project, base: BasePolicy, templates: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    modules: list[PolicyModule] = []
    monkeypatch.setattr(context, "compiled_all", lambda given, *_: modules.extend(given))
    expected = replace(base, facts=replace(base.facts, without=("web",)))
    options = RunOptions(expected_base=expected)
    with precompile(project, plan(module=IN_CIL, options=options), Progress()):
        pass
    assert [each.directory for each in modules[0].templates] == [GUEST_TEMPLATES]


OF_GUEST = InputError("It does not compile.", "/usr/share/udica/templates/base_container.cil:1: x")
OF_USER = InputError("It does not compile.", "/p/policies/web.cil:1: x")


def refusing(error: InputError) -> Callable[..., list[CompiledModule]]:
    def refuse(*_: object) -> list[CompiledModule]:
        raise error

    return refuse


def test_a_mistake_in_a_template_of_the_expected_base_policy_is_left_to_the_guest(
    project: Project, base: BasePolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The guest may have another template by now. Without a look at it, the error would never go away."""
    monkeypatch.setattr(context, "compiled_all", refusing(OF_GUEST))
    with precompile(project, plan(options=RunOptions(expected_base=base)), Progress()):
        pass


@pytest.mark.parametrize(("error", "raised"), [(OF_GUEST, StoreChanged), (OF_USER, InputError)])
def test_a_mistake_in_a_template_makes_selab_ask_the_guest_again(
    prepared: Prepare, monkeypatch: pytest.MonkeyPatch, error: InputError, raised: type[SelabError]
) -> None:
    monkeypatch.setattr(context, "compiled_all", refusing(error))
    with pytest.raises(raised) as caught:
        prepared(plan())
    assert type(caught.value) is raised


def test_a_mistake_in_a_template_that_the_guest_has_now_is_reported(
    project: Project, base: BasePolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(context, "compiled_all", refusing(OF_GUEST))
    monkeypatch.setattr(context, "_base_policy", lambda *_: base)
    with pytest.raises(InputError):
        prepare(FakeGuest(), ReadyMachine(ScriptedGuest()), project, plan(), Progress())


@pytest.mark.parametrize("action", ["ensure_runtime", "online"])
def test_the_machine_serves_the_guest_of_the_run(
    prepared: Prepare, monkeypatch: pytest.MonkeyPatch, action: str
) -> None:
    run = prepared(plan({"runtime": "podman"}))
    calls: list[tuple[object, ...]] = []
    monkeypatch.setattr(run.machine, action, lambda *words: calls.append(words))
    getattr(run, action)()
    runtime = ("podman",) if action == "ensure_runtime" else ()
    assert calls == [(run.guest, *runtime, run.progress)]

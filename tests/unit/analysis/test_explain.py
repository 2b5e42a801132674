"""Advice on a run's denials: for which rows, with what it takes for granted, and when there is none."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from selab.advice.advise import Advice, Situation, Volume
from selab.advice.denied_access import DeniedAccess
from selab.advice.knowledge import PolicyKnowledge
from selab.analysis import explain as explaining
from selab.analysis.explain import AdviceCache, causes_of, explain, numbered
from selab.analysis.offline import Candidate
from selab.errors import InputError, SelabError
from selab.history import StoredRun
from selab.policy.interfaces import InterfaceTable
from selab.policy.language.declarations import Declarations
from selab.policy.module import GUEST_TEMPLATES, PolicyModule
from selab.policy.query.decide import Access, Cause, Decision
from selab.policy.query.index import PolicyIndex
from selab.progress import Progress
from selab.project import Project, ProjectConfig, VmConfig
from tests.unit.advice.conftest import ETC, granting, need
from tests.unit.documents import CLASSIFIED, DENIAL, document
from tests.unit.fakes import Notes

STEP = {"name": "page", "ok": True, "seconds": 1.0}


def stored(**more: Any) -> StoredRun:
    return SimpleNamespace(document=document(**more))  # type: ignore[return-value]


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[DeniedAccess], Situation]]:
    """What advice was asked for, each time, without a policy to ask."""
    calls: list[tuple[list[DeniedAccess], Situation]] = []

    def advise(
        needs: list[DeniedAccess], knowledge: object, causes: object, situation: Situation
    ) -> list[Advice]:
        calls.append((needs, situation))
        return [Advice(need, "", Cause.RULE, ()) for need in needs]

    candidate = SimpleNamespace(base=SimpleNamespace(directory=Path("/nowhere")), modules=[], linked=Path())
    monkeypatch.setattr(explaining, "candidate_of", lambda *words: candidate)
    monkeypatch.setattr(explaining, "PolicyKnowledge", SimpleNamespace(of=lambda *words: None))
    monkeypatch.setattr(explaining, "causes_of", lambda *words: {})
    monkeypatch.setattr(explaining, "advise", advise)
    return calls


Calls = list[tuple[list[DeniedAccess], Situation]]


def test_advice_comes_from_the_candidate_on_disk_and_from_the_base_policy_of_the_run(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: dict[str, tuple[Any, ...]] = {}

    def recorded(name: str, answer: Any) -> Callable[..., Any]:
        def call(*words: Any) -> Any:
            calls[name] = words
            return answer

        return call

    base = SimpleNamespace(directory=Path("/base"))
    template = PolicyModule("net_container", GUEST_TEMPLATES, {"cil": b""}, is_template=True)
    app = SimpleNamespace(source=PolicyModule("app", Path(), {"cil": b""}, (template,)))
    candidate = SimpleNamespace(base=base, modules=[app], linked=Path("/linked"))
    knowledge = SimpleNamespace(of=recorded("knowledge", "what is known"))
    monkeypatch.setattr(explaining, "candidate_of", recorded("candidate", candidate))
    monkeypatch.setattr(explaining, "PolicyKnowledge", knowledge)
    monkeypatch.setattr(explaining, "causes_of", recorded("causes", {1: Cause.MCS}))
    monkeypatch.setattr(explaining, "runtime_file_type", recorded("file type", "container_file_t"))
    advice = SimpleNamespace(need=SimpleNamespace(number=1))
    monkeypatch.setattr(explaining, "advise", recorded("advice", [advice]))
    progress = Notes()
    assert explain(project, stored(policy="app"), progress) == [advice]
    assert progress.notes == ["The policy inherits templates of the guest: net_container."]
    needs, *rest = calls["advice"]
    assert calls["candidate"][:3] == (project, ("app",), progress)
    assert calls["knowledge"] == (base, [app], project)
    assert calls["causes"] == (Path("/linked"), needs)
    assert calls["file type"] == (Path("/base/contexts"),)
    assert rest == ["what is known", {1: Cause.MCS}, Situation("web_t", (), "container_file_t", False)]


@pytest.mark.parametrize(("domain", "count"), [("web.process", 0), ("web_t", 1)])
def test_no_interface_is_offered_for_the_domain_of_a_cil_block_without_a_candidate(
    domain: str, count: int, project: Project, requests: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = PolicyKnowledge(PolicyIndex(Declarations()), InterfaceTable([granting("read_etc", ETC)]), ())
    tables: list[InterfaceTable] = []

    def advise(needs: object, knowledge: PolicyKnowledge, *words: object) -> list[Advice]:
        tables.append(knowledge.table)
        return []

    monkeypatch.setattr(explaining.PolicyKnowledge, "of", lambda *words: known)
    monkeypatch.setattr(explaining, "advise", advise)
    context = f"system_u:system_r:{domain}:s0"
    label = {"requested": context, "actual": context}
    explain(project, stored(policy="none", label=label), Progress())
    assert [len(table) for table in tables] == [count]


def test_advice_knows_what_the_scenario_mounts(project: Project, requests: Calls) -> None:
    volumes = "[{target: /data}, {target: /srv, guest_path: /srv/www}]"
    (project.scenarios / "web.yaml").write_text(f"image: registry.test/x:1\nvolumes: {volumes}\n")
    explain(project, stored(), Progress())
    assert requests[0][1].volumes == (Volume("/data", ""), Volume("/srv", "/srv/www"))


def test_advice_knows_everything_about_a_denial(project: Project, requests: Calls) -> None:
    pair = ("u:r:web_t:s0:c1", "u:r:http_port_t:s0:c2")
    row = {
        **DENIAL,
        "path": "/run/x",
        "detail": "ioctlcmd=0x8910",
        "separated": True,
        "evidence": [pair],
        "permissions": ["name_bind", "name_connect"],
    }
    explain(project, stored(denials=[row]), Progress())
    (access,) = requests[0][0]
    permissions = frozenset({"name_bind", "name_connect"})
    assert access == DeniedAccess(
        1, "web_t", "http_port_t", "tcp_socket", permissions, "apache2", "/run/x", "ioctlcmd=0x8910", True
    )
    assert access.contexts == (pair,)


def test_what_advice_must_know_is_read_while_the_container_runs(
    project: Project, requests: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[tuple[object, ...]] = []
    monkeypatch.setattr(explaining, "PolicyKnowledge", SimpleNamespace(of=lambda *words: read.append(words)))
    base: Any = object()
    cache = AdviceCache()
    cache.begin(base)
    cache.advice(project, stored())
    assert read[0] == (base, [])


def test_a_base_policy_that_cannot_be_read_ahead_is_no_error_yet(
    project: Project, requests: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command that needs the knowledge reads it again, and then reports the error."""

    def fail(*words: object) -> None:
        raise SelabError("The interfaces are unknown.")

    raised: list[object] = []
    monkeypatch.setattr(threading, "excepthook", raised.append)
    cache = AdviceCache()
    with monkeypatch.context() as patch:
        patch.setattr(explaining, "PolicyKnowledge", SimpleNamespace(of=fail))
        cache.begin(object())  # type: ignore[arg-type]
        assert cache.advice(project, stored()) == []
    assert raised == [] and len(cache.advice(project, stored())) == 1


@pytest.mark.parametrize(
    ("mode", "ok", "works"),
    [
        ("enforcing", True, True),
        ("enforcing", False, False),
        ("permissive", True, False),
        ("domain", True, False),
    ],
)
def test_the_steps_went_well_without_an_access_only_if_it_was_really_denied(
    project: Project, requests: Calls, mode: str, ok: bool, works: bool
) -> None:
    explain(project, stored(mode=mode, steps=[{**STEP, "ok": ok}]), Progress())
    assert requests[0][1].works_without is works


def test_the_hidden_denials_follow_and_are_numbered_on(project: Project, requests: Calls) -> None:
    explain(project, stored(hidden=[{**DENIAL, "target": "shadow_t"}]), Progress())
    assert [(need.number, need.target, need.hidden) for need in requests[0][0]] == [
        (1, "http_port_t", False),
        (2, "shadow_t", True),
    ]


@pytest.mark.parametrize(
    ("fields", "count"),
    [
        ({"denials": [], "hidden": [DENIAL]}, 1),
        ({"denials": [DENIAL], "hidden": []}, 1),
        ({"denials": [], "hidden": []}, 0),
    ],
    ids=["hidden", "shown", "none"],
)
def test_a_summary_has_advice_on_shown_and_hidden_denials(
    project: Project, requests: Calls, fields: dict[str, Any], count: int
) -> None:
    assert len(AdviceCache().advice(project, stored(**fields))) == count


def test_a_summary_asks_the_base_policy_of_the_runs_own_guest(
    project: Project, requests: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    bases: list[str] = []
    candidate = explaining.candidate_of

    def candidate_of(project: Project, policies: Sequence[str], progress: Progress, doing: str) -> Candidate:
        bases.append(project.config.vm.base)
        return candidate(project, policies, progress, doing)

    monkeypatch.setattr(explaining, "candidate_of", candidate_of)
    chosen = replace(project, config=ProjectConfig(vm=VmConfig(base="centos9")))
    AdviceCache().advice(chosen, stored())
    explain(chosen, stored(), Progress())
    assert bases == ["", "centos9"]


def test_a_summary_has_no_advice_if_this_machine_cannot_give_any(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*words: object) -> None:
        raise SelabError("The tools are missing.")

    monkeypatch.setattr(explaining, "candidate_of", fail)
    assert AdviceCache().advice(project, stored()) == []


def test_the_first_cause_that_denies_is_the_denials(monkeypatch: pytest.MonkeyPatch) -> None:
    contexts = (("u:r:web_t:s0", "u:r:etc_t:s0"), ("u:r:web_t:s0", "u:r:etc_t:s0:c1"))
    causes = {"s0": Cause.NONE, "s0:c1": Cause.MCS}

    requested: list[tuple[Path, list[Access]]] = []

    def ask(policy: Path, accesses: list[Access]) -> list[Decision]:
        requested.append((policy, accesses))
        return [Decision(access, causes[access.target.split(":", 3)[3]]) for access in accesses]

    monkeypatch.setattr(explaining, "ask", ask)
    denied = need("web_t", "etc_t", "file", "read", number=7, contexts=contexts)
    granted = need("web_t", "etc_t", "file", "read", number=8, contexts=contexts[:1], commands=1 << 5)
    unknown = need("web_t", "etc_t", "file", "read", number=9)
    causes_by_number = causes_of(Path("/linked"), [denied, granted, unknown])
    assert causes_by_number == {7: Cause.MCS, 8: Cause.NONE}
    assert requested == [(Path("/linked"), [Access(*pair, "file", "read") for pair in contexts])]


ADVICE = [Advice(need("a_t", "b_t", "file", "read", number=number), "", Cause.RULE, ()) for number in (1, 2)]


@pytest.mark.parametrize(("number", "numbers"), [(None, [1, 2]), (1, [1]), (2, [2])])
def test_one_denial_can_be_named(number: int | None, numbers: list[int]) -> None:
    assert [advice.need.number for advice in numbered(ADVICE, number)] == numbers


@pytest.mark.parametrize("number", [0, 3, -1])
def test_a_number_that_the_run_has_not_is_refused(number: int) -> None:
    with pytest.raises(InputError, match=str(number)) as caught:
        list(numbered(ADVICE, number))
    assert "from 1 to 2" in caught.value.detail and "`selab explain`" in caught.value.hint


def test_a_number_is_refused_if_the_run_has_no_denials() -> None:
    with pytest.raises(InputError) as caught:
        list(numbered([], 1))
    assert "none" in caught.value.detail


def test_advice_knows_what_the_scenario_says_about_each_denial(project: Project, requests: Calls) -> None:
    explain(project, stored(**CLASSIFIED), Progress())
    assert [need.ruling.classification.value for need in requests[0][0]] == [
        "unexpected",
        "tolerated",
        "expected",
    ]


def test_each_denied_command_of_an_ioctl_is_requested(monkeypatch: pytest.MonkeyPatch) -> None:
    def ask(policy: Path, accesses: list[Access]) -> list[Decision]:
        causes = {0x8910: Cause.COMMAND, 0x8927: Cause.NONE}
        return [Decision(access, causes[access.command or 0]) for access in accesses]

    monkeypatch.setattr(explaining, "ask", ask)
    contexts = (("u:r:web_t:s0", "u:r:web_t:s0"),)
    commands = 1 << 0x8910 | 1 << 0x8927
    access = need("web_t", "web_t", "file", "ioctl", number=7, contexts=contexts, commands=commands)
    assert causes_of(Path(), [access]) == {7: Cause.COMMAND}


@pytest.mark.parametrize("row", [{"commands": ["0x8910"]}, {"detail": "ioctlcmd=0x8910"}])
def test_advice_knows_the_command_of_an_older_run_too(
    project: Project, requests: Calls, row: dict[str, object]
) -> None:
    explain(project, stored(denials=[{**DENIAL, "permissions": ["ioctl"], **row}]), Progress())
    assert requests[0][0][0].commands == 1 << 0x8910

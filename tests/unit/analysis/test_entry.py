"""Whether a container runtime can start containers in a candidate's domains."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from selab.advice import knowledge
from selab.analysis import entry as entering
from selab.analysis.entry import unenterable
from selab.policy.base import BasePolicy
from selab.policy.compile import CompiledModule, link
from selab.policy.interfaces import InterfaceTable
from selab.policy.lint import Finding, Severity, module_under_lint
from selab.policy.lint.names import vocabulary
from selab.policy.module import PolicyModule
from selab.policy.query.decide import Access, Cause, Decision
from selab.policy.query.entry import Entry
from selab.policy.toolchain import Toolchain
from selab.project import Project
from tests import centos_like

TE = b"policy_module(web, 1.0)\nvirt_sandbox_domain_template(web)\ntype web_t;\n"
SANDBOX = "(type web_t) (roletype system_r web_t) (typeattributeset domain (web_t))\n"
CONTAINER = f"{SANDBOX}(typeattributeset container_domain (web_t))\n"
ENTRY_POINT = "(allow web_t container_file_t (file (entrypoint)))\n"


@pytest.fixture
def centos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BasePolicy:
    monkeypatch.setattr(knowledge, "interface_table", lambda _: InterfaceTable([]))
    return centos_like.write_base(tmp_path / "centos")


def candidates(cil: str) -> list[CompiledModule]:
    return [CompiledModule("web", cil, frozenset({"web_t"}))]


def findings(project: Project, base: BasePolicy, cil: str, policy: Path) -> list[Finding]:
    module = PolicyModule("web", project.policies, {"te": TE})
    subject = module_under_lint(module, base, vocabulary(base), InterfaceTable([]), [])
    return list(unenterable(project, module, base, candidates(cil), policy, subject.line_of))


@pytest.mark.toolchain
@pytest.mark.parametrize(
    ("cil", "denied"),
    [
        (CONTAINER + ENTRY_POINT, []),
        (SANDBOX + ENTRY_POINT, ["container_runtime_t web_t:process transition"]),
        (CONTAINER, ["web_t container_file_t:file entrypoint"]),
    ],
    ids=["container", "no transition", "no entry point"],
)
def test_on_a_policy_like_centos_a_missing_transition_or_entry_point_is_reported(
    project: Project, centos: BasePolicy, tools: Toolchain, tmp_path: Path, cil: str, denied: list[str]
) -> None:
    policy = tmp_path / "policy"
    policy.write_bytes(link(centos, candidates(cil), tools).binary)
    result = findings(project, centos, cil, policy)
    assert [next(text for text in denied if text in each.message) for each in result] == denied
    assert [each.severity for each in result] == [Severity.WARNING] * len(denied)


@pytest.fixture
def entries(monkeypatch: pytest.MonkeyPatch) -> list[Entry]:
    """Return the entries that are examined; each lacks its transition."""
    entries: list[Entry] = []

    def obstacles(entry: Entry, policy: Path) -> list[Decision]:
        entries.append(entry)
        contexts = (f"system_u:system_r:{name}:s0" for name in ("docker_t", entry.domain))
        return [Decision(Access(*contexts, "process", "transition"), Cause.RULE)]

    monkeypatch.setattr(Entry, "obstacles", obstacles)
    monkeypatch.setattr(entering, "can_decide", lambda: True)
    return entries


def test_the_finding_has_the_line_of_the_domain_and_the_best_remedy(
    project: Project, centos: BasePolicy, entries: list[Entry]
) -> None:
    (finding,) = findings(project, centos, SANDBOX, Path("/linked"))
    assert (finding.file.name, finding.line, finding.id) == ("web.te", 3, "container-entry")
    assert "container_runtime_t web_t:process transition" in finding.message
    assert "typeattribute web_t container_domain;" in finding.remedy


def test_without_a_scenario_any_container_runtime_may_start_the_domain_of_the_candidates_name(
    project: Project, centos: BasePolicy, entries: list[Entry]
) -> None:
    findings(project, centos, SANDBOX, Path("/linked"))
    (entry,) = entries
    assert (entry.domain, entry.programs) == ("web_t", ["container_file_t", "web_t"])
    assert {"dockerd_t", "podman_t"} < set(entry.starters)


@pytest.mark.parametrize(
    ("scenario", "starters"),
    [
        ({"policy": "web", "runtime": "podman"}, {"podman_t": True, "dockerd_t": False}),
        ({"policy": "web"}, {"podman_t": False, "dockerd_t": True}),
        ({"policy": "other", "runtime": "podman"}, {"podman_t": True, "dockerd_t": True}),
        ({"policy": "web", "label": {"type": "container_t"}}, {}),
    ],
)
def test_a_scenario_says_which_container_runtime_starts_which_domain(
    project: Project,
    centos: BasePolicy,
    entries: list[Entry],
    scenario: dict[str, object],
    starters: dict[str, bool],
) -> None:
    (project.scenarios / "web.yaml").write_text(json.dumps({"image": "registry.test/x:1", **scenario}))
    (project.scenarios / "broken.yaml").write_text("image: [")
    findings(project, centos, SANDBOX, Path("/linked"))
    assert [{name: name in entry.starters for name in starters} for entry in entries] == (
        [starters] if starters else []
    )


def test_a_finding_names_each_container_runtime_once_also_behind_a_domain_of_the_base_policy(
    project: Project, centos: BasePolicy, entries: list[Entry]
) -> None:
    scenario = {"image": "registry.test/x:1", "policy": "web"}
    others = {"a": {"label": {"type": "container_t"}}, "b": {"runtime": "podman"}, "c": {}, "d": {}}
    for name, more in others.items():
        (project.scenarios / f"{name}.yaml").write_text(json.dumps(scenario | more))
    (finding,) = findings(project, centos, SANDBOX, Path("/linked"))
    assert finding.message.startswith("Podman and Docker cannot start a container as web_t: ")


def test_without_libsepol_or_the_containers_file_type_nothing_is_reported(
    project: Project, centos: BasePolicy, entries: list[Entry], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(entering, "can_decide", lambda: False)
        assert findings(project, centos, SANDBOX, Path("/linked")) == []
    (centos.directory / "contexts/lxc_contexts").unlink()
    assert findings(project, centos, SANDBOX, Path("/linked")) == []


SERVICE = {"service": {"unit": "web"}, "policy": "web"}
ENTERED = f"{SANDBOX}(typetransition init_t web_exec_t process web_t)\n"


def test_systemd_starts_the_domain_of_a_service(
    project: Project, centos: BasePolicy, entries: list[Entry]
) -> None:
    (project.scenarios / "web.yaml").write_text(json.dumps(SERVICE))
    (finding,) = findings(project, centos, SANDBOX, Path("/linked"))
    assert finding.message.startswith("systemd cannot start a service as web_t: ")
    assert [(entry.starters, entry.programs) for entry in entries] == [(["init_t"], ["web_t"])]


def test_without_a_scenario_a_domain_that_systemd_enters_is_a_services(
    project: Project, centos: BasePolicy, entries: list[Entry]
) -> None:
    findings(project, centos, ENTERED, Path("/linked"))
    assert [entry.starters for entry in entries] == [["init_t"]]

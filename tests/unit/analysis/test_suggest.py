"""Suggested rules: which denials they answer, and which are left for a person."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from selab.advice.advise import Advice
from selab.advice.remedy import Kind, Remedy
from selab.analysis import suggest
from selab.analysis.suggest import suggestions
from selab.auditlog.classification import Classification, Ruling
from selab.errors import InputError
from selab.policy.query.decide import Cause
from selab.policy.query.risk import Level, Risk
from selab.progress import Progress
from selab.project import Project
from tests.unit.advice.conftest import need
from tests.unit.documents import document

TE = "policy_module(web, 1.0)\n"
HARMLESS = Advice(
    need("web_t", "etc_t", "file", "read"),
    "no rule",
    Cause.RULE,
    (Remedy(Kind.RULE, "allow web_t etc_t:file read;"),),
)
DANGEROUS = Advice(
    need("web_t", "web_t", "capability", "sys_admin", number=2),
    "no rule",
    Cause.RULE,
    (Remedy(Kind.RULE, "allow web_t self:capability sys_admin;", risk=Risk(Level.HIGH, "it is root")),),
)
ALLOWED = Advice(need("web_t", "lib_t", "file", "read", number=3), "", Cause.NONE, ())


@pytest.fixture
def suggested(project: Project, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The suggestion for a run with these denials, or with all three: suggested(HARMLESS, risky=True)."""
    (project.policies / "web.te").write_text(TE)

    def suggested(*advice: Advice, risky: bool | None = None, **fields: Any) -> suggest.Suggestion:
        stored: Any = SimpleNamespace(document=document(**fields))
        progress = Progress()

        def explained(*words: object) -> list[tuple[Advice, str]]:
            assert words == (project, stored, progress)
            return [(each, stored.document.policy) for each in advice or (HARMLESS, DANGEROUS, ALLOWED)]

        monkeypatch.setattr(suggest, "explained", explained)
        options = {} if risky is None else {"risky": risky}
        (only,) = suggestions(project, stored, progress, **options)
        return only

    return suggested


def test_rules_for_a_policy_in_cil_are_in_cil(project: Project, suggested: Any) -> None:
    (project.policies / "web.te").unlink()
    path = project.policies / "web.cil"
    path.write_text("(block web (type process))\n")
    proposal = suggested(HARMLESS)
    assert (proposal.file, "(allow web_t etc_t (file (read)))" in proposal.after) == (path, True)


def test_rules_for_a_selinux_profile_are_printed_and_go_to_no_file(project: Project, suggested: Any) -> None:
    (project.policies / "web.te").unlink()
    (project.policies / "web.yaml").write_text(
        "apiVersion: security-profiles-operator.x-k8s.io/v1\nkind: SelinuxProfile\nmetadata: {name: web}\n"
    )
    proposal = suggested(HARMLESS)
    assert (proposal.file, "(allow web_t etc_t (file (read)))" in proposal.text) == (None, True)


@pytest.mark.parametrize("options", [{}, {"risky": False}], ids=["by default", "explicitly"])
def test_dangerous_rules_are_left_for_a_person(suggested: Any, options: dict[str, bool]) -> None:
    result = suggested(**options)
    assert "etc_t" in result.text and "sys_admin" not in result.text + result.after
    assert result.left == (DANGEROUS,)


def test_dangerous_rules_are_suggested_on_request(suggested: Any) -> None:
    result = suggested(risky=True)
    assert "sys_admin" in result.after
    assert result.left == ()


def test_the_policy_is_extended_and_not_written(suggested: Any, project: Project) -> None:
    result = suggested()
    assert (result.file, result.before) == (project.policies / "web.te", TE)
    assert result.after.startswith(TE)
    assert (project.policies / "web.te").read_text() == TE


def test_a_run_without_a_candidate_has_nothing_to_extend(suggested: Any) -> None:
    with pytest.raises(InputError, match="candidate") as caught:
        suggested(policy="none")
    assert caught.value.detail == document().run and "--policy" in caught.value.hint


def test_a_domain_of_a_cil_block_gets_the_text_alone(suggested: Any) -> None:
    context = "system_u:system_r:web.process:s0"
    result = suggested(policy="none", label={"requested": context, "actual": context})
    assert (result.file, result.before, result.after) == (None, "", "")
    assert "etc_t" in result.text
    assert (result.left, result.settled) == ((DANGEROUS,), ())


@pytest.mark.parametrize("domain", ["web_t", "web.process"])
def test_a_denial_that_the_scenario_expects_gets_no_rule_and_is_not_left(suggested: Any, domain: str) -> None:
    ruling = Ruling(Classification.EXPECTED, "* -> shadow_t:* { * }", "it is secret")
    settled = Advice(
        need("web_t", "shadow_t", "file", "read", number=2, ruling=ruling),
        "no rule",
        Cause.RULE,
        (Remedy(Kind.RULE, "allow web_t shadow_t:file read;"),),
    )
    context = f"system_u:system_r:{domain}:s0"
    result = suggested(HARMLESS, settled, label={"requested": context, "actual": context})
    assert "shadow_t" not in result.text + result.after
    assert (result.left, result.settled) == ((), (settled,))

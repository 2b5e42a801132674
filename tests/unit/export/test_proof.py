"""Which run proves a policy's text, and what the header of an export says about it."""

from __future__ import annotations

import datetime
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selab.errors import InputError
from selab.export.proof import Proof, proof_of
from selab.history import History, Record
from selab.policy.base import BasePolicy
from selab.policy.module import GUEST_TEMPLATES, PolicyModule, load_module
from selab.policy.on_base import on_base
from selab.policy.survey import StoreFacts
from selab.project import Project, find_project

from .conftest import NOW, cil, passed, te

FACTS = StoreFacts("targeted", 33, True, False, "c" * 64)


def keep(project: Project, number: int, module: PolicyModule, **more: Any) -> str:
    """Add a run of the module's text to the history, a PASS unless `more` says otherwise."""
    run = passed(module, **({"run": f"run-{number}"} | more))
    History.of(project).keep(Record(run, {}, {}, b""))
    return run.run


def test_the_last_enforcing_run_proves_the_text(project: Project) -> None:
    keep(project, 1, te())
    last = keep(project, 2, te())
    proof = proof_of(project, te())
    assert proof.run is not None
    assert (proof.run.run, proof.is_proven) == (last, True)
    proof.require()


def test_a_policy_without_a_run_is_refused(project: Project) -> None:
    with pytest.raises(InputError, match="No enforcing run has proven the policy 'web'") as caught:
        proof_of(project, te()).require()
    assert "--unproven" in caught.value.hint


@pytest.mark.parametrize(
    "more",
    [{"mode": "permissive"}, {"mode": "domain"}, {"policy": "other"}, {"sources": "0" * 64}, {"sources": ""}],
    ids=str,
)
def test_other_runs_prove_nothing(project: Project, more: dict[str, Any]) -> None:
    keep(project, 1, te(), **more)
    assert proof_of(project, te()).run is None


@pytest.mark.parametrize("verdict", ["FAIL", "ERROR"])
def test_a_later_run_that_did_not_pass_counts(project: Project, verdict: str) -> None:
    keep(project, 1, te())
    keep(project, 2, te(), verdict=verdict, reasons=["the page is missing"])
    with pytest.raises(InputError, match=f"was a {verdict}") as caught:
        proof_of(project, te()).require()
    assert caught.value.detail == "run-2: the page is missing"
    assert "--unproven" in caught.value.hint


def test_a_later_permissive_run_changes_nothing(project: Project) -> None:
    keep(project, 1, te())
    keep(project, 2, te(), verdict="FAIL", mode="permissive")
    assert proof_of(project, te()).is_proven


def test_a_change_of_a_template_makes_the_policy_unproven(project: Project) -> None:
    keep(project, 1, cil())
    changed = replace(cil().requires[0], texts={"cil": b"(block container)"})
    assert proof_of(project, replace(cil(), requires=(changed,))).run is None


def test_a_change_of_a_required_policy_makes_the_policy_unproven(project: Project) -> None:
    (project.root / "selab.yaml").write_text("policies: {web: {requires: [db]}}")
    for name in ("web", "db"):
        (project.policies / f"{name}.te").write_text(f"policy_module({name}, 1.0)\n")
    project = find_project(project.root)
    keep(project, 1, load_module(project, "web"))
    (project.policies / "db.te").write_text("policy_module(db, 1.0)\n# changed\n")
    assert proof_of(project, load_module(project, "web")).run is None


def test_the_header_names_the_run_its_date_and_the_base_policy(centos: BasePolicy) -> None:
    header = "\n".join(Proof(te(), passed(te()), centos).header)
    assert "Proven by the enforcing run 20261123-220000-abcd of 2026-11-23 22:00 UTC: PASS." in header
    assert "It ran the scenario web in the domain web_t." in header
    assert f"Base policy: CentOS Stream 9, policy targeted, fingerprint {'c' * 64}." in header


def test_the_header_says_that_no_run_proved_the_text() -> None:
    assert any(line.startswith("NOT PROVEN: selab knows no enforcing run") for line in Proof(te()).header)


def test_the_header_says_that_the_last_run_failed() -> None:
    header = "\n".join(Proof(te(), passed(te(), verdict="FAIL")).header)
    assert (
        "NOT PROVEN: the last enforcing run 20261123-220000-abcd of 2026-11-23 22:00 UTC was a FAIL."
        in header
    )


@given(st.text())
def test_no_word_of_a_guest_means_anything_in_a_comment(system: str) -> None:
    facts = replace(FACTS, system=f"%(x) `x' $(x) \n{system}")
    header = Proof(te(), passed(te()), BasePolicy(facts, Path(), frozenset())).header
    assert all(re.fullmatch(r"[A-Za-z0-9 .,:;()+_/?-]+", line) for line in header)


def test_versions_grow_with_the_runs_and_one_without_a_proof_is_below() -> None:
    dates = ["2026-11-23T09:00:00Z", "2026-11-23T22:00:00Z", "2026-11-24T00:00:00Z"]
    versions = [
        Proof(te()).version(NOW + datetime.timedelta(days=999)),
        *(Proof(te(), passed(te(), started=date)).version(NOW) for date in dates),
    ]
    numbers = [[int(part) for part in version.split(".")] for version in versions]
    assert numbers == sorted(numbers)


def test_a_version_is_made_of_the_date_in_utc_and_of_a_run_that_passed_only() -> None:
    run = passed(te(), started="2026-11-24T01:30:00+02:00")
    assert Proof(te(), run).version(NOW) == "1.20261123.1233000"
    assert Proof(te(), passed(te(), verdict="FAIL")).version(NOW) == "0.20261127.1180000"


@pytest.mark.parametrize("kind", ["known_base", "imported_base"])
def test_the_base_policy_of_the_run_is_looked_up_in_the_cache(
    project: Project, centos: BasePolicy, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setenv("SELAB_CACHE", str(project.root / "cache"))
    expected = {
        "known_base": [project.root / "cache", project.store],
        "imported_base": [project.root / "cache"],
    }

    def base_of(fingerprint: str, *rest: Path) -> BasePolicy:
        assert (fingerprint, [*rest]) == ("c" * 64, expected[kind])
        return centos

    monkeypatch.setattr("selab.export.proof.known_base", lambda *_: None)
    monkeypatch.setattr(f"selab.export.proof.{kind}", base_of)
    keep(project, 1, te())
    assert proof_of(project, te()).base is centos


def test_a_run_with_the_guests_templates_proves_the_policy_with_them(
    project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The module on disk has selab's template, because it is loaded without a base policy."""
    (project.policies / "web.cil").write_bytes(b"(block web (blockinherit container))")
    base = BasePolicy(FACTS, tmp_path / "base", frozenset())
    (base.directory / "templates").mkdir(parents=True)
    (base.directory / "templates/base_container.cil").write_text("(block container (type process))")
    monkeypatch.setattr("selab.export.proof.known_base", lambda *_: base)
    module = load_module(project, "web")
    keep(project, 1, on_base(module, base))
    proof = proof_of(project, module)
    assert (proof.is_proven, [each.directory for each in proof.module.templates]) == (True, [GUEST_TEMPLATES])
    (base.directory / "templates/base_container.cil").write_text("(block container (type other))")
    assert not proof_of(project, module).is_proven

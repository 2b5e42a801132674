"""The user's policies: the copy that selab works on, and the one way in which selab writes them."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from selab.errors import InputError
from selab.progress import Progress, Silent
from selab.project import Project
from selab.run import experiment
from selab.run.request import Request
from selab.workflows import drafts as drafting
from selab.workflows.drafts import candidates, drafts, run_and_keep, write

TE = "policy_module(web, 1.0)\n"
PROFILE = "apiVersion: security-profiles-operator.x-k8s.io/v1\nkind: SelinuxProfile\nmetadata: {name: web}\n"


@pytest.fixture
def drafted(project: Project) -> Project:
    for ending, text in {"te": TE, "fc": "", "if": "", "te.bak": "old"}.items():
        (project.policies / f"web.{ending}").write_text(text)
    (project.scenarios / "web.yaml").write_text("image: registry.test/x:1\npolicy: web\n")
    return project


def test_a_draft_is_a_copy_of_the_policies(drafted: Project) -> None:
    copy = drafts(drafted, "web")
    assert sorted(path.name for path in copy.policies.iterdir()) == ["web.fc", "web.if", "web.te"]
    (copy.policies / "web.te").write_text("changed")
    assert (drafted.policies / "web.te").read_text() == TE


def test_a_draft_is_fresh_each_time(drafted: Project) -> None:
    (drafts(drafted, "web").policies / "web.te").write_text("changed")
    assert (drafts(drafted, "web").policies / "web.te").read_text() == TE


def test_a_selinux_profile_is_copied_and_not_changed(drafted: Project) -> None:
    (drafted.policies / "web.te").unlink()
    (drafted.policies / "web.yaml").write_text(PROFILE)
    assert (drafts(drafted, "web").policies / "web.yaml").read_text() == PROFILE
    with pytest.raises(InputError, match="selab cannot minimise a SelinuxProfile") as caught:
        candidates(drafted, "web", None, "minimise")
    assert "selab suggest" in caught.value.hint


def test_a_udica_policy_is_not_changed_and_its_cil_could_be(drafted: Project) -> None:
    (drafted.policies / "web.te").unlink()
    (drafted.policies / "web.yaml").write_text("kind: UdicaPolicy\n")
    with pytest.raises(InputError, match="selab cannot minimise a UdicaPolicy") as caught:
        candidates(drafted, "web", None, "minimise")
    assert "selab export web --as cil --unproven" in caught.value.hint


def test_the_candidate_is_the_scenarios_own(drafted: Project) -> None:
    assert [each.name for each in candidates(drafted, "web", None, "learn for")] == ["web"]


def test_a_scenario_without_a_candidate_is_an_error(drafted: Project) -> None:
    with pytest.raises(InputError, match="learn for"):
        candidates(drafted, "web", "none", "learn for")


def test_a_run_of_a_draft_resumes_from_the_last_one_and_is_stored(
    drafted: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy, progress, calls, added = drafts(drafted, "web"), Progress(Silent()), [], []
    request, machine, options = Request("web", "web"), object(), object()

    def run(*words: object) -> str:
        calls.append(words)
        return "the run"

    def resume(project: Project, scenario: str) -> object:
        assert (project, scenario) == (copy, "web")
        return options

    def history_of(project: Project) -> SimpleNamespace:
        assert project is copy
        return SimpleNamespace(add=lambda run: added.append(run) or "its document")

    monkeypatch.setattr(experiment, "run", run)
    monkeypatch.setattr(drafting, "resume", resume)
    monkeypatch.setattr(drafting, "History", SimpleNamespace(of=history_of))
    assert run_and_keep(copy, machine, request, progress) == "its document"  # type: ignore[arg-type]
    ((*words, of_run, resumed),) = calls
    assert (words, resumed, added) == ([copy, machine, request], options, ["the run"])
    assert of_run is not progress and of_run.listener is progress.listener


def test_writing_keeps_the_earlier_policy(drafted: Project) -> None:
    backup = write(drafted, "web", TE, "new")
    assert backup is not None and backup.read_text() == TE
    assert (drafted.policies / "web.te").read_text() == "new"


def test_a_policy_that_was_changed_meanwhile_is_not_written(drafted: Project) -> None:
    with pytest.raises(InputError, match="changed") as caught:
        write(drafted, "web", "another text", "new")
    assert str(drafted.state / "drafts") in str(caught.value)
    assert (drafted.policies / "web.te").read_text() == TE

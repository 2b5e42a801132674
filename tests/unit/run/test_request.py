"""A request becomes a plan before anything is changed."""

from __future__ import annotations

import pytest

from selab.errors import InputError
from selab.project import Project
from selab.run.request import Request, make_plan


@pytest.fixture
def written(project: Project) -> Project:
    """A scenario whose policy is `web`, and another policy beside it."""
    (project.scenarios / "web.yaml").write_text("image: registry.test/x:1\npolicy: web\n")
    for name in ("web", "other"):
        (project.policies / f"{name}.te").write_text(f"policy_module({name}, 1.0)\n")
    return project


@pytest.mark.parametrize(("policy", "planned"), [(None, "web"), ("other", "other"), ("none", "none")])
def test_a_policy_that_is_named_replaces_the_scenarios(
    written: Project, policy: str | None, planned: str
) -> None:
    assert make_plan(written, Request("web", policy)).policy == planned


def test_without_a_candidate_no_module_is_planned(written: Project) -> None:
    assert make_plan(written, Request("web", "none")).modules == ()


@pytest.mark.parametrize(("scenario", "policy"), [("nowhere", None), ("web", "nowhere")])
def test_what_does_not_exist_is_named(written: Project, scenario: str, policy: str | None) -> None:
    with pytest.raises(InputError, match="nowhere"):
        make_plan(written, Request(scenario, policy))

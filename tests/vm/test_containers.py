"""Run several containers together: each has its own label, and what happens is said of the right one."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from selab.auditlog.denials import DenialKey
from selab.policy.guest.load import policy_state
from selab.project import Project
from selab.run.conversion import document_of
from selab.run.experiment import Run
from selab.run.verdict import Verdict
from selab.vm.ssh import SshGuest

Runner = Callable[..., Run]
WAIT = ["sleep", "infinity"]
DRAFT = """
policy_module({name}, 1.0)
gen_require(`
	type container_file_t;
')
container_domain_template({name}, container)
"""


def container(policy: str = "none", command: list[str] = WAIT, **more: Any) -> dict[str, Any]:
    return {"image": "httpd", "policy": policy, "command": command, **more}


@pytest.fixture(scope="module")
def together(project: Project, session_run: Runner) -> Runner:
    """Return a function that runs containers as one scenario."""

    def together(
        containers: dict[str, Any],
        steps: list[dict[str, Any]],
        mode: str = "enforcing",
        after_steps: Callable[[], None] | None = None,
        **more: Any,
    ) -> Run:
        scenario = {"containers": containers, "steps": steps, **more}
        (project.scenarios / "together.yaml").write_text(json.dumps(scenario))
        return session_run("together", mode=mode, after_steps=after_steps)

    return together


PAIR = {"one": container("first"), "two": container("second", pid="container:one")}
LOOK = [{"container": "two", "exec": {"argv": ["cat", "/proc/1/status"]}}]


@pytest.fixture(scope="module")
def pair(project: Project, together: Runner) -> Run:
    """Run two containers with drafts of their own, of which the second looks at the first one's processes."""
    for name in ("first", "second"):
        (project.policies / f"{name}.te").write_text(DRAFT.format(name=name).lstrip())
    return together(PAIR, LOOK, mode="permissive")


def test_each_container_has_its_own_label(pair: Run) -> None:
    outcomes = {each.title: each for each in pair.outcome.containers}
    assert outcomes["one"].labels == {outcomes["one"].label.context}
    assert outcomes["two"].labels == {outcomes["two"].label.context}


def test_the_containers_have_different_levels(pair: Run) -> None:
    assert len({each.label.level for each in pair.outcome.containers}) == 2


@pytest.fixture(scope="module")
def concerned(pair: Run) -> dict[DenialKey, tuple[str, ...]]:
    """Return the containers that each denial names."""
    return {DenialKey(*key): entry.containers for entry in document_of(pair).denials for key in entry.keys}


def test_a_denial_between_two_containers_names_both(concerned: dict[DenialKey, tuple[str, ...]]) -> None:
    assert concerned[DenialKey("second_t", "first_t", "dir", "search")] == ("two", "one")


@pytest.mark.parametrize(("source", "name"), [("first_t", "one"), ("second_t", "two")])
def test_a_denial_of_one_container_names_only_that_one(
    concerned: dict[DenialKey, tuple[str, ...]], source: str, name: str
) -> None:
    assert concerned[DenialKey(source, "dockerd_t", "fd", "use")] == (name,)


def test_a_run_fails_because_of_the_denials_of_any_container(pair: Run) -> None:
    assert (pair.verdict, [step.name for step in pair.outcome.steps if not step.ok]) == (Verdict.FAIL, [])


@pytest.mark.slow
def test_a_second_permissive_run_shows_the_same_denials(pair: Run, together: Runner) -> None:
    again = together(PAIR, LOOK, mode="permissive")
    assert (again.loaded.loaded, document_of(again).keys) == (False, document_of(pair).keys)


@pytest.mark.slow
def test_the_domains_of_both_containers_are_permissive_in_mode_domain(pair: Run, together: Runner) -> None:
    containers = {"one": container("first"), "two": container("second")}
    result = together(containers, [{"container": "two", "up": {}}], mode="domain")
    assert result.window.enforcing
    assert {
        (denial.source, denial.permissive)
        for denial in result.attribution.scenario
        if denial.source in ("first_t", "second_t")
    } == {("first_t", True), ("second_t", True)}


def test_a_container_that_ends_before_the_run_is_over_is_a_failure(together: Runner) -> None:
    containers = {"main": container(), "sidecar": container(command=["sh", "-c", "sleep 1; exit 3"])}
    result = together(containers, [{"container": "main", "exec": {"argv": ["sleep", "5"]}}])
    assert result.verdict is Verdict.FAIL
    assert any("sidecar" in reason and "3" in reason for reason in result.reasons), result.reasons


@pytest.mark.slow
def test_a_container_that_does_not_become_healthy_is_a_failure(together: Runner) -> None:
    containers = {
        "db": container(health={"command": ["false"], "timeout": 5}),
        "web": container(after={"db": "healthy"}),
    }
    result = together(containers, [{"container": "web", "up": {}}])
    assert result.verdict is Verdict.FAIL
    assert any("'db'" in reason for reason in result.reasons), result.reasons


@pytest.mark.slow
@pytest.mark.parametrize(("level", "separated"), [("container", True), ("scenario", False)])
def test_a_level_of_its_own_keeps_a_container_apart(together: Runner, level: str, separated: bool) -> None:
    containers = {"one": container(), "two": container(pid="container:one")}
    result = together(containers, LOOK, level=level)
    denied = [row.containers for row in document_of(result).denials if row.separated]
    assert (denied == [("two", "one")], any("MCS does not keep" in note for note in result.notes)) == (
        separated,
        not separated,
    )


@pytest.mark.parametrize("example", ["visits", "pages"])
def test_the_example_passes_in_enforcing_mode(run: Runner, example: str) -> None:
    result = run(example)
    assert (result.verdict, result.attribution.scenario) == (Verdict.PASS, ())


@pytest.mark.slow
def test_nothing_is_left_of_a_run_that_was_interrupted(together: Runner, guest: SshGuest) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    containers = {name: container(volumes=[{"name": "data", "target": "/data"}]) for name in ("one", "two")}
    with pytest.raises(KeyboardInterrupt):
        together(
            containers,
            [{"container": "one", "up": {"seconds": 1}}],
            after_steps=interrupt,
            named_volumes={"data": {}},
        )
    left = "docker ps -aq; docker network ls -q --filter name=selab; ls /var/lib/selab/runs"
    assert guest.run(["sh", "-c", left]).text == ""
    assert not policy_state().of(guest).enforcing

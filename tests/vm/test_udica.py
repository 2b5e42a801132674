"""Run what udica writes, unchanged: from the inspection of a container to a policy that passes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.resources import files

import pytest

from selab.analysis.offline import last_base
from selab.policy.guest.load import Mode
from selab.policy.language.cil_source import parse, walk
from selab.policy.module import load_module
from selab.policy.on_base import on_base
from selab.policy.source_file import write_source
from selab.progress import Progress
from selab.project import Project
from selab.run.experiment import Run
from selab.run.verdict import Verdict
from selab.vm.ssh import SshGuest
from selab.vm.virtual_machine import VirtualMachine
from selab.workflows.learn import LearnResult, learn
from selab.workflows.minimise import minimise

Runner = Callable[..., Run]
DIRECTORY = "/root/udica-try"
LOGS = """\
description: A shell reads the host's logs.
image: httpd
command: [sleep, "600"]
ports:
  - {guest: 8081, container: 80} # udica 0.2.2 fails if an exposed port is not published
volumes:
  - {guest_path: /var/log, target: /logs, read_only: true}
steps:
  - exec: {argv: [ls, /logs]}
expect: {denials: any}
"""
SCENARIOS = {
    "apache": ("container", "restricted_net_container"),
    "redis": ("container", "restricted_net_container"),
    "logs": ("container", "log_container"),
}
"""Scenarios, each with the blocks that udica inherits for its container."""
YAML = {
    "apache": "ports: [{port: 8080}]\n",
    "redis": "ports: [{port: 6379}]\nmounts: [{path: /var/lib/anything, access: rw}]\n",
    "logs": "ports: [{port: 8081}]\nmounts: [{path: /var/log}]\n",
}
"""What udica is told by the inspection of each of these containers; its ports are those of the host."""
WRITE = """
set -e
cd "$1"
docker inspect $(docker ps -q) >inspect.json
python3 -m udica -e docker "my_$2" <inspect.json >/dev/null
cat "my_$2.cil"
"""


@pytest.fixture(scope="module")
def written(project: Project, session_guest: SshGuest, session_run: Runner) -> Iterator[dict[str, str]]:
    """Write a policy with udica for the container of each scenario, while it runs in the guest."""
    (project.scenarios / "logs.yaml").write_text(LOGS)
    package = files("udica")
    # udica enters the directory of its templates.
    session_guest.run(["mkdir", "-p", f"{DIRECTORY}/udica", f"{DIRECTORY}/templates"]).expect("mkdir")
    for source in package.iterdir():
        if source.name.endswith(".py"):
            session_guest.put(source.read_bytes(), f"{DIRECTORY}/udica/{source.name}")
    texts = {}
    for name in SCENARIOS:

        def inspect(name: str = name) -> None:
            done = session_guest.run(["sh", "-c", WRITE, "sh", DIRECTORY, name], timeout=300).expect("udica")
            texts[name] = done.text

        session_run(name, "permissive", "none", after_steps=inspect)
        (project.policies / f"my_{name}.cil").write_text(texts[name])
    yield texts
    session_guest.run(["rm", "-rf", DIRECTORY])
    for path in ((project.policies / f"my_{name}.cil") for name in SCENARIOS):
        path.unlink()
    (project.scenarios / "logs.yaml").unlink()


@pytest.mark.parametrize("name", SCENARIOS)
def test_udicas_policy_runs_unchanged_on_the_fast_path(
    written: dict[str, str], run: Runner, name: str
) -> None:
    ended = run(name, policy=f"my_{name}")
    assert (ended.label.type, ended.loaded.slow_because) == (f"my_{name}.process", "")
    assert ended.outcome.labels == {ended.label.context}
    assert ended.verdict is not Verdict.ERROR, ended.reasons


@pytest.mark.parametrize("name", SCENARIOS)
def test_udicas_templates_are_selabs_own(written: dict[str, str], name: str) -> None:
    assert [f"(blockinherit {block})" in written[name] for block in SCENARIOS[name]] == [True, True]


def rules(text: str) -> set[tuple[tuple[str, ...], ...]]:
    """Return the statements of the blocks of a policy, each as the sorted words of its lists."""
    statements = (each for block in parse(text) for each in block.lists)
    return {tuple(tuple(sorted(each.words)) for each in walk((statement,))) for statement in statements}


@pytest.mark.parametrize("name", YAML)
def test_a_udica_policy_has_the_rules_that_udica_writes(
    project: Project, written: dict[str, str], name: str
) -> None:
    path = project.policies / f"yaml_{name}.yaml"
    path.write_text(f"kind: UdicaPolicy\n{YAML[name]}")
    try:
        module = on_base(load_module(project, path.stem), last_base(project, Progress()))
    finally:
        path.unlink()
    assert rules(module.texts["cil"].decode()) == rules(written[name])


def test_a_udica_policy_runs(project: Project, run: Runner) -> None:
    path = project.policies / "yaml_apache.yaml"
    path.write_text("kind: UdicaPolicy\nports: [{port: 80}]\ncapabilities: [setgid, setuid]\n")
    try:
        ended = run("apache", policy=path.stem)
    finally:
        path.unlink()
    assert (ended.verdict, ended.label.type) == (Verdict.PASS, "yaml_apache.process"), ended.reasons


@pytest.fixture(scope="module", params=["apache", "redis"])
def learned(
    request: pytest.FixtureRequest, project: Project, machine: VirtualMachine, written: dict[str, str]
) -> tuple[str, LearnResult]:
    name = request.param
    result = learn(project, machine, name, f"my_{name}", Progress())
    write_source(project.policies / f"my_{name}.cil", result.changes[0].after)
    return name, result


@pytest.mark.slow
def test_a_policy_that_passes_is_learned(learned: tuple[str, LearnResult], written: dict[str, str]) -> None:
    name, result = learned
    assert (result.passed, result.left) == (True, ())
    assert result.changes[0].after.startswith(written[name].removesuffix(")").rstrip())


@pytest.mark.slow
def test_what_udica_granted_and_nothing_needed_is_removed(
    project: Project, machine: VirtualMachine, learned: tuple[str, LearnResult]
) -> None:
    name, _ = learned
    (smallest,) = minimise(project, machine, name, f"my_{name}", Progress())
    last = next(run for run in reversed(smallest.runs) if run.verdict is Verdict.PASS)
    assert (last.mode, smallest.complete) == (Mode.ENFORCING, True)

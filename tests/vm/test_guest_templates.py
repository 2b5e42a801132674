"""Use the templates for udica that the guest has, as a part of its base policy."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator

import pytest

from selab.policy.module import OWN_TEMPLATES
from selab.project import Project
from selab.run.experiment import Run
from selab.vm.ssh import SshGuest

Runner = Callable[..., Run]
DIRECTORY = "/usr/share/udica/templates"
NAME = "heir"
TEXT = f"(block {NAME}\n    (blockinherit container)\n)\n"
OWN = "The policy inherits selab's own templates: base_container. udica's grant other things."
OF_GUEST = "The policy inherits templates of the guest: base_container."


@pytest.fixture(scope="module")
def runs(project: Project, session_guest: SshGuest, session_run: Runner) -> Iterator[dict[str, Run]]:
    """Run a policy before the guest has a template, twice while it has one, and after that."""
    source = project.policies / f"{NAME}.cil"
    source.write_text(TEXT)
    # A text that no run has had before: the cache has the base policies of earlier sessions.
    template = f"; {uuid.uuid4()}\n".encode() + (OWN_TEMPLATES / "base_container.cil").read_bytes()

    def run() -> Run:
        return session_run("apache", "permissive", NAME)

    try:
        made = {"before": run()}
        session_guest.run(["mkdir", "-p", DIRECTORY]).expect("mkdir")
        session_guest.put(template, f"{DIRECTORY}/base_container.cil")
        made |= {"with it": run(), "again": run()}
    finally:
        session_guest.run(["rm", "-rf", DIRECTORY])
    made["after"] = run()
    yield made
    source.unlink()


@pytest.mark.parametrize(("when", "note"), [("before", OWN), ("with it", OF_GUEST), ("after", OWN)])
def test_a_run_says_where_its_template_comes_from(runs: dict[str, Run], when: str, note: str) -> None:
    assert note in runs[when].notes


def test_a_template_of_the_guest_makes_another_base_policy(runs: dict[str, Run]) -> None:
    bases = [run.base_fingerprint for run in runs.values()]
    assert bases[0] == bases[3] != bases[1] == bases[2]


def test_the_templates_are_read_once(runs: dict[str, Run]) -> None:
    assert ["base" in run.timings for run in runs.values()][1:] == [True, False, False]

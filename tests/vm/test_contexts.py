"""A candidate's .fc file applies to volumes and the guest's files during a run, and is undone after it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from selab.policy.guest.relabel import LABELS
from selab.project import Project
from selab.run.experiment import Run
from selab.vm.ssh import SshGuest

TE = """policy_module(selab_site, 1.0)
type selab_site_content_t;
files_type(selab_site_content_t)
container_domain_template(selab_site)
"""
FC = """/srv/site(/.*)?     gen_context(system_u:object_r:selab_site_content_t,s0)
/opt/selab-site/.*  --  gen_context(system_u:object_r:selab_site_content_t,s0)
"""
SCENARIO = """
image: httpd
policy: selab_site
command: [sleep, "60"]
volumes:
  - {target: /srv/site, source: site}
steps:
  - name: the volume
    guest:
      argv: [stat, -c, "%C", /var/lib/selab/runs/selab-site/volume0/srv/site/index.html]
      contains: selab_site_content_t
  - name: the guest's file
    guest: {argv: [stat, -c, "%C", /opt/selab-site/data], contains: selab_site_content_t}
  - name: the guest's directory, which the pattern does not name
    guest: {argv: [stat, -c, "%C", /opt/selab-site], contains: usr_t}
expect: {denials: any}
"""
Runner = Callable[..., Run]


@pytest.fixture(scope="module")
def site(project: Project, session_guest: SshGuest) -> str:
    (project.policies / "selab_site.te").write_text(TE)
    (project.policies / "selab_site.fc").write_text(FC)
    (project.scenarios / "site.yaml").write_text(SCENARIO)
    (project.root / "site").mkdir()
    (project.root / "site" / "index.html").write_text("hello")
    session_guest.put(b"data", "/opt/selab-site/data")
    session_guest.run(["restorecon", "-RF", "/opt/selab-site"]).expect("restorecon")
    return "site"


def label(guest: SshGuest, path: str) -> str:
    return guest.run(["stat", "-c", "%C", path]).text.strip()


def test_files_and_volumes_have_the_candidates_labels_during_the_run(site: str, run: Runner) -> None:
    assert [
        (step.name, step.detail) for step in run(site, mode="permissive").outcome.steps if not step.ok
    ] == []


def test_the_guests_files_have_their_old_labels_after_the_run(
    site: str, run: Runner, guest: SshGuest
) -> None:
    before = label(guest, "/opt/selab-site/data")
    run(site, mode="permissive")
    assert label(guest, "/opt/selab-site/data") == before


def test_labels_that_a_killed_run_left_behind_are_restored_by_the_next_run(
    site: str, run: Runner, guest: SshGuest
) -> None:
    before = label(guest, "/opt/selab-site/data")
    guest.put(f'{{"/opt/selab-site/data": "{before}"}}'.encode(), LABELS)
    guest.run(["chcon", "-t", "tmp_t", "/opt/selab-site/data"]).expect("chcon")
    run("apache", mode="permissive")
    assert label(guest, "/opt/selab-site/data") == before

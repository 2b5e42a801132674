"""The steps that a scenario may have, and their titles."""

from __future__ import annotations

import pytest

from selab.project import Project
from selab.scenario.load import load_scenario
from selab.scenario.steps import CopyStep, ExecStep, ExitStep, HttpStep, LogStep, TcpStep, UpStep
from tests.unit.scenario.written import refused, write


@pytest.mark.parametrize(
    "step",
    [
        "{name: nothing}",
        "{exec: {argv: []}}",
        "{exec: {argv: [a], exit: 256}}",
        "{exit: {code: -1}}",
        "{http: {port: 0}}",
        "{http: {port: 80, path: x}}",
        "{http: {port: 80, status: 99}}",
        "{http: {port: 80, timeout: 0}}",
        "{http: {port: 80, timeout: 3601}}",
        "{tcp: {}}",
        "{tcp: {port: 65536}}",
        "{tcp: {port: 80, timeout: 0}}",
        "{up: {seconds: 0}}",
        "{up: {}, exit: {}}",
        "{copy: {source: web}}",
        "{copy: {source: '', target: /srv/web}}",
        "{copy: {source: -x, target: /srv/web}}",
        "{copy: {source: web, target: srv/web}}",
        "{copy: {source: web, target: /}}",
        "{copy: {source: web, target: /srv/}}",
        "{copy: {source: web, target: '/srv:/web'}}",
        "{copy: {source: web, target: /srv/../web}}",
        "{copy: {source: web, target: /srv/web, timeout: 0}}",
    ],
)
def test_a_step_that_cannot_be_done_is_refused(project: Project, step: str) -> None:
    assert refused(project, f"image: httpd\nsteps:\n  - {step}\n").detail.endswith("web.yaml:3")


@pytest.mark.parametrize(
    ("step", "title", "kind"),
    [
        ("{http: {port: 80, path: /x}}", "get http :80/x", HttpStep),
        ("{http: {port: 80, wait: true}}", "wait for http :80/", HttpStep),
        ("{exec: {argv: [cat, /etc/shadow]}}", "exec cat /etc/shadow", ExecStep),
        ("{guest: {argv: [cat, /etc/shadow]}}", "guest cat /etc/shadow", ExecStep),
        ("{log: {pattern: ready}}", "log /ready/", LogStep),
        ("{exit: {code: 3}}", "exit 3", ExitStep),
        ("{tcp: {port: 5432}}", "connect to tcp :5432", TcpStep),
        ("{tcp: {port: 5432, wait: true}}", "wait for tcp :5432", TcpStep),
        ("{up: {}}", "up for 3 s", UpStep),
        ("{copy: {source: page, target: //srv/./x}}", "copy page to /srv/x", CopyStep),
        ("{up: {seconds: 0.5}}", "up for 0.5 s", UpStep),
        ("{name: the page, exit: {}}", "the page", ExitStep),
        (f"{{exec: {{argv: [{'a' * 99}]}}}}", f"exec {'a' * 55}", ExecStep),
    ],
)
def test_a_step_has_the_title_and_the_action_of_its_kind(
    project: Project, step: str, title: str, kind: type[object]
) -> None:
    (project.root / "page").write_text("")
    write(project, f"image: httpd\nsteps: [{step}]\n")
    (only,) = load_scenario(project, "web").steps
    assert (only.title, type(only.action)) == (title, kind)


def test_a_copy_is_kept_as_it_was_written(project: Project) -> None:
    (project.root / "page").write_text("")
    write(project, "image: x\nsteps: [{copy: {source: page, target: /srv/x}}]\n")
    steps = load_scenario(project, "web").as_written()["steps"]
    assert steps == [{"copy": {"source": "page", "target": "/srv/x"}}]

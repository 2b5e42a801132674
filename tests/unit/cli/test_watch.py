"""`selab watch`: what it runs, and what it shows of each run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from selab.errors import SelabError
from selab.history import History
from selab.policy.guest.load import Mode
from selab.project import Project
from selab.run.request import Request, RunOptions
from tests.unit.test_history import finished

from .conftest import Selab

Capture = pytest.CaptureFixture[str]


class Watching:
    """What the command gives to the workflow, which then ends with each of `results` and stops."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.results: list[Any] = []

    def __call__(
        self,
        project: Project,
        machine: object,
        request: Request,
        options: RunOptions,
        progress: Callable[[], object],
        began: Callable[[], None],
        ended: Callable[[Any], None],
    ) -> Watching:
        assert progress() is not progress(), "each run has its own timings"
        assert options.before_steps is not None, "advice is prepared while the steps run"
        self.requests.append(request)
        self.began, self.ended = began, ended
        return self

    def forever(self) -> None:
        for result in self.results:
            self.began()
            self.ended(result)


@pytest.fixture(autouse=True)
def watching(project: Project, monkeypatch: pytest.MonkeyPatch) -> Watching:
    watching = Watching()
    monkeypatch.setattr("selab.workflows.watch.Watch", watching)
    monkeypatch.setattr("selab.analysis.explain.AdviceCache.advice", lambda *_: [])
    (project.scenarios / "web.yaml").write_text("image: x:y\n")
    (project.policies / "app.te").write_text("policy_module(app, 1.0)\n")
    return watching


@pytest.mark.parametrize(
    ("words", "request_"),
    [
        ((), Request("web", None, Mode.PERMISSIVE)),
        (("--setenforce", "yes", "--policy", "app"), Request("web", "app", Mode.ENFORCING)),
        (("--setenforce", "domain", "--policy", "none"), Request("web", "none", Mode.DOMAIN)),
    ],
)
def test_the_options_are_the_request(
    selab: Selab, watching: Watching, words: tuple[str, ...], request_: Request
) -> None:
    assert selab("watch", "web", *words) == 0
    assert watching.requests == [request_]


@pytest.mark.parametrize("words", [("wob",), ("web", "--policy", "wob")])
def test_a_mistake_is_reported_before_anything_is_watched(
    selab: Selab, watching: Watching, words: tuple[str, ...]
) -> None:
    assert selab("watch", *words) == 2
    assert watching.requests == []


def test_each_run_is_in_the_history_and_shown(
    selab: Selab, watching: Watching, project: Project, capsys: Capture
) -> None:
    watching.results = [finished(1), finished(2)]
    selab("watch", "web")
    assert [stored.document.run for stored in History.of(project).latest(5)] == ["run-0002", "run-0001"]
    text = capsys.readouterr().out
    assert "run-0001" in text and "run-0002" in text


def test_an_error_is_shown_in_its_parts_and_the_next_run_follows(
    selab: Selab, watching: Watching, project: Project, capsys: Capture
) -> None:
    watching.results = [SelabError("It does not compile.", "web.te:3: [x]", "Correct it."), finished(1)]
    selab("watch", "web")
    assert capsys.readouterr().out.splitlines()[:3] == [
        "It does not compile.",
        "web.te:3: [x]",
        "Correct it.",
    ]
    assert len(History.of(project).latest(5)) == 1


def test_a_run_begins_with_the_scenario_and_the_way_out(
    selab: Selab, watching: Watching, capsys: Capture
) -> None:
    watching.results = [SelabError("No.")]
    selab("watch", "web")
    assert "selab watch web  save to run again, Ctrl-C to end" in capsys.readouterr().err

"""What the options of `selab run` request."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from selab.__main__ import run
from selab.errors import SelabError
from selab.machine import Machine
from selab.policy.guest.load import Mode
from selab.progress import Progress
from selab.project import Project
from selab.run import experiment
from selab.run.request import Request, RunOptions
from selab.vm import select

Requester = Callable[..., tuple[Request, RunOptions]]


class Shell:
    """A machine of which the command only needs the shell."""

    def shell(self) -> None:
        raise AssertionError("the run is to open the shell, not the command")


@pytest.fixture
def requested(project: Project, monkeypatch: pytest.MonkeyPatch) -> Requester:
    """The request and the options that `selab run web` makes of its words: requested("--keep")."""
    seen: list[tuple[Request, RunOptions]] = []

    def record(_: Project, __: Machine, request: Request, ___: Progress, options: RunOptions) -> None:
        seen.append((request, options))
        raise SelabError("That is enough.")

    def requested(*words: str) -> tuple[Request, RunOptions]:
        run(["-C", str(project.root), "run", "web", *words])
        return seen[-1]

    monkeypatch.setattr(experiment, "run", record)
    monkeypatch.setattr(select, "machine_of", lambda _: Shell())
    return requested


def test_a_request_is_what_the_user_wrote(requested: Requester) -> None:
    request, _ = requested("--policy", "none", "--setenforce", "no", "--keep")
    assert request == Request("web", "none", Mode.PERMISSIVE, keep=True)


def test_the_shell_opens_after_the_steps(requested: Requester) -> None:
    _, options = requested("--shell")
    assert getattr(options.after_steps, "__name__", "") == "shell"


def test_advice_is_prepared_before_the_steps(requested: Requester) -> None:
    _, options = requested()
    assert (options.before_steps is None, options.after_steps) == (False, None)


def test_no_advice_is_prepared_for_programs(requested: Requester) -> None:
    _, options = requested("--json")
    assert options.before_steps is None

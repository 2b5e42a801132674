"""Progress is a spinner on a terminal and plain lines elsewhere; both show how long a step took last time."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from rich.console import Console

from selab.__main__ import _say
from selab.cli.session import Context
from selab.errors import SelabError
from selab.host.durations import Durations
from selab.progress import Progress
from selab.project import Project
from selab.report import progress as shown
from selab.report.progress import TerminalListener, in_words

STEP = "Starting the container"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def console(file: io.StringIO, **more: Any) -> Console:
    return Console(file=file, highlight=False, emoji=False, width=100, **more)


@pytest.fixture
def remembered() -> Durations:
    durations = Durations()
    durations.took(STEP, 6.2)
    durations.took("Removing it", 1.4)
    return durations


def shown_steps(file: io.StringIO, durations: Durations, *steps: str, **more: Any) -> str:
    progress = Progress(TerminalListener(console(file, **more), durations))
    for step in steps:
        with progress.step(step):
            pass
    return file.getvalue()


def test_without_a_terminal_each_step_is_a_line_with_what_it_took(remembered: Durations) -> None:
    assert shown_steps(io.StringIO(), remembered, STEP) == "Starting the container ... (6 s last time)\n"


def test_what_was_quick_is_not_worth_a_word(remembered: Durations) -> None:
    assert (
        shown_steps(io.StringIO(), remembered, "Removing it", "Something new")
        == "Removing it ...\nSomething new ...\n"
    )


def test_without_a_terminal_there_is_no_bar_even_where_colours_are_forced(remembered: Durations) -> None:
    assert shown_steps(io.StringIO(), remembered, STEP, force_terminal=True).splitlines() == [
        "Starting the container ... (6 s last time)"
    ]


def test_a_terminal_that_cannot_move_its_cursor_gets_lines(
    remembered: Durations, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "dumb")
    assert "\r" not in shown_steps(Terminal(), remembered, STEP)


def test_a_terminal_shows_what_it_took(remembered: Durations) -> None:
    assert "Starting the container (took 6 s last time)" in plain(
        shown_steps(Terminal(), remembered, STEP, force_terminal=True)
    )


def test_a_terminal_shows_the_seconds_that_have_gone_by(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([0.0, 75.0])
    monkeypatch.setattr(shown.time, "monotonic", lambda: next(times))
    assert (
        shown._Running("Building", 130).__rich__().plain == "Building (took 2 min 10 s last time) 1 min 15 s"
    )


def test_a_step_that_failed_says_nothing_about_the_next_time() -> None:
    durations = Durations()
    progress = Progress(TerminalListener(console(io.StringIO()), durations))
    with pytest.raises(SelabError), progress.step(STEP):
        raise SelabError("no")
    assert durations.last(STEP) is None


@pytest.mark.parametrize(("seconds", "words"), [(2.4, "2 s"), (59.6, "1 min 0 s"), (125, "2 min 5 s")])
def test_in_words(seconds: float, words: str) -> None:
    assert in_words(seconds) == words


def plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


COLOUR = re.compile(r"\x1b\[(?:[0-9;]*;)?[349][0-7](?:;[0-9;]*)?m")


def failed() -> str:
    file = Terminal()
    progress = Progress(TerminalListener(console(file, force_terminal=True, color_system="standard")))
    with pytest.raises(SelabError), progress.step(STEP):
        raise SelabError("no")
    return file.getvalue()


def an_error(monkeypatch: pytest.MonkeyPatch) -> str:
    file = Terminal()
    monkeypatch.setattr(click.utils, "_default_text_stderr", lambda: file)
    _say("What", "detail", "hint")
    return file.getvalue()


@pytest.mark.parametrize("show", [lambda _: failed(), an_error], ids=["a step", "an error"])
def test_colours_go_with_no_color(
    show: Callable[[pytest.MonkeyPatch], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert COLOUR.search(show(monkeypatch))
    monkeypatch.setenv("NO_COLOR", "1")
    assert not COLOUR.search(show(monkeypatch))


def test_a_project_remembers(project: Project) -> None:
    context = Context(project.root)
    with context.progress.step(STEP):
        pass
    context.close()
    assert (project.state / "durations.json").read_text() == '{\n  "Starting the container": 0.0\n}\n'


def test_outside_of_a_project_nothing_is_remembered(tmp_path: Path) -> None:
    context = Context(tmp_path)
    with context.progress.step(STEP):
        pass
    context.close()
    assert list(tmp_path.iterdir()) == []

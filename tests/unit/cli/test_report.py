"""`selab report` writes a page about runs, and overwrites only pages of its own."""

from __future__ import annotations

import pytest

from selab.project import Project

from .conftest import Selab


def test_a_page_is_about_the_last_run(selab: Selab, runs: list[str], project: Project) -> None:
    page = project.root / "page.html"
    assert selab("report", "--html", str(page)) == 0
    assert runs[1] in page.read_text() and runs[0] not in page.read_text()


def test_the_newest_run_is_first_and_each_is_shown_once(
    selab: Selab, runs: list[str], project: Project
) -> None:
    page = project.root / "page.html"
    selab("report", "last~1", "last", "last", "--html", str(page))
    text = page.read_text()
    assert text.index('id="run2"') < text.index('id="run1"')
    assert 'id="run3"' not in text


def test_a_page_is_written_again(selab: Selab, runs: list[str], project: Project) -> None:
    words = ("report", "--html", str(project.root / "page.html"))
    assert [selab(*words), selab(*words)] == [0, 0]


@pytest.mark.parametrize(("force", "code"), [((), 2), (("--force",), 0)])
def test_a_file_that_is_no_page_is_overwritten_only_by_force(
    selab: Selab, runs: list[str], project: Project, force: tuple[str, ...], code: int
) -> None:
    file = project.root / "notes.html"
    file.write_text("my notes")
    assert selab("report", "--html", str(file), *force) == code
    assert (file.read_text() == "my notes") is (code == 2)

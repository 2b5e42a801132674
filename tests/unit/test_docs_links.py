"""Links and paths in the documentation lead to files and headings that exist; the rules for its pages."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from pathlib import Path

from tests.shown import ROOT

_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`[^`\n]*`")
_LINK = re.compile(r"\]\((?!https?:|mailto:)(?P<path>[^)#\s]*)(?:#(?P<anchor>[^)\s]+))?\)")
_HEADING = re.compile(r"^#{1,6} +(?P<text>.+?) *$", re.MULTILINE)
_DOCS_PATH = re.compile(r"(?<![\w/.-])docs/(?:[\w.-]+/)*[\w-]+\.(?:md|svg|png|yml|json)\b")
_TEST_PATH = re.compile(r"(?<!selab/)\b((?:unit|vm)/(?:\w+/)*\w+\.py)\b")
_INSTALL_BY_NAME = re.compile(r"\bpipx? install (?:-\S+ )*[\"']?selab(?![-\w/])")
_TEST_NAME = re.compile(r"(?:::|`)(test_\w+)\b(?!\.py)")


def files(*directories: str) -> list[Path]:
    """The files below these directories of the repository, without caches."""
    return [
        path
        for directory in directories
        for path in sorted((ROOT / directory).rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    ]


def links(page: Path) -> Iterator[re.Match[str]]:
    """The links of a page to other files of the repository, without those in code."""
    return _LINK.finditer(_CODE.sub("", _FENCE.sub("", page.read_text())))


@functools.cache
def anchors(page: Path) -> set[str]:
    """The anchors that GitHub makes of a page's headings: lower case, no punctuation, hyphens for blanks."""
    names: set[str] = set()
    for heading in _HEADING.finditer(_FENCE.sub("", page.read_text())):
        name = re.sub(r"[^\w\- ]", "", heading["text"].lower()).replace(" ", "-")
        copies = sum(re.fullmatch(rf"{re.escape(name)}(-\d+)?", other) is not None for other in names)
        names.add(f"{name}-{copies}" if copies else name)
    return names


CODE = files("selab", "script", "tests", "benchmarks")
PAGES = [*sorted(ROOT.glob("*.md")), *(path for path in [*files("docs"), *CODE] if path.suffix == ".md")]
TESTS = [path for path in files("tests") if path.suffix == ".py"]


def test_the_links_of_pages_lead_to_files() -> None:
    assert [
        f"{page.relative_to(ROOT)}: {link['path']}"
        for page in PAGES
        for link in links(page)
        if link["path"] and not (page.parent / link["path"]).exists()
    ] == []


def test_the_anchors_of_links_are_headings() -> None:
    dead = []
    for page in PAGES:
        for link in links(page):
            target = (page.parent / link["path"]) if link["path"] else page
            if link["anchor"] and target.suffix == ".md" and link["anchor"] not in anchors(target):
                dead.append(f"{page.relative_to(ROOT)}: {link[0]}")
    assert dead == []


def test_paths_below_docs_that_code_and_pages_name_exist() -> None:
    dead = [
        f"{file.relative_to(ROOT)}: {name}"
        for file in {*PAGES, *CODE}
        if file.suffix in ("", ".md", ".py", ".sh", ".toml", ".j2", ".yaml")
        for name in _DOCS_PATH.findall(file.read_text(errors="replace"))
        if not (ROOT / name).exists()
    ]
    assert dead == []


def test_files_of_tests_that_a_page_names_exist() -> None:
    assert [
        f"{page.relative_to(ROOT)}: {name}"
        for page in PAGES
        for name in _TEST_PATH.findall(page.read_text())
        if not (ROOT / "tests" / name).exists()
    ] == []


def test_tests_that_a_page_names_exist() -> None:
    existing = {name for path in TESTS for name in re.findall(r"def (test_\w+)", path.read_text())}
    assert [
        f"{page.relative_to(ROOT)}: {name}"
        for page in PAGES
        for name in _TEST_NAME.findall(page.read_text())
        if name not in existing
    ] == []


def test_no_page_installs_selab_from_an_index() -> None:
    """selab is not on PyPI: a package with its name there would be another one's."""
    pages = {*PAGES, *files("docs/howto/ci", "script")}
    assert [str(page.relative_to(ROOT)) for page in pages if _INSTALL_BY_NAME.search(page.read_text())] == []


def test_the_readme_is_shorter_than_80_lines() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) < 80


def test_every_page_below_docs_is_in_the_index() -> None:
    index = ROOT / "docs" / "README.md"
    linked = {(index.parent / link["path"]).resolve() for link in links(index)}
    indexes = {page for page in linked if page.name == "README.md"}
    linked |= {(page.parent / link["path"]).resolve() for page in indexes for link in links(page)}
    pages = [path for path in files("docs") if path.suffix == ".md"]
    assert [str(page.relative_to(ROOT)) for page in pages if page != index and page not in linked] == []


def test_an_example_requires_the_type_that_the_template_of_containers_needs() -> None:
    """On CentOS and Fedora, the template uses container_file_t without requiring it."""
    call = re.compile(r"container_domain_template\(\w+, *container\)")
    texts = {page: page.read_text() for page in PAGES}
    assert [
        page for page, text in texts.items() if call.search(text) and "type container_file_t" not in text
    ] == []

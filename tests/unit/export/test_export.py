"""The whole export: what is refused before anything is written, and what is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from selab.errors import InputError, SelabError
from selab.export.export import export
from selab.export.formats import FORMATS
from selab.history import History, Record
from selab.policy.base import BasePolicy
from selab.policy.module import load_module
from selab.policy.survey import StoreFacts
from selab.progress import Progress
from selab.project import Project

from .conftest import BOX, CIL, passed


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SELAB_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def web(project: Project) -> Project:
    """A project with the policy `web` and its template."""
    project.templates.mkdir()
    (project.templates / "base_container.cil").write_bytes(BOX)
    (project.policies / "web.cil").write_bytes(CIL)
    return project


def test_an_unproven_policy_is_refused_and_nothing_is_written(web: Project, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No enforcing run"):
        export(web, "web", FORMATS["cil"], tmp_path / "out", Progress())
    assert not (tmp_path / "out").exists()


def test_an_unproven_policy_says_so_in_its_header(web: Project, tmp_path: Path) -> None:
    export(web, "web", FORMATS["cil"], tmp_path / "out", Progress(), unproven=True)
    assert b"; NOT PROVEN: " in (tmp_path / "out/web.cil").read_bytes()


def test_an_unproven_policy_is_written_with_the_templates_of_the_known_base_policy(
    web: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (web.templates / "base_container.cil").unlink()
    base = BasePolicy(StoreFacts("test", 33, True, False, ""), tmp_path / "base", frozenset())
    (base.directory / "templates").mkdir(parents=True)
    (base.directory / "templates/base_container.cil").write_bytes(BOX)
    monkeypatch.setattr("selab.export.export.find_base", lambda *_: base)
    export(web, "web", FORMATS["cil"], tmp_path / "out", Progress(), unproven=True)
    assert (tmp_path / "out/base_container.cil").read_bytes().endswith(BOX)


UDICA = b"kind: UdicaPolicy\nports: [{port: 80}]\n"


def test_a_udica_policy_is_written_as_the_cil_that_it_is_on_the_known_base_policy(
    project: Project, centos: BasePolicy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project.policies / "web.yaml").write_bytes(UDICA)
    monkeypatch.setattr("selab.export.export.last_base", lambda *_: centos)
    export(project, "web", FORMATS["cil"], tmp_path / "out", Progress(), unproven=True)
    text = (tmp_path / "out/web.cil").read_text()
    assert "\n    (allow process http_port_t (tcp_socket (name_bind)))\n" in text and "NOT PROVEN" in text


def test_a_udica_policy_is_not_written_without_a_base_policy(project: Project, tmp_path: Path) -> None:
    (project.policies / "web.yaml").write_bytes(UDICA)
    with pytest.raises(SelabError, match="No base policy is known"):
        export(project, "web", FORMATS["cil"], tmp_path / "out", Progress(), unproven=True)
    assert not (tmp_path / "out").exists()


def test_a_proven_policy_is_written_with_its_template(web: Project, tmp_path: Path) -> None:
    History.of(web).keep(Record(passed(load_module(web, "web")), {}, {}, b""))
    exported = export(web, "web", FORMATS["cil"], tmp_path / "out", Progress())
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"web.cil", "base_container.cil"}
    assert len(exported.files) == 2
    assert (tmp_path / "out/web.cil").read_bytes().endswith(b"\n" + CIL)


def test_a_second_export_into_the_same_directory_is_refused(web: Project, tmp_path: Path) -> None:
    for form in ("cil", "deb"):
        export(web, "web", FORMATS[form], tmp_path / "out", Progress(), unproven=True)
    with pytest.raises(InputError, match="already exists"):
        export(web, "web", FORMATS["cil"], tmp_path / "out", Progress(), unproven=True)


@pytest.mark.parametrize("name", ["a b", "$(id)"])
def test_a_template_with_a_hostile_name_is_refused(web: Project, tmp_path: Path, name: str) -> None:
    (web.templates / "base_container.cil").rename(web.templates / f"{name}.cil")
    with pytest.raises(InputError, match="cannot be a module's name"):
        export(web, "web", FORMATS["containerfile"], tmp_path / "out", Progress(), unproven=True)
    assert not (tmp_path / "out").exists()

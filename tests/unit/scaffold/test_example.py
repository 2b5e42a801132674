"""`selab init`: a project that works, and nothing overwritten."""

from __future__ import annotations

from pathlib import Path

import pytest

from selab.errors import InputError
from selab.project import find_project
from selab.run.request import Request, make_plan
from selab.scaffold.example import init


def test_it_makes_a_project_whose_scenario_can_be_planned(tmp_path: Path) -> None:
    init(tmp_path / "lab")
    planned = make_plan(find_project(tmp_path / "lab"), Request("apache"))
    assert (planned.policy, planned.containers[0].image.source is not None) == ("selab_apache", True)


def test_it_says_what_it_wrote(tmp_path: Path) -> None:
    written = init(tmp_path)
    assert sorted(written) == sorted(
        str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()
    )


def test_where_a_file_is_there_nothing_is_written(tmp_path: Path) -> None:
    (tmp_path / "policies").mkdir()
    mine = tmp_path / "policies" / "selab_apache.te"
    mine.write_text("mine")
    with pytest.raises(InputError, match="already"):
        init(tmp_path)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [mine]
    assert mine.read_text() == "mine"


def test_programs_stay_executable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "example" / "images/httpd/files/usr/bin/serve"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setattr("selab.scaffold.example.example", lambda: tmp_path / "example")
    assert init(tmp_path / "project") == ["images/httpd/files/usr/bin/serve"]
    assert (tmp_path / "project" / "images/httpd/files/usr/bin/serve").stat().st_mode & 0o777 == 0o755

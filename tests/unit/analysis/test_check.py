"""The review of a project's policies, with the compiler's and the linker's answers given."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from selab.__main__ import run
from selab.analysis import check as checking
from selab.analysis.check import CheckResult, check
from selab.errors import InputError
from selab.policy import toolchain
from selab.policy.base import BasePolicy
from selab.progress import Progress
from selab.project import Project
from tests.unit.headers import write_headers

GOOD = "policy_module(web, 1.0)\ncontainer_domain_template(web)\n"


@pytest.fixture
def prepared(project: Project, base: BasePolicy, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project with one policy `web`, whose last run had `base`. Compiling and linking always succeed."""
    write_headers(base.headers)
    (project.policies / "web.te").write_text(GOOD)
    monkeypatch.setattr(checking, "last_base", lambda *_: base)
    monkeypatch.setattr(toolchain, "missing_on_host", lambda *_: [])
    monkeypatch.setattr(checking, "compiled_all", lambda *_: [])
    monkeypatch.setattr(checking, "linked", lambda *_: None)
    monkeypatch.setattr(checking, "installed", lambda: False)
    return project


def refuse(monkeypatch: pytest.MonkeyPatch, stage: str, detail: str) -> None:
    def refused(*_: object) -> None:
        raise InputError("It is refused:", detail, "Do better.")

    monkeypatch.setattr(checking, stage, refused)


def seen(result: CheckResult) -> list[tuple[str, str, int]]:
    return [(finding.id, finding.file.name, finding.line) for finding in result.findings]


@pytest.mark.toolchain
def test_a_good_policy_has_no_finding(prepared: Project) -> None:
    result = check(prepared, ["web"], Progress())
    assert (result.findings, result.failed) == ([], False)


@pytest.mark.toolchain
def test_that_selint_is_missing_is_said(prepared: Project) -> None:
    assert "SELint is not installed" in check(prepared, ["web"], Progress()).remarks[0]


@pytest.mark.toolchain
def test_without_a_name_every_policy_is_reviewed(prepared: Project) -> None:
    (prepared.policies / "app.te").write_text(GOOD.replace("web", "app"))
    assert list(check(prepared, [], Progress()).policies) == ["app", "web"]


def test_an_unknown_policy_is_wrong_input(prepared: Project) -> None:
    with pytest.raises(InputError, match="no policy 'wob'"):
        check(prepared, ["wob"], Progress())


@pytest.mark.toolchain
@pytest.mark.parametrize(("function", "id"), [("compiled_all", "compile"), ("linked", "link")])
def test_a_refusal_is_a_finding_at_its_line(
    prepared: Project, monkeypatch: pytest.MonkeyPatch, function: str, id: str
) -> None:
    refuse(monkeypatch, function, f"{prepared.policies}/web.te:2: bad: line")
    result = check(prepared, ["web"], Progress())
    assert (seen(result), result.findings[0].message) == ([(id, "web.te", 2)], "It is refused: bad: line")


@pytest.mark.toolchain
def test_a_refusal_without_a_line_is_a_finding_about_the_file(
    prepared: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse(monkeypatch, "linked", "neverallow check failed")
    result = check(prepared, ["web"], Progress())
    assert (seen(result), result.findings[0].message) == (
        [("link", "web.te", 0)],
        "It is refused: neverallow check failed",
    )


@pytest.mark.toolchain
def test_the_compilers_word_gives_way_to_the_lints_about_the_same_line(
    prepared: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    (prepared.policies / "web.te").write_text(GOOD + "files_red_etc_files(web_t)\n")
    refuse(monkeypatch, "compiled_all", f"{prepared.policies}/web.te:3: syntax error")
    assert seen(check(prepared, ["web"], Progress())) == [("unknown-interface", "web.te", 3)]


@pytest.mark.toolchain
def test_a_module_of_another_name_is_a_finding(prepared: Project) -> None:
    (prepared.policies / "web.te").write_text(GOOD.replace("(web,", "(wob,"))
    assert seen(check(prepared, ["web"], Progress())) == [("source", "web.te", 1)]


@pytest.mark.toolchain
def test_the_command_prints_a_line_and_a_remedy_and_fails(
    prepared: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(prepared.root)
    (prepared.policies / "web.te").write_text(GOOD + "files_red_etc_files(web_t)\n")
    code = run(["check", "web"])
    first, second, *_ = capsys.readouterr().out.splitlines()
    assert "policies/web.te:3: error:" in first and "'files_red_etc_files'" in first
    assert (code, first.split()[-1], second) == (
        1,
        "[unknown-interface]",
        "    Did you mean files_read_etc_files(domain)?",
    )


@pytest.mark.toolchain
def test_the_command_prints_one_document(prepared: Project, capsys: pytest.CaptureFixture[str]) -> None:
    (prepared.policies / "web.te").write_text(GOOD + "allow web_t self:process *;\n")
    code = run(["-C", str(prepared.root), "check", "--json"])
    document = json.loads(capsys.readouterr().out)
    result = document["findings"][0]
    assert (code, document["schema"], document["policies"]) == (0, 1, ["web"])
    assert (
        result["policy"],
        Path(result["file"]).name,
        result["line"],
        result["severity"],
        result["id"],
    ) == (
        "web",
        "web.te",
        3,
        "warning",
        "wildcard",
    )


def test_where_no_project_has_had_a_run_one_is_asked_for(
    project: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SELAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(toolchain, "missing_on_host", lambda *_: [])
    (project.policies / "web.te").write_text(GOOD)
    assert run(["-C", str(project.root), "check"]) == 3
    assert "selab run" in capsys.readouterr().err

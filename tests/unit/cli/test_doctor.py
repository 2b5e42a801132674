"""`selab doctor`: its exit code, its findings, and the report that it does not overwrite."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from selab.doctor.examine import Finding, State

from .conftest import Selab

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def findings(monkeypatch: pytest.MonkeyPatch) -> list[Finding]:
    findings = [Finding("disk", State.OK, "20 GiB"), Finding("kvm", State.NOTE, "none", "It takes longer.")]
    monkeypatch.setattr("selab.doctor.examine.examine", lambda project, progress: iter(findings))
    return findings


@pytest.fixture
def report(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("selab.doctor.support_report.checklist", lambda project: "a checklist")
    monkeypatch.setattr("selab.report.support_report.markdown", lambda checklist, project: f"# {checklist}\n")


@pytest.mark.parametrize("output", [(), ("--json",)])
def test_only_what_a_run_needs_and_lacks_is_an_error(
    selab: Selab, findings: list[Finding], output: tuple[str, ...]
) -> None:
    assert selab("doctor", *output) == 0
    findings.insert(0, Finding("Vagrant", State.BAD, "missing", "Install it."))
    assert selab("doctor", *output) == 3


def test_each_finding_has_its_sign_and_its_remedy(
    selab: Selab, findings: list[Finding], capsys: Capture
) -> None:
    findings.append(Finding("Vagrant", State.BAD, "[none]"))
    selab("doctor")
    assert capsys.readouterr().out.splitlines() == [
        "✓ disk            20 GiB",
        "• kvm             none",
        "    It takes longer.",
        "✗ Vagrant         [none]",
    ]


def test_the_document_has_every_finding(selab: Selab, findings: list[Finding], capsys: Capture) -> None:
    selab("doctor", "--json")
    rows = json.loads(capsys.readouterr().out)
    assert rows[1] == {"subject": "kvm", "state": "note", "detail": "none", "remedy": "It takes longer."}
    assert len(rows) == 2


def test_a_report_does_not_overwrite_a_file(
    selab: Selab, report: None, tmp_path: Path, capsys: Capture
) -> None:
    file = tmp_path / "report.md"
    file.write_text("mine")
    assert selab("doctor", "--report", str(file)) == 2
    assert file.read_text() == "mine" and str(file) in capsys.readouterr().err


def test_a_report_is_written_and_its_reader_is_warned(
    selab: Selab, report: None, tmp_path: Path, capsys: Capture
) -> None:
    file = tmp_path / "report.md"
    assert selab("doctor", "--report", str(file)) == 0
    assert file.read_text() == "# a checklist\n"
    assert "Read it before you send it" in capsys.readouterr().out


def test_a_report_without_a_file_is_all_of_standard_output(
    selab: Selab, report: None, capsys: Capture
) -> None:
    assert selab("doctor", "--report") == 0
    assert capsys.readouterr().out == "# a checklist\n"

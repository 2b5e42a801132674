"""SELint's lines as findings, from a program that prints what it prints."""

from __future__ import annotations

from pathlib import Path

import pytest

from selab.errors import CommandFailed
from selab.policy.base import BasePolicy
from selab.policy.lint import Finding, Severity
from selab.policy.lint.selint import installed, selint
from selab.policy.module import PolicyModule

pytestmark = pytest.mark.toolchain


def selint_findings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, base: BasePolicy, lines: str, code: int = 0
) -> list[Finding]:
    program = tmp_path / "bin" / "selint"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\ncat <<'END'\n{lines}\nEND\nexit {code}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    assert installed()
    return selint(PolicyModule("web", Path("/p"), {"te": b"", "fc": b""}), base)


def test_a_line_is_a_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, base: BasePolicy) -> None:
    (finding,) = selint_findings(
        tmp_path, monkeypatch, base, "/p/web.te:              6: (W): Allow rule (x) is odd (W-008)"
    )
    assert finding == Finding(Path("/p/web.te"), 6, Severity.WARNING, "W-008", "Allow rule (x) is odd.", "")


@pytest.mark.parametrize(
    ("letter", "severity"), [("C", "note"), ("S", "note"), ("W", "warning"), ("E", "error"), ("F", "warning")]
)
def test_its_severities_are_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, base: BasePolicy, letter: str, severity: str
) -> None:
    assert [
        finding.severity
        for finding in selint_findings(
            tmp_path, monkeypatch, base, f"/p/web.fc:1: ({letter}): x ({letter}-001)"
        )
    ] == [severity]


def test_what_is_about_another_file_or_no_finding_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, base: BasePolicy
) -> None:
    assert selint_findings(tmp_path, monkeypatch, base, "/p/other.te:1: (W): x (W-001)\nNote: y") == []


def test_it_may_say_what_is_wrong_and_end_badly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, base: BasePolicy
) -> None:
    assert (
        len(selint_findings(tmp_path, monkeypatch, base, "/p/web.te:3: (F): syntax error (F-001)", 70)) == 1
    )


def test_that_it_ends_badly_without_a_word_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, base: BasePolicy
) -> None:
    with pytest.raises(CommandFailed, match="SELint"):
        selint_findings(tmp_path, monkeypatch, base, "", 70)

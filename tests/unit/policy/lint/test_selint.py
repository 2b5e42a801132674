"""SELint's lines as findings, from a program that prints what it prints."""

from __future__ import annotations

from pathlib import Path

import pytest

from selab.errors import CommandFailed
from selab.policy.base import BasePolicy
from selab.policy.lint import Finding, Severity
from selab.policy.lint import selint as selint_module
from selab.policy.lint.selint import installed, selint
from selab.policy.module import PolicyModule
from tests.unit.fakes import FakeGuest


def selint_findings(
    monkeypatch: pytest.MonkeyPatch,
    base: BasePolicy,
    lines: str,
    code: int = 0,
    guest: FakeGuest | None = None,
) -> list[Finding]:
    """The findings if SELint prints `lines` and ends with `code`."""
    machine = guest or FakeGuest()
    machine.answer("selint", code=code, out=lines)
    monkeypatch.setattr(selint_module, "LocalHost", lambda: machine)
    return selint(PolicyModule("web", Path("/p"), {"te": b"", "fc": b""}), base)


def test_the_modules_files_are_checked_with_the_headers_as_context(
    monkeypatch: pytest.MonkeyPatch, base: BasePolicy
) -> None:
    machine = FakeGuest()
    selint_findings(monkeypatch, base, "", guest=machine)
    ((program, context, *options),) = machine.commands
    assert (program, context) == ("selint", f"--context={base.headers}/include")
    assert options[-2:] == ["/p/web.te", "/p/web.fc"]
    assert {"--disable=S-001", "--disable=W-008", "--disable=E-005", "--level=S", "--full-path"} <= set(
        options
    )


def test_it_is_installed_if_it_is_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not installed()
    (tmp_path / "selint").touch(mode=0o755)
    assert installed()


def test_a_line_is_a_finding(monkeypatch: pytest.MonkeyPatch, base: BasePolicy) -> None:
    (finding,) = selint_findings(
        monkeypatch, base, "/p/web.te:              6: (W): Allow rule (x) is odd (W-008)"
    )
    assert finding == Finding(Path("/p/web.te"), 6, Severity.WARNING, "W-008", "Allow rule (x) is odd.", "")


@pytest.mark.parametrize(
    ("letter", "severity"), [("C", "note"), ("S", "note"), ("W", "warning"), ("E", "error"), ("F", "warning")]
)
def test_its_severities_are_ours(
    monkeypatch: pytest.MonkeyPatch, base: BasePolicy, letter: str, severity: str
) -> None:
    assert [
        finding.severity
        for finding in selint_findings(monkeypatch, base, f"/p/web.fc:1: ({letter}): x ({letter}-001)")
    ] == [severity]


def test_what_is_about_another_file_or_no_finding_is_left_out(
    monkeypatch: pytest.MonkeyPatch, base: BasePolicy
) -> None:
    assert selint_findings(monkeypatch, base, "/p/other.te:1: (W): x (W-001)\nNote: y") == []


def test_it_may_say_what_is_wrong_and_end_badly(monkeypatch: pytest.MonkeyPatch, base: BasePolicy) -> None:
    assert len(selint_findings(monkeypatch, base, "/p/web.te:3: (F): syntax error (F-001)", 70)) == 1


def test_that_it_ends_badly_without_a_word_is_an_error(
    monkeypatch: pytest.MonkeyPatch, base: BasePolicy
) -> None:
    with pytest.raises(CommandFailed, match="SELint"):
        selint_findings(monkeypatch, base, "", 70)

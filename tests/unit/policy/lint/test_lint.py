"""All checks together: a module without a fault, and the order of the findings."""

from __future__ import annotations

import pytest

from selab.policy.base import BasePolicy
from selab.policy.interfaces import interface_table
from tests.unit.headers import write_headers
from tests.unit.policy.recorded_macros import record_macros

from .conftest import DOMAIN, Lint


def test_a_module_without_fault_has_no_finding(linted: Lint) -> None:
    te = (
        DOMAIN
        + "type web_log_t, domain;\nrole r types web_log_t;\n"
        + "allow web_t web_log_t:file read_file_perms;\nfiles_read_etc_files(web_t)\n"
    )
    assert linted(te, fc="/web(/.*)?\tgen_context(u:object_r:web_log_t,s0)\n") == []


def test_findings_come_in_the_order_of_their_lines(linted: Lint) -> None:
    lines = [
        finding.line
        for finding in linted(DOMAIN + "type a_t;\nnobody(web_t)\ntype b_t;\nallow web_t self:process *;\n")
    ]
    assert lines == sorted(lines)


def test_the_findings_of_the_te_precede_those_of_the_fc(linted: Lint) -> None:
    findings = linted("\n" * 9 + DOMAIN + "type web_x_t;\n", fc="/web\n")
    assert [finding.file.name for finding in findings] == ["web.te", "web.fc"]


@pytest.mark.toolchain
def test_the_recorded_expansions_mean_what_m4_makes(
    base: BasePolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_headers(base.headers)
    expanded = list(interface_table(base))
    (base.directory / "interfaces.json").unlink()
    record_macros(monkeypatch)
    assert list(interface_table(base)) == expanded

"""Lint one module against the small base policy and the small headers of the unit tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from selab.policy.base import BasePolicy
from selab.policy.interfaces import interface_table, module_interfaces
from selab.policy.lint import Finding, lint, module_under_lint
from selab.policy.lint.names import vocabulary
from selab.policy.lint.subject import text_of
from selab.policy.module import PolicyModule
from tests.unit.headers import write_headers
from tests.unit.policy.recorded_macros import record_macros

HEAD = "policy_module(web, 1.0)\n"
DOMAIN = HEAD + "container_domain_template(web)\n"
Lint = Callable[..., list[Finding]]


@pytest.fixture
def linted(base: BasePolicy, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Lint:
    """Lint a module's texts. Without the mark `toolchain`, recorded expansions take the place of m4."""
    if not request.node.get_closest_marker("toolchain"):
        record_macros(monkeypatch)
    write_headers(base.headers)
    table = interface_table(base)

    def run(
        te: str, *, fc: str = "", own: str = "", requires: str = "", requires_fc: str = ""
    ) -> list[Finding]:
        sources = {"te": requires.encode(), "fc": requires_fc.encode()}
        common = (PolicyModule("common", Path("/p"), sources),) if requires else ()
        texts = {ending: text.encode() for ending, text in (("te", te), ("fc", fc), ("if", own)) if text}
        module = PolicyModule("web", Path("/p"), texts, common)
        mine = module_interfaces(base, {"web.if": text_of(module, "if")} if own else {})
        return lint(module_under_lint(module, base, vocabulary(base), table, mine))

    return run


def outline(findings: list[Finding]) -> list[tuple[str, str, int]]:
    return [(str(finding.severity), finding.id, finding.line) for finding in findings]

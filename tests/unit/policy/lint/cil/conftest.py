"""Lint one policy in CIL against a few names of a base policy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from selab.policy.base import BasePolicy
from selab.policy.interfaces import InterfaceTable
from selab.policy.language.cil_names import vocabulary
from selab.policy.language.cil_source import parse
from selab.policy.language.te import items, tokens
from selab.policy.lint import Finding
from selab.policy.lint.cil import CilUnderLint, lint_cil
from selab.policy.lint.names import names
from selab.policy.module import PolicyModule

NAMES = """
(type etc_t) (type http_port_t) (typeattribute domain) (role system_r) (user system_u)
(boolean httpd_enable) (common file (read write)) (class file (watch)) (classcommon file file)
(class tcp_socket (name_bind)) (type other.data)
"""
Lint = Callable[..., list[Finding]]


@pytest.fixture
def linted(base: BasePolicy) -> Lint:
    """Lint the text of a policy `web`.

    template: the text of a template that it inherits.
    te: the text of a .te that it requires.
    plain: what it compiles to, if it does.
    is_required: whether another policy requires it.
    """

    def run(
        text: str, *, template: str = "", te: str = "", plain: str | None = None, is_required: bool = False
    ) -> list[Finding]:
        requires = []
        if template:
            texts = {"cil": template.encode()}
            requires.append(PolicyModule("box", Path("/p/templates"), texts, is_template=True))
        if te:
            requires.append(PolicyModule("lib", Path("/p"), {"te": te.encode()}))
        module = PolicyModule("web", Path("/p"), {"cil": text.encode()}, tuple(requires))
        beside = tuple(names(items(tokens(each)), InterfaceTable([])) for each in (te,) if each)
        of_base = vocabulary(parse(NAMES))
        return lint_cil(CilUnderLint(module, base, of_base, beside, plain, is_required))

    return run


def outline(findings: list[Finding]) -> list[tuple[str, str, int]]:
    return [(str(finding.severity), finding.id, finding.line) for finding in findings]

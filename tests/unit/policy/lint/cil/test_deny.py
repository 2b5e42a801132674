"""Deny rules that some versions of libsepol ignore."""

from __future__ import annotations

import pytest

from .conftest import Lint, outline


@pytest.mark.parametrize("permissions", ["(all)", "(not (read))", "(and (all) (not (read)))"])
def test_a_deny_rule_with_an_expression_of_permissions_is_a_warning(linted: Lint, permissions: str) -> None:
    assert outline(linted(f"\n(deny etc_t self (file {permissions}))")) == [("warning", "deny-expression", 2)]


@pytest.mark.parametrize("access", ["(file (read))", "sets"])
def test_a_deny_rule_with_names_has_no_finding(linted: Lint, access: str) -> None:
    sets = "(classpermission sets) (classpermissionset sets (file (not (read)))) (allow etc_t self sets)"
    assert linted(f"{sets} (deny etc_t self {access})") == []

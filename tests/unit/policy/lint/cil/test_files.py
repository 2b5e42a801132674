"""File contexts in CIL."""

from __future__ import annotations

from selab.policy.base import BasePolicy

from .conftest import Lint, outline

CONTEXT = "any (system_u system_r etc_t ((s0) (s0)))"


def test_a_pattern_that_is_no_regular_expression_is_an_error(linted: Lint) -> None:
    (finding,) = linted(f'\n(filecon "/srv/[a" {CONTEXT})')
    assert (finding.severity, finding.id, finding.line) == ("error", "fc-pattern", 2)


def test_a_path_that_the_guest_looks_up_as_another_one_is_an_error(linted: Lint, base: BasePolicy) -> None:
    files = base.directory / "contexts" / "files"
    files.mkdir(parents=True)
    (files / "file_contexts.subs_dist").write_text("/var/run /run\n")
    (finding,) = linted(f'(filecon "/var/run/web(/.*)?" {CONTEXT})')
    assert (finding.id, finding.remedy) == ("fc-equivalence", "Write /run/web(/.*)? instead.")


def test_a_path_that_can_match_has_no_finding(linted: Lint) -> None:
    assert outline(linted(f'(filecon "/srv/web(/.*)?" {CONTEXT})')) == []

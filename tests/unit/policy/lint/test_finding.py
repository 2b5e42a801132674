"""A finding made of an error has the place that the error names."""

from __future__ import annotations

from pathlib import Path

import pytest

from selab.errors import SelabError
from selab.policy.lint.finding import Finding, Severity, of_error

TE = Path("/p/policies/web.te")


@pytest.mark.parametrize(
    ("detail", "file", "line", "message"),
    [
        ("/p/policies/web.te:7: syntax error", "web.te", 7, "It does not compile. syntax error"),
        ("/p/policies/web.fc:12", "web.fc", 12, "It does not compile."),
        ("/p/policies/web.cil:3: a name", "web.cil", 3, "It does not compile. a name"),
        ("/p/policies/web.yaml:3", "web.yaml", 3, "It does not compile."),
        ("/p/policies/web.if: no end", "web.if", 0, "It does not compile. no end"),
    ],
)
def test_the_place_in_the_detail_is_that_of_the_finding(
    detail: str, file: str, line: int, message: str
) -> None:
    finding = of_error(SelabError("It does not compile.", detail, "Correct it."), "compile", TE)
    assert finding == Finding(TE.with_name(file), line, Severity.ERROR, "compile", message, "Correct it.")


@pytest.mark.parametrize("detail", ["m4 failed", "web.te:7: a relative path", "/p/other.txt:7: no source"])
def test_a_detail_without_the_place_of_a_source_belongs_to_the_whole_module(detail: str) -> None:
    finding = of_error(SelabError("It does not compile.", detail), "compile", TE)
    assert (finding.file, finding.line, finding.message) == (TE, 0, f"It does not compile. {detail}")
